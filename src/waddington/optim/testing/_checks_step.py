"""What a step does, and leaves alone."""

from __future__ import annotations

import gc
import weakref

import torch

from waddington.optim.testing._catalog import check, require
from waddington.optim.testing._problems import (
    backward,
    make_gradients,
    make_model,
    make_params,
    require_moved,
    require_same,
    run,
    set_gradients,
    size_of_state,
    state_tensors,
    step,
    values,
)
from waddington.optim.testing._subject import Subject

__all__: list[str] = []


@check("closure", "a closure is called once, with gradients on, and its loss is returned", group="step")
def _closure(subject: Subject) -> None:
    model, x, y = make_model()
    before = values(model.parameters())
    optimizer = subject.build(model.parameters())
    enabled: list[bool] = []
    losses: list[torch.Tensor] = []

    def closure() -> torch.Tensor:
        enabled.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        if loss.requires_grad:
            backward(loss)
        losses.append(loss)
        return loss

    for _ in range(14):
        enabled.clear()
        losses.clear()
        returned = step(optimizer, closure)
        require(len(enabled) == 1, f"called {len(enabled)} times in one step")
        require(enabled[0], "called with gradients off, so that it cannot call backward")
        require(returned is not None, "returned None instead of the closure's loss")
        require(float(returned) == float(losses[0]), f"returned {float(returned):g}, the loss was {float(losses[0]):g}")
    require_moved(before, list(model.parameters()), "stepping with a closure")


@check("no_gradients", "a step without any gradient changes nothing and returns None", group="step")
def _no_gradients(subject: Subject) -> None:
    params = make_params()
    before = values(params)
    optimizer = subject.build(params)
    require(step(optimizer) is None, "returned something without a closure")
    require_same(params, before, "the first step, without gradients, changed a parameter")
    run(optimizer, params, make_gradients(3))
    before = values(params)
    for param in params:
        param.grad = None
    step(optimizer)
    require_same(params, before, "the fourth step, without gradients, changed a parameter")


@check("some_gradients", "parameters without a gradient stay while the others train", group="step")
def _some_gradients(subject: Subject) -> None:
    params = make_params()
    before = values(params)
    optimizer = subject.build(params)
    for row in make_gradients(14):
        set_gradients(params, row)
        params[1].grad = params[3].grad = None
        step(optimizer)
    require_same(params[1::2], before[1::2], "a parameter without a gradient changed")
    require_moved(before[::2], params[::2], "a parameter with a gradient")


@check("in_place", "parameters are updated in place and stay leaves that require gradients", group="step")
def _in_place(subject: Subject) -> None:
    params = make_params()
    views = [param.detach() for param in params]
    addresses = [param.data_ptr() for param in params]
    optimizer = subject.build(params)
    run(optimizer, params, make_gradients(10))
    for param, address in zip(params, addresses, strict=True):
        require(param.is_leaf and param.requires_grad, "a parameter is no longer a leaf that requires gradients")
        require(param.data_ptr() == address, "a parameter has moved to other memory: tied weights and views lose it")
    require_same(params, views, "a view of a parameter does not see its new value")


@check("gradients_kept", "gradients are neither written to nor cleared by a step", group="step")
def _gradients_kept(subject: Subject) -> None:
    for decay in (False, True):
        if decay and not subject.takes("weight_decay"):
            continue
        params = make_params()
        optimizer = subject.build(params, **({"weight_decay": 0.1} if decay else {}))
        for row in make_gradients(3):
            set_gradients(params, row)
            gradients = [param.grad for param in params]
            step(optimizer)
            suffix = " under weight decay" if decay else ""
            require(all(p.grad is g for p, g in zip(params, gradients, strict=True)), f"a gradient is gone{suffix}")
            expected = [gradient.to(param.dtype) for gradient, param in zip(row, params, strict=True)]
            require_same([g for g in gradients if g is not None], expected, f"a gradient was written to{suffix}")


@check("zero_grad", "zero_grad clears gradients, to None or to zeros", group="step")
def _zero_grad(subject: Subject) -> None:
    params = make_params()
    optimizer = subject.build(params)
    gradients = make_gradients(3)
    run(optimizer, params, gradients[:2])
    set_gradients(params, gradients[2])
    optimizer.zero_grad(set_to_none=False)
    require(all(p.grad is not None and not p.grad.any() for p in params), "set_to_none=False did not leave zeros")
    optimizer.zero_grad()
    require(all(p.grad is None for p in params), "the default did not leave None")


@check("nothing_held", "neither the loss nor a gradient is held on to after a step", group="step")
def _nothing_held(subject: Subject) -> None:
    model, x, y = make_model()
    optimizer = subject.build(model.parameters())
    losses: list[weakref.ref[torch.Tensor]] = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        losses.append(weakref.ref(loss))
        if loss.requires_grad:
            backward(loss)
        return loss

    for _ in range(3):
        step(optimizer, closure)
    if any(loss() is not None for loss in losses):
        gc.collect()  # it may be no more than a cycle
    require(all(loss() is None for loss in losses), "the closure's loss, and the graph behind it, is still referenced")
    addresses = {param.grad.data_ptr() for param in model.parameters() if param.grad is not None}
    for name, tensor in state_tensors(optimizer):
        shared = type(tensor) is torch.Tensor and tensor.data_ptr() in addresses
        require(not shared, f"{name} shares memory with a gradient, which the next backward overwrites")


@check("bounded_state", "the state stops growing", group="step")
def _bounded_state(subject: Subject) -> None:
    params = make_params()
    optimizer = subject.build(params)
    gradients = make_gradients(120)
    run(optimizer, params, gradients[:20])
    before = size_of_state(optimizer)
    run(optimizer, params, gradients[20:])
    growth = size_of_state(optimizer) - before
    require(growth < 512, f"grew by {growth} bytes in 100 steps of {sum(p.numel() for p in params)} parameters")
