"""Gradients that come and go: experts, alternating tasks, tensors that are frozen for a while."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch

from optim.parity import snapshot
from waddington.errors import DataError
from waddington.optim import AMGT, AMVT, AlphaAdam, ASGDAdam, LDAdam, MicroAdam, Padam
from waddington.optim.engine import guards
from waddington.optim.engine import optimizer as stepper
from waddington.optim.engine.guards import LayoutGuard
from waddington.optim.engine.units import may_leave
from waddington.optim.padam import PADAM_RULE

SHAPES = [(130, 130), (5, 3), (64, 80), (7,), (), (3000,), (0,), (140, 130)]
KINDS = {
    "ASGDAdam": lambda params, **kwargs: ASGDAdam(params, switch="relative", switch_interval=2, **kwargs),
    "ASGDAdam, coordinate": lambda params, **kwargs: ASGDAdam(params, switch="coordinate", **kwargs),
    "AMGT": lambda params, **kwargs: AMGT(params, **kwargs),
    "AlphaAdam": lambda params, **kwargs: AlphaAdam(params, **kwargs),
    "AMVT": lambda params, **kwargs: AMVT(params, state_dtype="bfloat16", **kwargs),
    "MicroAdam": lambda params, compile, **kwargs: MicroAdam(params, **kwargs),
}
EACH_WAY = pytest.mark.parametrize("compile", [True, False], ids=["compiled", "eager"])


@pytest.fixture
def laid_out(monkeypatch):
    """How many tensors were laid out, each time that any were."""
    found = []
    lay_out = stepper.lay_out
    monkeypatch.setattr(
        stepper, "lay_out", lambda rule, slots, ways: found.append(len(slots)) or lay_out(rule, slots, ways)
    )
    return found


def in_groups(params):
    return [{"params": params[:3]}, {"params": params[3:], "lr": 3e-3}]


def set_gradients(params, which, seed):
    generator = torch.Generator().manual_seed(seed)
    for at, param in enumerate(params):
        grad = torch.randn(param.shape, generator=generator)
        param.grad = grad if at in which else None


@EACH_WAY
@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_step_of_some_is_that_of_an_optimizer_that_knows_no_others(make, compile):
    """To the bit: each step of the twin is one of a new optimizer, which lays out what has a gradient and no more."""
    params = [torch.nn.Parameter(torch.linspace(-1.0, 1.0, torch.Size(shape).numel()).view(shape)) for shape in SHAPES]
    twins = [torch.nn.Parameter(param.detach().clone()) for param in params]
    optimizer, state = make(in_groups(params), lr=1e-2, weight_decay=0.1, compile=compile), None
    sets = [{0, 1, 2}, {1, 3}, {0, 1, 2, 3, 4, 5, 6, 7}, {7}, {1, 3, 5}, {2}, {0, 1, 2, 3, 4, 5, 6, 7}, {3, 4, 6}, {1}]
    for step, which in enumerate(sets):
        for tensors in (params, twins):
            set_gradients(tensors, which, step)
        alone = make(in_groups(twins), lr=1e-2, weight_decay=0.1, compile=compile)
        if state is not None:
            alone.load_state_dict(state)
        optimizer.step()
        alone.step()
        state = alone.state_dict()
        found, update = snapshot(optimizer), snapshot(alone)
        assert found.keys() == update.keys()
        assert all(torch.equal(found[name], update[name]) for name in found)
        assert all(map(torch.equal, params, twins))


def test_tensors_are_laid_out_at_their_first_gradient_and_no_more(laid_out):
    params = [torch.nn.Parameter(torch.ones(20)) for _ in range(6)]
    optimizer = AMGT(params, compile=False)
    for at in range(6):
        set_gradients(params, {at}, at)
        optimizer.step()
    assert laid_out == [1, 2, 3, 4, 5, 6]
    for which in itertools.combinations(range(6), 2):
        set_gradients(params, set(which), 0)
        optimizer.step()
    assert len(laid_out) == 6
    assert all(optimizer.state[param]["step"] == 1 + 5 for param in params)


def test_what_is_replaced_is_laid_out_anew_with_what_has_a_gradient(laid_out):
    params = [torch.nn.Parameter(torch.ones(20)) for _ in range(4)]
    optimizer = AMGT(params, compile=False)
    set_gradients(params, {0, 1, 2}, 0)
    optimizer.step()
    for at, entry in ((0, torch.zeros(20)), (2, torch.zeros(20))):
        optimizer.state[params[at]]["exp_avg"] = entry
    set_gradients(params, {1}, 1)
    optimizer.step()
    assert laid_out == [3]  # neither of the two is stepped
    set_gradients(params, {0}, 2)
    optimizer.step()
    assert laid_out == [3, 1]
    assert optimizer.state[params[0]]["exp_avg"].any()
    optimizer.param_groups[0]["params"][:2] = optimizer.param_groups[0]["params"][1::-1]  # another order
    set_gradients(params, {0}, 3)
    optimizer.step()
    assert laid_out == [3, 1, 1]


def test_what_a_user_writes_to_a_tensor_without_gradient_counts_when_it_comes_back():
    params = [torch.nn.Parameter(torch.ones(20)) for _ in range(2)]
    optimizer = AMGT(params, lr=0.1, compile=False)

    def step(which):
        set_gradients(params, which, 0)
        optimizer.step()

    step({0, 1})
    step({0})
    optimizer.state[params[1]]["step"].fill_(5.0)
    optimizer.state[params[1]]["exp_avg"] = torch.zeros(30)
    step({0})
    with pytest.raises(DataError, match="its exp_avg has shape"):
        step({0, 1})
    optimizer.state[params[1]]["exp_avg"] = torch.zeros(20)
    step({0, 1})
    assert optimizer.state[params[0]]["step"] == 4
    assert optimizer.state[params[1]]["step"] == 6


@EACH_WAY
def test_a_step_of_some_that_is_refused_changes_nothing(compile):
    params = [torch.nn.Parameter(torch.ones(70, 70)) for _ in range(3)]
    optimizer = AMGT(params, lr=0.1, compile=compile)
    set_gradients(params, {0, 1, 2}, 0)
    optimizer.step()
    set_gradients(params, {0, 2}, 1)
    params[2].grad = None
    params[2].data = torch.ones(80)
    params[2].grad = torch.ones(80)
    before = snapshot(optimizer)
    with pytest.raises(DataError, match="parameter 2 of group 0, of shape"):
        optimizer.step()
    after = snapshot(optimizer)
    assert all(torch.equal(before[name], after[name]) for name in before)
    set_gradients(params[:2], {0}, 2)
    params[2].grad = None
    optimizer.step()
    assert [int(optimizer.state[param]["step"]) for param in params] == [2, 1, 1]


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
    params = [torch.nn.Parameter(torch.ones(20)) for _ in range(6)]
    optimizer = AMVT(params, compile=compile)

    def step(which):
        set_gradients(params, which, 0)
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


def test_entries_lie_alone_when_all_is_laid_out_anew():
    """Else a saved state would hold all that they once lay with."""
    params, optimizer, step = taking_turns(([0, 1], [2, 3], [4, 5]) * 2)
    assert not any(lies_alone(optimizer.state[param]["exp_avg"]) for param in params)
    optimizer.state[params[1]]["exp_avg"] = torch.ones(20)
    step([0, 1])
    assert all(lies_alone(optimizer.state[params[at]][name]) for at in (2, 3, 4, 5) for name in ("exp_avg", "step"))


def test_what_was_laid_out_before_stays_so_where_another_is_refused():
    params, optimizer, step = taking_turns([[0, 1]])
    before = snapshot(optimizer)
    set_gradients(params, {0, 2}, 0)
    params[2].data = torch.ones(7)
    with pytest.raises(DataError, match=r"parameter 2 of group 0, of shape .7,.: its gradient has shape"):
        optimizer.step()
    after = snapshot(optimizer)
    assert all(torch.equal(before[name], after[name]) for name in before if name != "2")
    assert params[2] not in optimizer.state
    step([0, 1])
    assert optimizer.state[params[0]]["step"] == 2


def test_a_storage_that_was_cut_is_seen_also_where_it_comes_to_lie_at_the_same_address(monkeypatch):
    param, state = torch.nn.Parameter(torch.ones(20)), {"exp_avg": torch.ones(20)}
    standing = LayoutGuard([param], [state], ["exp_avg"], 1)
    found = guards._addresses([param, state["exp_avg"]])
    monkeypatch.setattr(guards, "_addresses", lambda tensors: found)
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


@pytest.mark.parametrize(
    ("cls", "edit", "entry"),
    [
        (MicroAdam, {"window": 5}, "window_places"),
        (MicroAdam, {"density": 0.5}, "window_places"),
        (LDAdam, {"rank": 2}, "exp_avg"),
    ],
    ids=["window", "density", "rank"],
)
def test_a_setting_that_shapes_the_state_is_held_against_it(cls, edit, entry):
    param = torch.nn.Parameter(torch.ones(40, 30))
    optimizer = cls([param], lr=0.1)
    set_gradients([param], {0}, 0)
    optimizer.step()
    before, settings = snapshot(optimizer), dict(optimizer.param_groups[0])
    optimizer.param_groups[0].update(edit)
    with pytest.raises(DataError, match=f"its {entry} has shape .* a setting that shapes it"):
        optimizer.step()
    assert all(torch.equal(value, snapshot(optimizer)[name]) for name, value in before.items())
    optimizer.param_groups[0].update(settings)
    optimizer.step()
    assert optimizer.state[param]["step"] == 2


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
        assert [record.path for record in optimizer.execution()] == [how]


def _scalars(step, tensor_scalars, settings):
    counted = {"counted": tensor_scalars["counted"] + 1.0} if settings["maximize"] else {}
    return PADAM_RULE.scalars(step, tensor_scalars, settings) | counted


class Counting(Padam):
    """Remembers a number where it maximizes."""

    _rule = replace(
        PADAM_RULE,
        scalars=_scalars,
        tensor_scalars=lambda settings: ("counted",) if settings["maximize"] else (),
        tensor_scalars_after=lambda step, settings: {"counted": torch.zeros_like(step)},
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
        assert [record.path for record in optimizer.execution()] == [how]
