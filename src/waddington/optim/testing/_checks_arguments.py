"""Arguments that cannot be meant."""

from __future__ import annotations

from typing import Any

import torch

from waddington.optim.testing._catalog import CheckFailure, NotApplicable, check, describe, require_argument
from waddington.optim.testing._problems import make_params
from waddington.optim.testing._subject import Subject

__all__: list[str] = []

UNKNOWN = "momentun"


@check("unknown_keyword", "a mistyped argument is refused by name", group="arguments")
def _unknown_keyword(subject: Subject) -> None:
    try:
        subject.build(make_params(), **{UNKNOWN: 0.9})
    except Exception as error:
        if UNKNOWN not in str(error):
            raise CheckFailure(f"{UNKNOWN}=0.9 was refused without naming it: {describe(error)}") from error
    else:
        raise CheckFailure(f"{UNKNOWN}=0.9 was accepted without a word")


@check("bad_lr", "a negative or NaN learning rate is a ValueError", group="arguments")
def _bad_lr(subject: Subject) -> None:
    _refused(subject, "lr", -1.0, float("nan"))


@check("bad_betas", "betas of 1 and more, or below 0, are a ValueError", group="arguments")
def _bad_betas(subject: Subject) -> None:
    require_argument(subject, "betas")
    betas = subject.settings.get("betas")
    # A default of 1 or more shows that the name means something else here.
    if not isinstance(betas, tuple | list) or not all(isinstance(beta, float) and beta < 1 for beta in betas):
        raise NotApplicable(f"its betas are {betas!r}")
    _refused(subject, "betas", (1.0, *betas[1:]), (*betas[:-1], 1.5), (-0.1, *betas[1:]))


@check("bad_eps", "a negative eps is a ValueError", group="arguments")
def _bad_eps(subject: Subject) -> None:
    if subject.takes("eps") and not isinstance(subject.settings.get("eps"), float):
        raise NotApplicable(f"its eps is {subject.settings.get('eps')!r}")
    _refused(subject, "eps", -1.0)


@check("bad_weight_decay", "a negative weight decay is a ValueError", group="arguments")
def _bad_weight_decay(subject: Subject) -> None:
    _refused(subject, "weight_decay", -1.0)


@check("no_parameters", "an empty list of parameters is a ValueError", group="arguments")
def _no_parameters(subject: Subject) -> None:
    _must_raise(subject, [], {}, "an empty list of parameters")


def _refused(subject: Subject, name: str, *bad: Any) -> None:
    require_argument(subject, name)
    for value in bad:
        _must_raise(subject, make_params(), {name: value}, f"{name}={value!r}")


def _must_raise(subject: Subject, params: list[torch.Tensor], overrides: dict[str, Any], what: str) -> None:
    try:
        subject.build(params, **overrides)
    except ValueError:
        return
    except Exception as error:
        raise CheckFailure(f"{what} is refused by something else than a ValueError: {describe(error)}") from error
    raise CheckFailure(f"{what} was accepted")
