"""Shapes and memory formats of parameters and gradients."""

from __future__ import annotations

import torch

from waddington.optim.testing._catalog import check, may_refuse, require
from waddington.optim.testing._problems import (
    SHAPES,
    copies,
    make_gradients,
    make_params,
    require_close,
    require_moved,
    require_same,
    run,
    step,
    values,
)
from waddington.optim.testing._subject import Subject

__all__: list[str] = []


@check("empty_tensors", "parameters without elements are accepted beside others", group="tensors")
def _empty_tensors(subject: Subject) -> None:
    shapes = ((0, 3), *SHAPES[:2], (0,))
    params = make_params(shapes=shapes)
    before = values(params)
    with may_refuse("empty parameter", "without elements", "no elements"):
        run(subject.build(params), params, make_gradients(14, shapes=shapes))
    require_moved(before, params, "beside an empty tensor")


@check("scalars", "0-d parameters train, as one number", group="tensors")
def _scalars(subject: Subject) -> None:
    shapes = ((), SHAPES[0])
    params = make_params(shapes=shapes)
    before = values(params)
    with may_refuse("0-d", "0d", "scalar", "dim", "shape"):
        run(subject.build(params), params, make_gradients(14, shapes=shapes))
    require(params[0].shape == (), f"a 0-d parameter now has shape {tuple(params[0].shape)}")
    require_moved(before, params, "with a 0-d parameter")


@check("strided_parameters", "parameters that are not contiguous train as contiguous ones do", group="tensors")
def _strided_parameters(subject: Subject) -> None:
    shapes = ((4, 3), (6, 5))
    plain = make_params(torch.float64, shapes)
    strided = [p.detach().t().contiguous().t().requires_grad_() for p in plain]
    gradients = make_gradients(12, shapes)
    run(subject.build(plain), plain, gradients)
    run(subject.build(strided), strided, gradients)
    require_close(strided, plain, "transposed parameters")
    require(all(not param.is_contiguous() for param in strided), "the memory layout of a parameter has changed")


@check("strided_gradients", "gradients that are transposed, sliced or expanded act as contiguous ones", group="tensors")
def _strided_gradients(subject: Subject) -> None:
    shapes = ((4, 3), (5,), (3, 2))
    plain = make_params(torch.float64, shapes)
    strided = copies(plain)
    left, right = subject.build(plain), subject.build(strided)
    for a, b, c in make_gradients(12, shapes):
        layouts = [a.t().contiguous().t(), torch.stack([b, b], 1)[:, 0], c[:1, :1].expand(3, 2)]
        for one, other, gradient in zip(plain, strided, layouts, strict=True):
            one.grad, other.grad = gradient.clone(memory_format=torch.contiguous_format), gradient
        step(left)
        step(right)
    require_close(strided, plain, "gradients with other strides")


@check("channels_last", "channels-last weights train as contiguous ones do, and stay channels-last", group="tensors")
def _channels_last(subject: Subject) -> None:
    shapes = ((4, 3, 3, 2),)
    plain = make_params(torch.float64, shapes)
    last = [p.detach().clone(memory_format=torch.channels_last).requires_grad_() for p in plain]
    left, right = subject.build(plain), subject.build(last)
    for (gradient,) in make_gradients(12, shapes):
        plain[0].grad = gradient.clone()
        last[0].grad = gradient.clone(memory_format=torch.channels_last)
        step(left)
        step(right)
    require_close(last, plain, "channels-last weights")
    require(last[0].is_contiguous(memory_format=torch.channels_last), "weights are no longer channels-last")


@check("named_parameters", "named_parameters() are accepted and act as parameters()", group="tensors")
def _named_parameters(subject: Subject) -> None:
    plain = make_params()
    named = copies(plain)
    gradients = make_gradients(8)
    run(subject.build(plain), plain, gradients)
    optimizer = subject.build((f"layer.{index}", param) for index, param in enumerate(named))
    run(optimizer, named, gradients)
    require_same(named, plain, "named parameters")
    names = optimizer.param_groups[0].get("param_names")
    require(names == [f"layer.{index}" for index in range(len(named))], f"param_names of the group are {names}")
