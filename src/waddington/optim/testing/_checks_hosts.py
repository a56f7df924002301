"""What training loops put around an optimizer: mixed precision, hooks, compilation."""

from __future__ import annotations

import logging
from typing import Any

import torch

from waddington.optim.testing._catalog import check, require
from waddington.optim.testing._problems import (
    SEED,
    backward,
    copies,
    make_gradients,
    make_model,
    make_params,
    rate_of,
    require_close,
    require_same,
    run,
    seed,
    set_gradients,
    set_rate,
    step,
    train,
    values,
)
from waddington.optim.testing._subject import Subject

__all__: list[str] = []


@check(
    "grad_scaler", "GradScaler trains as without it, unscales, and leaves out a step with an infinity", group="hosts"
)
def _grad_scaler(subject: Subject) -> None:
    plain, x, y = make_model()
    model, _, _ = make_model()
    train(plain, subject.build(plain.parameters()), x, y, 8)
    optimizer = subject.build(model.parameters())
    # A power of two scales exactly.
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    params = list(model.parameters())
    for index in range(8):
        optimizer.zero_grad()
        backward(scaler.scale(torch.nn.functional.mse_loss(model(x), y)))
        if index % 2:
            scaler.unscale_(optimizer)
        seed(SEED)
        scaler.step(optimizer)
        scaler.update()
    require_close(params, plain.parameters(), "8 steps with a scaler against none")
    before = values(params)
    optimizer.zero_grad()
    backward(scaler.scale(torch.nn.functional.mse_loss(model(x), y)))
    assert params[0].grad is not None
    params[0].grad[0] = float("inf")
    scaler.step(optimizer)
    scaler.update()
    require_same(params, before, "a step with an infinite gradient was taken")
    require(scaler.get_scale() == 512.0, f"the scale after an infinity is {scaler.get_scale():g} and not 512")


@check("step_hooks", "hooks before and after a step run once, and may change the gradients", group="hosts")
def _step_hooks(subject: Subject) -> None:
    params, gradients = make_params(), make_gradients(6)
    hooked = copies(params)
    run(subject.build(params), params, [[-g for g in row] for row in gradients])
    optimizer = subject.build(hooked)
    seen: list[str] = []

    def before(*_: Any) -> None:
        seen.append("before")
        for param in hooked:
            assert param.grad is not None
            param.grad.neg_()

    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    run(optimizer, hooked, gradients)
    require(seen == ["before", "after"] * len(gradients), f"in {len(gradients)} steps the hooks ran {len(seen)} times")
    require_same(hooked, params, "gradients that a hook negated")


@check(
    "compiled_step",
    "torch.compile of the step gives the eager result, and a new rate costs no new compilation",
    group="hosts",
    slow=True,
)
def _compiled_step(subject: Subject) -> str:
    rate = rate_of(subject)
    eager, gradients = make_params(), make_gradients(14)
    params = copies(eager)
    reference, optimizer = subject.build(eager), subject.build(params)
    graphs: list[int] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    for param in params:
        param.grad = torch.zeros_like(param)
    silenced = logging.root.manager.disable
    torch._dynamo.reset()
    try:
        # What torch logs before it raises, or before it falls back to eager, is found out below.
        logging.disable(logging.ERROR)
        compiled = torch.compile(lambda: optimizer.step(), backend=backend)
        warm = first = 0
        for index, row in enumerate(gradients):
            for each in (reference, optimizer):
                set_rate(each, rate * 0.9**index)
            set_gradients(eager, row)
            for param, gradient in zip(params, row, strict=True):
                assert param.grad is not None
                param.grad.copy_(gradient)
            step(reference)
            compiled()
            if index == 0:
                first = len(graphs)
            # The second step has state, and the third finds numbers that change: new code is right until then.
            if index == 2:
                warm = len(graphs)
    finally:
        logging.disable(silenced)
        torch._dynamo.reset()
    require_close(params, eager, "compiled against eager")
    late = len(graphs) - warm
    found = f"{first} graphs at the first step, {warm - first} in the next two, {late} in the other eleven"
    require(late == 0, f"compiles again under a changing rate: {found}")
    return found
