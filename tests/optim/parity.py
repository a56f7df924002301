"""Trainings that are held against one another, and how far apart rounding may take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from optim.table import ROWS
from optim.training import values

COMPILED = [row for row in ROWS if row.like_adam]
"""Every variant of the rules that kernels are made of."""

Tensors = list[torch.Tensor]


def unlike_params(dtype: torch.dtype, seed: int = 0) -> Tensors:
    """Give parameters of all the shapes and memory layouts that the contract names."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    found = [draw(), draw(0, 4), draw(1), draw(5), draw(37), draw(4, 3), draw(129, 17), draw(2, 3, 2)]
    found.append(draw(3, 2, 5, 4).to(memory_format=torch.channels_last))
    found.append(draw(7, 4).t())
    found.append(draw(6, 8)[:, ::2])  # with gaps in its memory
    found.append(draw(6, 6))
    pairs = {torch.float32: torch.complex64, torch.float64: torch.complex128}
    if dtype in pairs:
        found.append(torch.complex(draw(5, 3).double(), draw(5, 3).double()).to(pairs[dtype]))
    return [tensor.detach().requires_grad_() for tensor in found]


def gradients_for(params: Tensors, steps: int, seed: int = 1) -> list[Tensors]:
    """Give gradients that change in size and sign; half of them lie in memory in another order than their parameter."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for step in range(steps):
        grads = []
        for index, param in enumerate(params):
            exact = torch.complex128 if param.is_complex() else torch.float64
            grad = torch.randn(param.shape, generator=generator, dtype=exact) * (0.5 + 1.5 * (step % 3))
            grad = grad.to(param.dtype)
            if (index + step) % 2 and grad.dim() > 1:
                grad = grad.transpose(0, -1).contiguous().transpose(0, -1)
            grads.append(grad)
        found.append(grads)
    return found


def steps_of(optimizer: Any, params: Tensors, gradients: Iterable[Sequence[torch.Tensor | None]]) -> list[Tensors]:
    """Take steps; give the parameters before the first and after each."""
    found = [values(params)]
    for grads in gradients:
        for param, grad in zip(params, grads, strict=True):
            param.grad = None if grad is None else grad.clone(memory_format=torch.preserve_format)
        optimizer.step()
        found.append(values(params))
    return found


def assert_same_course(left: list[Tensors], right: list[Tensors], ulps: float = 4.0) -> None:
    """Assert that two trainings went the same way but for rounding.

    At each step the new value of a parameter may differ by `ulps` units of its own last place, and of that of the
    longest way that any coordinate of the model was moved: moments, whose terms cancel, are exact only in units of
    their terms. What differs once goes on to differ, so the bound grows with the steps. Of parameters in half
    precision, which are computed with in float32, one unit in the last place is all: a value next to the middle of two.
    """
    moved = [(a.double() if not a.is_complex() else a.to(torch.complex128)) for a in right[0]]
    reach = 0.0
    for step, (ours, theirs) in enumerate(zip(left[1:], right[1:], strict=True), start=1):
        exact = [(b.double() if not b.is_complex() else b.to(torch.complex128)) for b in theirs]
        reach = max([reach, *((a - b).abs().max().item() for a, b in zip(moved, exact, strict=True) if a.numel())])
        for a, b, e in zip(ours, theirs, exact, strict=True):
            assert a.dtype == b.dtype
            if not a.numel():
                continue
            is_half = torch.finfo(a.dtype).eps > 1e-4
            fine = torch.finfo(torch.float32 if is_half else a.dtype).eps
            bound = ulps * step * fine * (e.abs() + reach)
            if is_half:
                bound += torch.finfo(a.dtype).eps * e.abs()
            apart = (a.to(e.dtype) - e).abs()
            assert (apart <= bound).all(), (
                f"step {step}, shape {tuple(a.shape)}: {(apart / bound).max().item():.3g} times the bound apart"
            )
        moved = exact


def assert_same_state(left: Any, right: Any, rtol: float) -> None:
    """Assert that two optimizers have states of the same names, kinds and, in units of the largest entry, values."""
    pairs = zip(_params(left), _params(right), strict=True)
    for a, b in ((left.state[p], right.state[q]) for p, q in pairs):
        assert a.keys() == b.keys()
        for name, value in a.items():
            other = b[name]
            assert (value.shape, value.dtype) == (other.shape, other.dtype), name
            if value.numel():
                scale = other.abs().max().item()
                if name.startswith("switch_"):  # logarithms, whose own unit is 1
                    scale = max(scale, 1.0)
                torch.testing.assert_close(
                    value, other, rtol=rtol, atol=rtol * scale, msg=lambda m, n=name: f"{n}: {m}"
                )


def snapshot(optimizer: Any) -> dict[str, Any]:
    """Copy everything that a step may write: parameters, and their states by index and name."""
    params = _params(optimizer)
    states = {
        f"{index}.{name}": value.detach().clone()
        for index, param in enumerate(params)
        for name, value in optimizer.state.get(param, {}).items()
    }
    return {**states, **{f"{index}": param.detach().clone() for index, param in enumerate(params)}}


def assert_nothing_but(changed: set[str], left: dict[str, Any], right: dict[str, Any]) -> None:
    """Assert that two snapshots are equal bit for bit, but for entries of some names."""
    assert left.keys() == right.keys()
    found = {key.split(".", 1)[-1] for key in left if not torch.equal(left[key], right[key])}
    assert found == changed


class NoHostReads(TorchDispatchMode):
    """Fails at whatever reads a tensor's value on the host, by an operation of torch or a method of the tensor."""

    _operations = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default)
    _methods = ("tolist", "item", "numpy", "__bool__", "__float__", "__int__")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in self._operations, f"{func} reads a value"
        return func(*args, **(kwargs or {}))

    def __enter__(self) -> Any:
        self._before = {name: getattr(torch.Tensor, name) for name in self._methods}
        for name in self._methods:
            setattr(torch.Tensor, name, _refuse_to_be_read)
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        for name, method in self._before.items():
            setattr(torch.Tensor, name, method)


def _refuse_to_be_read(*_: Any) -> None:
    raise AssertionError("a value was read")


def _params(optimizer: Any) -> Tensors:
    return [param for group in optimizer.param_groups for param in group["params"]]
