"""Tiny problems, and the comparisons that the checks are made of."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch

from waddington.optim.testing._catalog import CheckFailure, HalfDone, NotApplicable, describe, require
from waddington.optim.testing._subject import Subject

__all__ = [
    "SEED",
    "SHAPES",
    "backward",
    "copies",
    "identical",
    "make_gradients",
    "make_model",
    "make_params",
    "on_device",
    "rate_of",
    "require_close",
    "require_moved",
    "require_same",
    "run",
    "seed",
    "set_gradients",
    "set_rate",
    "size_of_state",
    "state_tensors",
    "step",
    "train",
    "values",
]

SEED = 5
_device: ContextVar[str] = ContextVar("device", default="cpu")
SHAPES: tuple[tuple[int, ...], ...] = ((4, 3), (3,), (2, 3, 2), (1,))
Gradients = list[list[torch.Tensor]]


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Have what is made in a block made on a device."""
    token = _device.set(device)
    try:
        with torch.device(device) if device != "cpu" else nullcontext():
            yield
    finally:
        _device.reset(token)


def _drawn(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Draw float64 numbers, the same on every device."""
    return torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu").to(_device.get())


def seed(value: int) -> None:
    """Seed what draws on the device of the checks, as ``torch.manual_seed`` does it everywhere.

    That writes down the stack for every kind of accelerator that is not in use, which takes longer than a step.
    """
    if _device.get() == "cpu":
        torch.default_generator.manual_seed(value)
    else:
        torch.manual_seed(value)


def make_params(
    dtype: torch.dtype = torch.float32, shapes: Sequence[tuple[int, ...]] = SHAPES, scale: float = 1.0
) -> list[torch.Tensor]:
    """Give parameters, the same at every call."""
    generator = torch.Generator().manual_seed(1)
    draws = [_drawn(shape, generator) * scale for shape in shapes]
    return [draw.to(dtype).requires_grad_() for draw in draws]


def make_gradients(
    count: int, shapes: Sequence[tuple[int, ...]] = SHAPES, seed: int = 2, spread: float = 4.0
) -> Gradients:
    """Give float64 gradients for `count` steps: a steady part and noise, `spread` times less from tensor to tensor."""
    generator = torch.Generator().manual_seed(seed)
    steady = [_drawn(shape, generator) for shape in shapes]
    return [
        [(mean + 0.5 * _drawn(mean.shape, generator)) * spread**-index for index, mean in enumerate(steady)]
        for _ in range(count)
    ]


def make_model(dtype: torch.dtype = torch.float32) -> tuple[torch.nn.Sequential, torch.Tensor, torch.Tensor]:
    """Give a small net with inputs and targets, the same at every call."""
    seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3)).to(dtype)
    return model, torch.randn(16, 5, dtype=dtype), torch.randn(16, 3, dtype=dtype)


def values(params: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Copy the values of parameters."""
    return [param.detach().clone() for param in params]


def copies(params: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Copy parameters as new ones."""
    return [param.detach().clone().requires_grad_() for param in params]


def step(optimizer: torch.optim.Optimizer, closure: Callable[[], Any] | None = None) -> Any:
    """Take a step from one seed; fail where it raises after it has changed something.

    Optimizers that draw random numbers then draw the same in every run that is compared with another.

    Raises
    ------
    HalfDone
        The step raised, and parameters or existing state are not what they were.
    """
    params = [param for group in optimizer.param_groups for param in group["params"]]
    watched = params + [t for _, t in state_tensors(optimizer) if type(t) is torch.Tensor]
    before = values(watched)
    seed(SEED)
    try:
        return optimizer.step(closure) if closure is not None else optimizer.step()
    except CheckFailure:
        raise
    except Exception as error:
        if not all(map(identical, before, watched)):
            raise HalfDone(f"raised after it had changed parameters or state: {describe(error)}") from error
        raise


def set_gradients(params: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor]) -> None:
    """Give parameters their gradients, cast to their dtype."""
    for param, gradient in zip(params, gradients, strict=True):
        param.grad = gradient.to(device=param.device, dtype=param.dtype, copy=True)


def run(optimizer: torch.optim.Optimizer, params: Sequence[torch.Tensor], gradients: Gradients) -> None:
    """Take one step for each list of gradients."""
    for row in gradients:
        set_gradients(params, row)
        step(optimizer)


def backward(loss: torch.Tensor) -> None:
    """Call ``backward``, which torch has left without types."""
    loss.backward()  # type: ignore[no-untyped-call]


def train(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor, steps: int
) -> None:
    """Train by the mean squared error."""
    for _ in range(steps):
        optimizer.zero_grad()
        backward(torch.nn.functional.mse_loss(model(x), y))
        step(optimizer)


def identical(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Tell whether two tensors have one dtype, shape and value; NaN equals NaN."""
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return bool(((left == right) | ((left != left) & (right != right))).all())


def require_same(left: Iterable[torch.Tensor], right: Iterable[torch.Tensor], what: str) -> None:
    """Fail unless tensors are the same to the last bit."""
    for index, (a, b) in enumerate(zip(left, right, strict=True)):
        if not identical(a.detach(), b.detach()):
            raise CheckFailure(f"{what}: {_difference(index, a, b)}")


def require_close(
    left: Iterable[torch.Tensor], right: Iterable[torch.Tensor], what: str, tolerance: float = 1e-5
) -> None:
    """Fail unless tensors agree to a relative tolerance, with the same absolute one for values below 1."""
    for index, (a, b) in enumerate(zip(left, right, strict=True)):
        if a.shape != b.shape or not torch.allclose(
            a.detach().to(b.dtype), b.detach(), rtol=tolerance, atol=tolerance, equal_nan=True
        ):
            raise CheckFailure(f"{what}: {_difference(index, a, b)}")


def _difference(index: int, left: torch.Tensor, right: torch.Tensor) -> str:
    where = f"tensor {index} of shape {tuple(left.shape)}"
    if left.shape != right.shape or left.dtype != right.dtype:
        return f"{where} in {left.dtype}, against {tuple(right.shape)} in {right.dtype}"
    gap = (left.detach() - right.detach()).abs().max().item()
    return f"{where} differs by {gap:.3g}"


def require_moved(before: Sequence[torch.Tensor], params: Sequence[torch.Tensor], what: str) -> None:
    """Fail unless every non-empty tensor has changed and is finite."""
    for index, (old, new) in enumerate(zip(before, params, strict=True)):
        require(bool(torch.isfinite(new).all()), f"{what}: tensor {index} of shape {tuple(new.shape)} is not finite")
        if new.numel():
            require(not identical(old, new.detach()), f"{what}: tensor {index} of shape {tuple(new.shape)} stayed")


def state_tensors(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, torch.Tensor]]:
    """Go through all tensors of the state, named by where they are."""
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for index, param in enumerate(params):
        if param in optimizer.state:
            yield from _tensors_in(optimizer.state[param], f"state[{index}]")


def _tensors_in(value: Any, where: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield where, value
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from _tensors_in(entry, f"{where}[{name!r}]")
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from _tensors_in(entry, f"{where}[{index}]")


def size_of_state(optimizer: torch.optim.Optimizer) -> int:
    """Give the bytes of the state and groups when pickled, tensors by their storage."""
    return len(pickle.dumps(optimizer.state_dict()))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group a learning rate, as schedulers do: a tensor is filled, a number replaced."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def rate_of(subject: Subject) -> float:
    """Give the learning rate that the optimizer starts with.

    Raises
    ------
    NotApplicable
        It has none.
    """
    if not subject.rate:
        raise NotApplicable("has no learning rate of its own")
    return subject.rate
