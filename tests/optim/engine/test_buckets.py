"""Small tensors are stepped end to end; whoever trains, saves, edits or moves them does not notice."""

from __future__ import annotations

import copy
import io

import pytest
import torch

from optim.parity import (
    COMPILED,
    assert_same_course,
    assert_same_state,
    gradients_for,
    snapshot,
    steps_of,
    unlike_params,
)
from optim.table import OWN, Row
from optim.training import assert_same, values
from waddington.optim import AMVT, AlphaAdam, Padam
from waddington.optim.engine import dispatch

each_kind = pytest.mark.parametrize("row", [row for row in OWN if row in COMPILED], ids=lambda row: row.name)
# What is remembered depends on a rule by its buffers and statistics alone: the most of both, and the least.
EXTREMES = [row for row in OWN if row.name in ("ASGDAMSGrad-clock", "CAdamW")]
each_extreme = pytest.mark.parametrize("row", EXTREMES, ids=lambda row: row.name)
STEPS = 6


@pytest.fixture
def alone(monkeypatch):
    """Build optimizers that step each tensor alone, by the same operations."""

    def step_alone(optimizer):
        step = optimizer.step

        def with_no_buckets(*args, **kwargs):
            with monkeypatch.context() as patch:
                patch.setattr(dispatch, "_BUCKET_BELOW", 0)
                return step(*args, **kwargs)

        optimizer.step = with_no_buckets
        return optimizer

    return step_alone


def pair(row: Row, alone, dtype=torch.float64, **kwargs):
    """Give parameters and an optimizer that steps them together, and the same where each is stepped alone."""
    params, twins = unlike_params(dtype), unlike_params(dtype)
    kwargs = {"weight_decay": 0.1, **kwargs}
    return (params, row.build(params, **kwargs)), (twins, alone(row.build(twins, **kwargs)))


@pytest.mark.parametrize(
    ("row", "dtype"),
    [
        pytest.param(row, dtype, id=f"{row.name}-{dtype}")
        for row in OWN
        for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16)
        # Tensors are laid together by their precision, whatever is done to them.
        if row in COMPILED and (dtype in (torch.float64, torch.bfloat16) or row in EXTREMES)
    ],
)
def test_together_is_alone_to_rounding(row: Row, dtype, alone):
    one, other = pair(row, alone, dtype)
    gradients = gradients_for(one[0], STEPS)
    assert_same_course(*(steps_of(optimizer, params, gradients) for params, optimizer in (one, other)))
    assert_same_state(one[1], other[1], rtol=1e-12 if dtype == torch.float64 else 1e-5)
    ways = {record.path: record.tensors for record in one[1].execution()}
    assert ways == {"together": len(one[0]) - 1, "eager": 1}  # the one without coordinates
    assert [(record.path, record.tensors) for record in other[1].execution()] == [("eager", len(one[0]))]


@each_kind
def test_groups_keep_their_own_numbers(row: Row, alone):
    params, twins = unlike_params(torch.float64), unlike_params(torch.float64)
    other = {"lr": 0.5 * row.kwargs["lr"], "weight_decay": 0.05, "eps": 1e-6, "betas": (0.8, 0.99)}
    together, apart = (
        row.build([{"params": tensors[::2]}, {"params": tensors[1::2], **other}], weight_decay=0.1)
        for tensors in (params, twins)
    )
    gradients = gradients_for(params, STEPS)
    assert_same_course(steps_of(together, params, gradients), steps_of(alone(apart), twins, gradients))


@pytest.mark.parametrize("make", [AMVT, AlphaAdam], ids=lambda cls: cls.__name__)
def test_more_than_fits_into_one_bucket(make, alone):
    """Sixty tensors of nine thousand coordinates, and one that is too large for a bucket."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(9000 + 7 * index,) for index in range(60)] + [(130, 130)]
    params = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    twins = [param.detach().clone().requires_grad_() for param in params]
    together, apart = make(params, lr=1e-2, compile=False), alone(make(twins, lr=1e-2, compile=False))
    gradients = gradients_for(params, 3)
    assert_same_course(steps_of(together, params, gradients), steps_of(apart, twins, gradients))
    assert {record.path: record.tensors for record in together.execution()} == {"together": 60, "eager": 1}


# -- repeating and resuming --


@each_kind
def test_the_same_training_twice_is_the_same_to_the_bit(row: Row):
    found = []
    for _ in range(2):
        params = unlike_params(torch.float32)
        optimizer = row.build(params)
        steps_of(optimizer, params, _now_and_then(params))
        found.append(snapshot(optimizer))
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def _now_and_then(params, seed=3):
    """Give gradients that some of the parameters lack at some of the steps."""
    gradients = gradients_for(params, 9, seed)
    for step, grads in enumerate(gradients):
        for index in range(len(grads)):
            if (index + step) % 3 == 0 or index == step:
                grads[index] = None
    return gradients


@each_kind
def test_parameters_may_lack_gradients_now_and_then(row: Row, alone):
    one, other = pair(row, alone)
    gradients = _now_and_then(one[0])
    assert_same_course(*(steps_of(optimizer, params, gradients) for params, optimizer in (one, other)))
    assert_same_state(one[1], other[1], rtol=1e-12)
    for index, param in enumerate(one[0]):
        assert one[1].state[param]["step"] == sum(grads[index] is not None for grads in gradients)


def _saved(optimizer):
    stream = io.BytesIO()
    torch.save(optimizer.state_dict(), stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


@pytest.mark.parametrize("carry", [_saved, copy.deepcopy, lambda optimizer: optimizer.state_dict()])
@each_extreme
def test_a_training_resumes_bit_for_bit(row: Row, carry):
    """Also where tensors had gradients at different steps, so that they were laid out in many ways."""
    params = unlike_params(torch.float32)
    optimizer = row.build(params)
    gradients = _now_and_then(params)
    steps_of(optimizer, params, gradients[:5])
    others = [torch.empty_like(param).copy_(param).requires_grad_() for param in values(params)]
    fresh, carried = row.build(others), carry(optimizer)
    fresh.load_state_dict(carried if isinstance(carried, dict) else carried.state_dict())
    steps_of(optimizer, params, gradients[5:])
    steps_of(fresh, others, gradients[5:])
    assert_same(params, others)
    left, right = snapshot(optimizer), snapshot(fresh)
    assert all(torch.equal(left[key], right[key]) for key in left)


def test_a_saved_state_is_as_large_as_its_entries():
    """Also where layers have been frozen one after the other; a view of one long tensor drags all of it along."""
    params = [torch.ones(50 + index, requires_grad=True) for index in range(200)]
    optimizer = AMVT(params, compile=False)
    for frozen in range(0, 200, 10):
        for index, param in enumerate(params):
            param.grad = None if index < frozen else torch.ones_like(param)
        optimizer.step()
    entries = [value for state in optimizer.state.values() for value in state.values()]
    memory = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in entries}
    assert sum(memory.values()) <= 2 * sum(value.nbytes for value in entries)


# -- states belong to the user --


@each_kind
def test_entries_look_as_if_each_had_its_own_memory(row: Row):
    params = unlike_params(torch.float32)
    optimizer = row.build(params)
    steps_of(optimizer, params, gradients_for(params, 2))
    for param in params:
        state = optimizer.state[param]
        assert state["exp_avg"].shape == state["exp_avg_sq"].shape == param.shape
        assert state["exp_avg"].dtype == param.dtype
        assert state["step"].shape == ()
        assert not any(value.requires_grad for value in state.values())
    before = snapshot(optimizer)
    optimizer.state[params[4]]["exp_avg"].zero_()
    optimizer.state[params[4]]["step"].fill_(7.0)
    after = snapshot(optimizer)
    assert {key for key in before if not torch.equal(before[key], after[key])} == {"4.exp_avg", "4.step"}


def edit_in_place(params, optimizer):
    optimizer.state[params[4]]["exp_avg"].fill_(0.5)
    optimizer.state[params[6]]["exp_avg_sq"].mul_(4.0)
    for state in optimizer.state.values():
        state["step"].fill_(9.0)


def edit_one_step_count(params, optimizer):
    optimizer.state[params[5]]["step"].fill_(9.0)


def replace_by_hand(params, optimizer):
    state = optimizer.state[params[4]]
    state["exp_avg"] = torch.full_like(params[4], 0.5, dtype=state["exp_avg"].dtype)
    optimizer.state[params[5]]["step"] = torch.tensor(9.0)
    optimizer.state[params[8]]["exp_avg"] = torch.ones(params[8].shape, dtype=state["exp_avg"].dtype)


def replace_a_state(params, optimizer):
    state = optimizer.state[params[4]]
    optimizer.state[params[4]] = {**state, "exp_avg": torch.full_like(state["exp_avg"], 0.5)}


def forget_one(params, optimizer):
    optimizer.state.pop(params[3])


def forget_a_buffer(params, optimizer):
    del optimizer.state[params[3]]["exp_avg"]


def forget_all(params, optimizer):
    optimizer.state.clear()


def load_in_mid_training(params, optimizer):
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


def replace_values(params, optimizer):
    with torch.no_grad():
        params[4].fill_(0.25)
        params[6].mul_(-1.0)


def replace_data(params, optimizer):
    for param in params[3:]:
        param.data = param.data.clone() * 0.5


def move_to_another_order(params, optimizer):
    params[8].data = params[8].data.contiguous()
    params[5].data = params[5].data.t().contiguous().t()


def change_the_precision(params, optimizer):
    for param in params[:6]:
        param.grad, param.data = None, param.data.double()


def put_in_one_memory(params, optimizer):
    """As libraries do that flatten a model."""
    flat = torch.cat([param.data.reshape(-1) for param in params[:8]])
    for param, part in zip(params[:8], torch.split(flat, [param.numel() for param in params[:8]]), strict=True):
        param.data = part.view(param.shape)


def another_setting(params, optimizer):
    optimizer.param_groups[0]["weight_decay"] = 0.0
    optimizer.param_groups[0]["eps"] = 1e-4


def a_new_group(params, optimizer):
    late = torch.linspace(-1.0, 1.0, 12, dtype=params[0].dtype).view(3, 4).requires_grad_()
    params.append(late)
    optimizer.add_param_group({"params": [late], "weight_decay": 0.5})


def freeze(params, optimizer):
    params[4].requires_grad_(False)
    params[4].grad = None
    del params[4]


def turn_a_matrix(params, optimizer):
    params[11].data = params[11].data.t()


DEEDS = [
    edit_in_place,
    edit_one_step_count,
    replace_by_hand,
    replace_a_state,
    forget_one,
    forget_a_buffer,
    forget_all,
    load_in_mid_training,
    replace_values,
    replace_data,
    move_to_another_order,
    change_the_precision,
    put_in_one_memory,
    turn_a_matrix,
    another_setting,
    a_new_group,
    freeze,
]


@pytest.mark.parametrize("apart", [False, True], ids=["together", "alone"])
@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
@each_extreme
def test_what_the_user_does_between_steps_counts(row: Row, deed, apart, alone):
    """What is remembered from step to step is never more than what can be seen: a copy goes on from there alike."""
    params = unlike_params(torch.float32)
    optimizer = row.build(params, weight_decay=0.1)
    optimizer = alone(optimizer) if apart else optimizer
    steps_of(optimizer, params, gradients_for(params, 3))
    deed(params, optimizer)
    others, other = copy.deepcopy((params, optimizer))
    other = alone(other) if apart else other
    gradients = gradients_for(params, 3, seed=2)
    for left, right in zip(steps_of(optimizer, params, gradients), steps_of(other, others, gradients), strict=True):
        assert_same(left, right)
    left, right = snapshot(optimizer), snapshot(other)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[key], right[key]) and left[key].dtype == right[key].dtype for key in left)


@pytest.mark.parametrize("setting", [{"state_dtype": "bfloat16"}, {"amsgrad": True}], ids=str)
def test_a_setting_that_decides_what_buffers_there_are_counts_at_the_next_step(setting):
    params = [param for param in unlike_params(torch.float32) if not param.is_complex()]
    optimizer = Padam(params, lr=0.1, amsgrad=False, compile=False)
    steps_of(optimizer, params, gradients_for(params, 3))
    optimizer.param_groups[0].update(setting)
    others, other = copy.deepcopy((params, optimizer))
    gradients = gradients_for(params, 2, seed=2)
    for left, right in zip(steps_of(optimizer, params, gradients), steps_of(other, others, gradients), strict=True):
        assert_same(left, right)
    state = optimizer.state[params[4]]
    assert ("max_exp_avg_sq" in state) == ("amsgrad" in setting)
    assert state["exp_avg"].dtype == (torch.bfloat16 if "state_dtype" in setting else torch.float32)


@each_kind
def test_a_cleared_state_is_a_fresh_start(row: Row):
    params = unlike_params(torch.float32)
    optimizer = row.build(params)
    steps_of(optimizer, params, gradients_for(params, 3))
    optimizer.state.clear()
    twins = [torch.empty_like(param).copy_(param).requires_grad_() for param in values(params)]
    fresh = row.build(twins)
    gradients = gradients_for(params, 3, seed=2)
    steps_of(optimizer, params, gradients)
    steps_of(fresh, twins, gradients)
    assert_same(params, twins)
    assert optimizer.diagnostics() == fresh.diagnostics()


@each_kind
def test_a_loaded_state_is_no_longer_the_dictionarys(row: Row):
    params = unlike_params(torch.float32)
    optimizer = row.build(params)
    steps_of(optimizer, params, gradients_for(params, 3))
    kept = copy.deepcopy(optimizer.state_dict())
    again = copy.deepcopy(kept)
    optimizer.load_state_dict(kept)
    steps_of(optimizer, params, gradients_for(params, 2))
    for index, state in again["state"].items():
        assert all(torch.equal(value, kept["state"][index][name]) for name, value in state.items())


@each_kind
def test_a_frozen_parameter_stays_and_keeps_its_state(row: Row):
    params = unlike_params(torch.float32)
    optimizer = row.build(params)
    gradients = gradients_for(params, 4)
    steps_of(optimizer, params, gradients[:2])
    before = snapshot(optimizer)
    gradients[2][4] = gradients[3][4] = None
    steps_of(optimizer, params, gradients[2:])
    after = snapshot(optimizer)
    mine = [key for key in before if key.split(".")[0] == "4"]
    assert len(mine) >= 4
    assert all(torch.equal(before[key], after[key]) for key in mine)
