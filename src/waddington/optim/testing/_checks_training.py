"""Whether it trains: it converges, repeats itself, and does the same on every path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from waddington.optim.testing._catalog import CheckFailure, check, may_refuse, require_argument
from waddington.optim.testing._problems import (
    backward,
    copies,
    make_gradients,
    make_model,
    make_params,
    require_close,
    require_same,
    run,
    seed,
    values,
)
from waddington.optim.testing._subject import Subject

__all__: list[str] = []

Loss = Callable[[Sequence[torch.Tensor]], torch.Tensor]
_RATES = (0.1, 0.03, 0.3, 0.01, 1.0, 0.003, 10.0)
_STEPS = 300
_MOVES = 0.8
"""Share of its loss that 50 steps leave, at most, of what gets anywhere in 300."""


@check("deterministic", "two runs from one seed agree to the last bit", group="training")
def _deterministic(subject: Subject) -> None:
    results = []
    for _ in range(2):
        model, x, y = make_model()
        optimizer = subject.build(model.parameters())
        seed(4)
        for _ in range(20):
            optimizer.zero_grad()
            backward(torch.nn.functional.mse_loss(model(x), y))
            optimizer.step()
        results.append(values(model.parameters()))
    require_same(results[0], results[1], "two runs from one seed")


def _bowl(params: Sequence[torch.Tensor]) -> torch.Tensor:
    return params[0].square().sum() + 10 * params[1].square().sum()


def _rosenbrock(params: Sequence[torch.Tensor]) -> torch.Tensor:
    return (1 - params[0]).square().sum() + 5 * (params[1] - params[0].square()).square().sum()


@check("bowl", "an ill-conditioned bowl is descended, at its own rate or a usual one", group="training")
def _converges_on_a_bowl(subject: Subject) -> str:
    return _converges(subject, _bowl, [[-1.0, 0.5], [1.5, -1.0]], 0.02)


@check("rosenbrock", "Rosenbrock's valley is descended, at its own rate or a usual one", group="training")
def _converges_on_rosenbrock(subject: Subject) -> str:
    return _converges(subject, _rosenbrock, [[-1.0, 0.5], [1.5, -1.0]], 0.05)


@check("matrix", "a linear map is fitted, at its own rate or a usual one", group="training")
def _fits_a_matrix(subject: Subject) -> str:
    generator = torch.Generator().manual_seed(0)
    target, x = torch.randn(5, 4, generator=generator), torch.randn(64, 4, generator=generator)
    return _converges(subject, lambda p: (x @ (p[0] - target).T).square().mean(), torch.zeros(1, 5, 4).tolist(), 0.02)


def _converges(subject: Subject, loss_of: Loss, start: list[list[float]], share: float) -> str:
    """Train at one rate after another; one that hardly moves is followed to the end only where no other descends."""
    first = best = float(loss_of([torch.tensor(value) for value in start]))
    rates = [None, *_RATES] if subject.takes("lr") and subject.rate is not None else [None]
    courses = [(rate, _descent(subject, loss_of, start, rate)) for rate in rates]
    for is_patient in (False, True):
        for rate, course in courses:
            for index, last in course:
                best = min(best, last)
                if last < share * first:
                    chosen = "its own rate" if rate is None else f"lr={rate:g}"
                    return f"loss {first:.3g} to {last:.3g} in {index} steps at {chosen}"
                if not (is_patient or last < _MOVES * first):
                    break
    raise CheckFailure(f"loss {first:.3g} to no less than {best:.3g} in {_STEPS} steps, at any of {len(rates)} rates")


def _descent(
    subject: Subject, loss_of: Loss, start: list[list[float]], rate: float | None
) -> Iterator[tuple[int, float]]:
    """Train at a rate, its own by default; give every 50 steps their number and the loss."""
    params = [torch.tensor(value).requires_grad_() for value in start]
    optimizer = subject.build(params, **({} if rate is None else {"lr": rate}))
    for index in range(1, _STEPS + 1):
        optimizer.zero_grad()
        backward(loss_of(params))
        optimizer.step()
        if index % 50 == 0:
            yield index, float(loss_of([param.detach() for param in params]))


@check("foreach", "foreach=True gives what foreach=False gives", group="training")
def _foreach(subject: Subject) -> None:
    _paths_agree(subject, "foreach")


@check("fused", "fused=True gives what fused=False gives, or is refused", group="training")
def _fused(subject: Subject) -> None:
    with may_refuse("fused"):
        _paths_agree(subject, "fused")


def _paths_agree(subject: Subject, argument: str) -> None:
    require_argument(subject, argument)
    for decay in (False, True):
        if decay and not subject.takes("weight_decay"):
            continue
        extra = {"weight_decay": 0.1} if decay else {}
        loop, gradients = make_params(), make_gradients(15)
        other = copies(loop)
        run(subject.build(loop, **extra, **{argument: False}), loop, gradients)
        run(subject.build(other, **extra, **{argument: True}), other, gradients)
        require_close(other, loop, f"{argument}=True against False{' under weight decay' if decay else ''}", 1e-4)
