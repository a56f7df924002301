"""Names in a rule: those that the engine keeps for itself, and those that a rule reads and nobody gives."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch

from waddington._errors import ArgumentError
from waddington.optim.rule import Measured, RateControl, Rule, Settings, Tensors

__all__ = ["Flags", "check_rule"]

_OF_STATES = {"step", "skipped_steps", "masked_coordinates"}
_NUMBERS = {"rate", "rate_factor", "size", "taken", "weight_decay"}
_SUMS = {"dropped", "grad_sq", "update_sq", "param_sq", "update_grad", "update_ratio", "update_cosine"}
_MOST_NUMBERS, _MOST_SUMS = 40, 16  # so that a kernel's rows have room for the engine's own and a rate control's


class Flags(dict[str, Any]):
    """The settings that functions of coordinates may read: words, True and False.

    Parameters
    ----------
    values
        Those settings.
    others
        The other settings, if they are known, which are refused by name.
    """

    def __init__(self, values: Iterable[tuple[str, Any]], others: Mapping[str, Any] | None = None) -> None:
        super().__init__(values)
        self._others = others or {}

    def __missing__(self, name: str) -> Any:
        found = f"={self._others[name]!r}" if name in self._others else ""
        raise ArgumentError(
            f"cannot read the setting {name}{found} in a function of coordinates: these are given the settings that are"
            f" words, True or False ({_listed(self)}); what is computed with belongs to what `scalars` gives, and"
            f" is read as scalars[{name!r}]"
        )

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (name in self._others and bool(self[str(name)]))

    def get(self, name: str, default: Any = None) -> Any:
        """Give a setting, or the default where there is none of the name."""
        return self[name] if name in self._others else super().get(name, default)


class _Given(dict[str, Any]):
    """What a function of a rule is given, by name."""

    def __init__(self, values: Mapping[str, Any], what: str) -> None:
        super().__init__(values)
        self._what = what

    def __missing__(self, name: str) -> Any:
        raise ArgumentError(f"cannot read {name!r} in a rule: it is none of {self._what} ({_listed(self)})")


def check_rule(rule: Rule, control: RateControl | None, settings: Settings) -> None:
    """Refuse a rule that gives names which the engine keeps, or reads what it is not given.

    Its functions are run once on two coordinates, but for rules that need whole tensors.

    Parameters
    ----------
    rule, control
        What is to be run.
    settings
        Of a group.

    Raises
    ------
    ArgumentError
        Names what is given or read, and what is kept or known.
    """
    buffers, tensor_scalars = rule.buffers(settings), rule.tensor_scalars(settings)
    kept = _OF_STATES | set(control.initial(settings) if control is not None else ())
    _refuse("a buffer", buffers, kept | set(tensor_scalars))
    _refuse("a remembered number", tensor_scalars, kept | _NUMBERS)
    first = rule.tensor_scalars_after(torch.zeros((), device="cpu"), settings)
    remembered = {name: first[name].reshape(1) for name in tensor_scalars}
    scalars = dict(rule.scalars(1.0, remembered, settings))
    if rule.from_norm is not None and rule.needs_norm(settings):
        scalars |= rule.from_norm(torch.ones((), device="cpu"), settings)
    _refuse("a number", scalars, _NUMBERS)
    if not rule.whole_tensor_reason:
        _run(rule, settings, buffers, scalars | dict.fromkeys(_NUMBERS & {"rate", "size"}, 1.0))


@torch.no_grad()
def _run(rule: Rule, settings: Settings, buffers: Collection[str], scalars: dict[str, Any]) -> None:
    """Run the functions of coordinates, and look at the names of what they give."""
    is_choice = {name: isinstance(value, bool | str) for name, value in settings.items()}
    others = {name: value for name, value in settings.items() if not is_choice[name]}
    flags = Flags(((name, value) for name, value in settings.items() if is_choice[name]), others)
    given: Any = _Given(scalars, "the numbers that `scalars` and `from_sums` give")
    held: Any = _Given({name: torch.zeros(2, device="cpu") for name in buffers}, "the rule's buffers")
    grad = torch.ones(2, device="cpu")
    if rule.prepare is not None:
        grad = rule.prepare(grad, held, given, flags)
    measured = rule.update_moments(grad, held, given, flags)
    unnamed = measured.buffers.keys() - held.keys()
    if unnamed:
        raise ArgumentError(f"cannot keep {_listed(unnamed)}: `buffers` names {_listed(held) or 'none'}")
    _refuse("a sum", measured.terms, _SUMS)
    derived: Tensors = {}
    if rule.from_sums is not None:
        totals: Any = _Given(
            {name: term.sum() for name, term in measured.terms.items()}, "the sums of `update_moments`"
        )
        derived = rule.from_sums(totals, torch.full((), 2.0, device="cpu"), given, flags)
        _refuse("a number", derived, _NUMBERS | _SUMS | set(measured.terms))
        given |= derived
    seen = Measured(measured.buffers, measured.terms, _Given(measured.saved, "what `update_moments` saves"))
    after = _Given({**held, **measured.buffers}, "the rule's buffers")
    direction = rule.update(grad, seen, after, given, flags)
    observed = {} if rule.observe is None else rule.observe(direction, seen, after, given, flags)
    _refuse("a sum", observed, _SUMS | set(measured.terms) | set(derived))
    for what, names, most in (
        ("numbers", (scalars.keys() | derived.keys()) - _NUMBERS, _MOST_NUMBERS),
        ("sums", [*measured.terms, *observed, *derived], _MOST_SUMS),
    ):
        if len(names) > most:
            raise ArgumentError(f"cannot use a rule of {len(names)} {what}: {most} or fewer are accepted")


def _refuse(what: str, names: Iterable[str], kept: set[str]) -> None:
    taken = sorted(set(names) & kept)
    if taken:
        raise ArgumentError(
            f"cannot name {what} of a rule {_listed(taken)}: names that are in use already are {_listed(sorted(kept))}"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
