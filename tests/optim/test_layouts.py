"""Layouts are kept for recent sets of gradients, as of experts or alternating tasks, and for as long as they hold."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from waddington._errors import DataError
from waddington.optim import AMGT, AMVT, ASGDAdam, Padam, _engine
from waddington.optim._standing import Standing
from waddington.optim._units import may_leave
from waddington.optim.padam import PADAM_RULE

EACH_WAY = pytest.mark.parametrize("compile", [True, False], ids=["compiled", "eager"])


SETS = [[0, 1, 2], [2, 3], [0, 1, 2], [1], [2, 3], [], [1], [0, 3]]


@EACH_WAY
def test_layouts_of_recent_sets_are_kept_and_change_nothing(compile, monkeypatch):
    """Each parameter is stepped as if it were alone, whatever others are with it, and nothing is laid out twice."""
    laid_out = []
    lay_out = _engine.lay_out
    monkeypatch.setattr(_engine, "lay_out", lambda *args: laid_out.append(1) or lay_out(*args))
    params, twins = ([torch.nn.Parameter(torch.linspace(-1.0, at, 20 + at)) for at in range(4)] for _ in range(2))
    together = AMGT(params, lr=0.1, compile=compile)
    alone = [AMGT([twin], lr=0.1, compile=compile) for twin in twins]
    for step, which in enumerate(SETS * 3):
        for at, (param, twin) in enumerate(zip(params, twins, strict=True)):
            param.grad, twin.grad = (torch.full((20 + at,), 1.0 + step) if at in which else None for _ in range(2))
        laid_out.clear()
        together.step()
        assert bool(laid_out) == (step < len(SETS) and which not in SETS[:step])
        for optimizer in alone:
            optimizer.step()
        if step == 10:  # what the user does to one that has left counts when it comes back
            for optimizer, param in ((together, params[1]), (alone[1], twins[1])):
                optimizer.state[param]["exp_avg"].mul_(2.0)
                optimizer.state[param]["step"].fill_(5.0)
    for at, (param, twin) in enumerate(zip(params, twins, strict=True)):
        torch.testing.assert_close(param, twin, rtol=1e-6, atol=1e-7)
        assert torch.equal(together.state[param]["step"], alone[at].state[twin]["step"])


def test_what_was_replaced_is_seen_by_layouts_that_were_kept():
    params = [torch.nn.Parameter(torch.ones(20)) for _ in range(2)]
    optimizer = AMGT(params, lr=0.1, compile=False)

    def step(which):
        for at, param in enumerate(params):
            param.grad = torch.ones_like(param) if at in which else None
        optimizer.step()

    for which in ([0, 1], [0], [0, 1], [0]):
        step(which)
    optimizer.state[params[1]]["exp_avg"] = torch.zeros(30)
    step([0])
    with pytest.raises(DataError, match="its exp_avg has shape"):
        step([0, 1])
    optimizer.state[params[1]]["exp_avg"] = torch.zeros(20)
    step([0, 1])
    assert optimizer.state[params[0]]["step"] == 6
    assert optimizer.state[params[1]]["step"] == 3


def test_only_so_many_layouts_are_kept():
    params = [torch.nn.Parameter(torch.ones(20)) for _ in range(40)]
    optimizer = AMGT(params, compile=False)
    for at in range(40):
        params[at].grad = torch.ones(20)
        optimizer.step()
        params[at].grad = None
    assert len(optimizer._kept) == _engine._KEPT


# -- what a user does to one that is away --


def forget(state, param):
    del state[param]


def replace_the_state(state, param):
    state[param] = {name: value * 2.0 for name, value in state[param].items()}


def replace_an_entry(state, param):
    state[param]["exp_avg"] = torch.full_like(param, 0.5)


def replace_the_count(state, param):
    state[param]["step"] = torch.tensor(7.0)


def edit_in_place(state, param):
    state[param]["exp_avg"].fill_(0.5)
    state[param]["step"].fill_(7.0)


def swap_the_values(state, param):
    param.data = torch.linspace(3.0, 2.0, param.numel())


@EACH_WAY
@pytest.mark.parametrize("size", [20, 40_000], ids=["small", "large"])
@pytest.mark.parametrize(
    "deed", [forget, replace_the_state, replace_an_entry, replace_the_count, edit_in_place, swap_the_values]
)
def test_what_is_done_to_one_that_is_away_counts_when_it_is_back(deed, size, compile):
    params = [torch.nn.Parameter(torch.linspace(-1.0, 1.0, size)) for _ in range(2)]
    optimizer = AMVT(params, lr=0.1, compile=compile)

    def step(params, optimizer, which):
        for at, param in enumerate(params):
            param.grad = torch.linspace(1.0, 2.0, size) if at in which else None
        optimizer.step()

    for which in ([0, 1], [0], [0, 1], [0]):
        step(params, optimizer, which)
    with torch.no_grad():
        deed(optimizer.state, params[1])
    others, other = copy.deepcopy((params, optimizer))  # which has no layouts yet
    step(params, optimizer, [0, 1])
    step(others, other, [0, 1])
    for param, twin in zip(params, others, strict=True):
        torch.testing.assert_close(param, twin, rtol=1e-6, atol=1e-7)
        for name, value in other.state[twin].items():
            torch.testing.assert_close(optimizer.state[param][name], value, rtol=1e-6, atol=1e-7)


AB = ([0, 1, 2], [2, 3], [0, 1, 2], [2, 3])


def taking_turns(sets, compile=False):
    """Give parameters that have been stepped in sets, their optimizer, and what steps another set."""
    params = [torch.nn.Parameter(torch.ones(20)) for _ in range(4 + _engine._KEPT)]
    optimizer = AMVT(params, compile=compile)

    def step(which):
        for at, param in enumerate(params):
            param.grad = torch.ones(20) if at in which else None
        optimizer.step()

    for which in sets:
        step(which)
    return params, optimizer, step


@EACH_WAY
@pytest.mark.parametrize(
    ("sets", "at"), [(AB[:2], 0), (AB, 0), (AB, 2)], ids=["left alone", "away", "with another set"]
)
def test_freed_memory_is_not_taken_over(sets, at, compile):
    params, optimizer, step = taking_turns(sets, compile)
    optimizer.state[params[at]]["exp_avg"].untyped_storage().resize_(0)
    with pytest.raises(DataError, match="its exp_avg has no memory"):
        step(sets[0])


def lies_alone(entry):
    return entry.untyped_storage().nbytes() == entry.nbytes


def test_entries_lie_alone_when_their_layout_goes():
    """Else a saved state would hold all that they once lay with."""
    params, optimizer, step = taking_turns(AB)
    assert not lies_alone(optimizer.state[params[0]]["exp_avg"])
    for at in range(4, 4 + _engine._KEPT):
        step([at])
    assert all(lies_alone(optimizer.state[params[at]][name]) for at in range(4) for name in ("exp_avg", "step"))


def test_entries_lie_alone_when_all_is_laid_out_anew():
    params, optimizer, step = taking_turns(([0, 1], [2, 3], [4, 5]) * 2)
    assert not lies_alone(optimizer.state[params[2]]["exp_avg"])
    optimizer.state[params[1]]["exp_avg"] = torch.ones(20)
    step([0, 1])
    assert all(lies_alone(optimizer.state[params[at]]["exp_avg"]) for at in (2, 3, 4, 5))


def test_a_storage_that_was_cut_is_seen_also_where_it_comes_to_lie_at_the_same_address(monkeypatch):
    param, state = torch.nn.Parameter(torch.ones(20)), {"exp_avg": torch.ones(20)}
    standing = Standing([param], [state], ["exp_avg"], 1)
    found = standing._addresses_now()
    monkeypatch.setattr(standing, "_addresses_now", lambda: found)
    assert standing.holds()
    state["exp_avg"].untyped_storage().resize_(8)
    assert not standing.holds()


def test_only_what_lies_in_something_longer_may_leave_it():
    whole, cut = torch.ones(60), torch.ones(60)
    last = cut[40:]
    cut.untyped_storage().resize_(4 * 30)  # longer than the part, and yet it does not reach as far
    assert may_leave(whole[:20])
    assert not any(map(may_leave, (whole, last, torch._efficientzerotensor((3,)))))


def test_what_is_replaced_stays_the_users_when_its_set_goes():
    params = [torch.nn.Parameter(torch.ones(20)) for _ in range(2)]
    optimizer = AMVT(params, compile=False)
    for param in params:
        param.grad = torch.ones(20)
    optimizer.step()
    mine = optimizer.state[params[1]]["exp_avg"] = torch.full((20,), 0.5)
    params[1].grad = None
    optimizer.step()
    assert optimizer.state[params[1]]["exp_avg"] is mine


# -- settings --


@EACH_WAY
def test_a_group_that_is_another_dictionary_is_read(compile):
    params = [torch.nn.Parameter(torch.ones(60)) for _ in range(2)]
    optimizers = [Padam([param], lr=0.1, compile=compile) for param in params]
    for rate in (0.1, 0.5):
        optimizers[0].param_groups[0] = {**optimizers[0].param_groups[0], "lr": rate}
        optimizers[1].param_groups[0]["lr"] = rate
        for param, optimizer in zip(params, optimizers, strict=True):
            param.grad = torch.ones(60)
            optimizer.step()
    assert torch.equal(*params)


def test_compiling_may_be_switched_off_and_on():
    param = torch.nn.Parameter(torch.ones(60))
    optimizer = Padam([param], compile=True)
    for wish, how in ((True, "compiled"), (False, "together"), (True, "compiled")):
        optimizer.param_groups[0]["compile"] = wish
        param.grad = torch.ones(60)
        optimizer.step()
        assert [record.how for record in optimizer.execution()] == [how]


def _coefficients(step, scalars, settings):
    counted = {"counted": scalars["counted"] + 1.0} if settings["maximize"] else {}
    return PADAM_RULE.coefficients(step, scalars, settings) | counted


class Counting(Padam):
    """Remembers a number where it maximizes."""

    _rule = replace(
        PADAM_RULE,
        coefficients=_coefficients,
        scalars=lambda settings: ("counted",) if settings["maximize"] else (),
        scalars_after=lambda step, settings: {"counted": torch.zeros_like(step)},
    )


@EACH_WAY
def test_remembered_numbers_come_with_the_setting_that_asks_for_them(compile):
    param = torch.nn.Parameter(torch.ones(60))
    optimizer = Counting([param], compile=compile)
    for maximizes in (False, True, True, False, True):
        optimizer.param_groups[0]["maximize"] = maximizes
        param.grad = torch.ones(60)
        optimizer.step()
    assert optimizer.state[param]["counted"] == 3


def test_rounding_may_be_switched_on():
    """A matrix whose memory is in another order is then no longer a kernel's."""
    param = torch.nn.Parameter(torch.ones(8, 6, dtype=torch.bfloat16).t())
    optimizer = ASGDAdam([param], lr=1e-4, compile=True)
    for rounds, how in ((False, "compiled"), (True, "eager")):
        optimizer.param_groups[0]["stochastic_rounding"] = rounds
        param.grad = torch.ones_like(param)
        optimizer.step()
        assert [record.how for record in optimizer.execution()] == [how]
