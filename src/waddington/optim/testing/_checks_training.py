"""Whether it trains: it converges, repeats itself, and does the same on every path."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    values,
)
from waddington.optim.testing._subject import Subject

__all__: list[str] = []

Loss = Callable[[Sequence[torch.Tensor]], torch.Tensor]
_RATES = (0.1, 0.03, 0.3, 0.01, 1.0, 0.003, 10.0)


@check("deterministic", "two runs from one seed agree to the last bit", group="training")
def _deterministic(subject: Subject) -> None:
    results = []
    for _ in range(2):
        model, x, y = make_model()
        optimizer = subject.build(model.parameters())
        torch.manual_seed(4)
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


def _converges(subject: Subject, loss_of: Loss, start: list[list[float]], share: float, steps: int = 300) -> str:
    first = best = float(loss_of([torch.tensor(value) for value in start]))
    rates = [None, *_RATES] if subject.takes("lr") and subject.rate is not None else [None]
    for rate in rates:
        params = [torch.tensor(value).requires_grad_() for value in start]
        optimizer = subject.build(params, **({} if rate is None else {"lr": rate}))
        for index in range(1, steps + 1):
            optimizer.zero_grad()
            backward(loss_of(params))
            optimizer.step()
            if index % 50:
                continue
            last = float(loss_of([param.detach() for param in params]))
            best = min(best, last)
            if last < share * first:
                chosen = "its own rate" if rate is None else f"lr={rate:g}"
                return f"loss {first:.3g} to {last:.3g} in {index} steps at {chosen}"
    raise CheckFailure(f"loss {first:.3g} to no less than {best:.3g} in {steps} steps, at any of {len(rates)} rates")


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
