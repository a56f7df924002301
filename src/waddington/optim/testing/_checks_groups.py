"""Parameter groups: different, late, frozen."""

from __future__ import annotations

import torch

from waddington.optim.testing._catalog import check, require
from waddington.optim.testing._problems import (
    copies,
    make_gradients,
    make_params,
    rate_of,
    require_moved,
    require_same,
    run,
    set_gradients,
    step,
    values,
)
from waddington.optim.testing._subject import Subject

__all__: list[str] = []


@check("group_rates", "a group with a smaller rate takes smaller steps", group="groups")
def _group_rates(subject: Subject) -> None:
    rate = rate_of(subject)
    fast = make_params(torch.float64)[:1]
    slow = copies(fast)
    start = values(fast)
    optimizer = subject.build([{"params": fast, "lr": rate}, {"params": slow, "lr": rate / 10}])
    found = [group["lr"] for group in optimizer.param_groups]
    require(found == [rate, rate / 10], f"rates of {rate:g} and {rate / 10:g} were given, the groups hold {found}")
    for (gradient,) in make_gradients(14, (tuple(fast[0].shape),)):
        set_gradients([*fast, *slow], [gradient, gradient])
        step(optimizer)
    long, short = ((param.detach() - start[0]).norm().item() for param in (*fast, *slow))
    require(0 < short < long, f"moved {short:.3g} at a tenth of the rate and {long:.3g} at the whole")


@check("late_group", "a group added while training trains from then on, and the others go on", group="groups")
def _late_group(subject: Subject) -> None:
    params, gradients = make_params(), make_gradients(24)
    optimizer = subject.build(params[:2])
    run(optimizer, params[:2], [row[:2] for row in gradients[:8]])
    before = values(params)
    optimizer.add_param_group({"params": params[2:]})
    run(optimizer, params, gradients[8:])
    require_moved(before, params, "after a group was added")
    state = optimizer.state_dict()
    twins = copies(params)
    fresh = subject.build([{"params": twins[:2]}, {"params": twins[2:]}])
    fresh.load_state_dict(state)
    run(fresh, twins, make_gradients(3, seed=5))


@check("unfrozen", "frozen parameters are accepted, stay, and train once they are unfrozen", group="groups")
def _unfrozen(subject: Subject) -> None:
    params, gradients = make_params(), make_gradients(24)
    for param in params[2:]:
        param.requires_grad_(False)
    before = values(params)
    optimizer = subject.build(params)
    for row in gradients[:8]:
        set_gradients(params[:2], row[:2])
        step(optimizer)
    require_same(params[2:], before[2:], "a frozen parameter changed")
    for param in params[2:]:
        param.requires_grad_()
    run(optimizer, params, gradients[8:])
    require_moved(before, params, "after unfreezing")


@check("frozen_later", "parameters that are frozen while training stay from then on", group="groups")
def _frozen_later(subject: Subject) -> None:
    params, gradients = make_params(), make_gradients(12)
    optimizer = subject.build(params)
    run(optimizer, params, gradients[:6])
    for param in params[2:]:
        param.requires_grad_(False)
        param.grad = None
    before = values(params)
    for row in gradients[6:]:
        set_gradients(params[:2], row[:2])
        step(optimizer)
    require_same(params[2:], before[2:], "a frozen parameter changed")
    require_moved(before[:2], params[:2], "beside frozen parameters")
