"""Precisions, and numbers that are not real."""

from __future__ import annotations

import torch

from waddington.optim.testing._catalog import check, may_refuse, require
from waddington.optim.testing._problems import (
    identical,
    make_gradients,
    make_params,
    require_close,
    require_moved,
    run,
    step,
    values,
)
from waddington.optim.testing._subject import Subject

__all__: list[str] = []


@check("bfloat16", "bfloat16 parameters train and keep their dtype", group="tensors")
def _bfloat16(subject: Subject) -> None:
    # Small values and ordinary gradients, so that an ordinary rate is not lost in rounding.
    params = make_params(torch.bfloat16, scale=0.01)
    before = values(params)
    with may_refuse("bfloat16", "bf16", "dtype"):
        run(subject.build(params), params, make_gradients(20, spread=1.0))
    require(all(p.dtype == torch.bfloat16 for p in params), "a parameter has another dtype now")
    # Some of them: what is small beside its parameter is rounded away, which is not the optimizer's fault.
    _require_some_moved(before, params)


def _require_some_moved(before: list[torch.Tensor], params: list[torch.Tensor]) -> None:
    require(all(bool(torch.isfinite(param).all()) for param in params), "a parameter is not finite")
    moved = [not identical(old, new.detach()) for old, new in zip(before, params, strict=True)]
    require(any(moved), "no parameter moved in 20 steps")


@check("float64", "float64 parameters train in double precision", group="tensors")
def _float64(subject: Subject) -> None:
    params = make_params(torch.float64)
    before = values(params)
    with may_refuse("float64", "double", "dtype"):
        run(subject.build(params), params, make_gradients(20))
    require(all(p.dtype == torch.float64 for p in params), "a parameter has another dtype now")
    require_moved(before, params, "float64 parameters")
    steps = [param.detach() - old for param, old in zip(params, before, strict=True)]
    rounded = all(_is_float32(change) for change in steps)
    require(not rounded, "the steps taken are float32 numbers")


def _is_float32(tensor: torch.Tensor) -> bool:
    """Tell whether every value is a float32 number."""
    return bool((tensor.float().double() == tensor).all())


@check("mixed_dtypes", "parameters of several dtypes share a group, each as if of its dtype alone", group="tensors")
def _mixed_dtypes(subject: Subject) -> None:
    dtypes = (torch.float32, torch.bfloat16, torch.float64, torch.float32)
    params = [p.detach().to(dtype).requires_grad_() for p, dtype in zip(make_params(scale=0.01), dtypes, strict=True)]
    before = values(params)
    with may_refuse("dtype", "mixed"):
        run(subject.build(params), params, make_gradients(20, spread=1.0))
    require(tuple(p.dtype for p in params) == dtypes, "a parameter has another dtype now")
    require_moved([before[0], *before[2:]], [params[0], *params[2:]], "beside other dtypes")
    require(bool(torch.isfinite(params[1]).all()), "bfloat16 parameters beside other dtypes are not finite")


@check("complex_parameters", "complex parameters train as pairs of reals, or are refused", group="tensors")
def _complex_parameters(subject: Subject) -> None:
    start = torch.view_as_complex(make_params(torch.float64, ((4, 3, 2),))[0].detach().clone())
    left, right = start.clone().requires_grad_(), torch.view_as_real(start).clone().requires_grad_()
    with may_refuse("complex"):
        optimizer = subject.build([left])
        reference = subject.build([right])
        for (gradient,) in make_gradients(12, ((4, 3, 2),)):
            left.grad, right.grad = torch.view_as_complex(gradient.clone()), gradient.clone()
            step(optimizer)
            step(reference)
    require_close([torch.view_as_real(left.detach())], [right], "complex parameters against pairs of reals")
