"""State in bfloat16: half the memory, and averages that still move."""

from __future__ import annotations

import copy

import pytest
import torch

from optim.table import OWN
from optim.training import assert_same, make_gradients, make_params, run, values
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim import AMVT, ASGDAdam, LDAdam, MicroAdam

ROWS = [row for row in OWN if row.name not in ("MicroAdam-sparse", "LDAdam-ranked")]
each_rule = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@each_rule
def test_buffers_take_half_the_memory_and_nothing_else_does(row):
    params = make_params(torch.float32)
    optimizer = row.build(params, state_dtype="bfloat16")
    run(optimizer, params, make_gradients(3))
    for param in params:
        state = optimizer.state[param]
        buffers = {name for name in state if name.startswith(("exp_avg", "max_exp_avg")) and state[name].dim() and name}
        for name in buffers & set(optimizer._rule.buffers(optimizer.param_groups[0])):
            assert state[name].dtype == torch.bfloat16
        assert state["step"].dtype == torch.float32
        assert param.dtype == torch.float32


@each_rule
def test_training_stays_close_to_that_with_a_float32_state(row):
    full, half = make_params(torch.float32), make_params(torch.float32)
    start = values(full)
    gradients = make_gradients(40)
    run(row.build(full), full, gradients)
    run(row.build(half, state_dtype="bfloat16"), half, gradients)
    way = torch.cat([(a - b).flatten() for a, b in zip(full, start, strict=True)])
    apart = torch.cat([(a - b).flatten() for a, b in zip(full, half, strict=True)])
    assert apart.norm() < 0.35 * way.norm()


def test_a_slow_average_moves_where_rounding_to_the_nearest_would_not():
    param = torch.ones(4000, requires_grad=True)
    optimizer = AMVT([param], lr=0.0, variance="moments", betas=(0.9, 0.999, 0.99), state_dtype="bfloat16")
    for _ in range(2000):
        param.grad = torch.ones_like(param)
        optimizer.step()
    second = optimizer.state[param]["exp_avg_sq"].float()
    assert second.mean().item() == pytest.approx(1.0 - 0.999**2000, rel=5e-3)


def test_runs_are_repeated_and_resumed_bit_for_bit():
    gradients = make_gradients(8)
    first, again, resumed = (make_params(torch.float32) for _ in range(3))
    for params in (first, again):
        run(ASGDAdam(params, state_dtype="bfloat16"), params, gradients)
    assert_same(first, again)
    optimizer = ASGDAdam(resumed, state_dtype="bfloat16")
    run(optimizer, resumed, gradients[:5])
    later = ASGDAdam(resumed, state_dtype="bfloat16")
    later.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(later, resumed, gradients[5:])
    assert_same(first, resumed)


def test_states_move_between_the_two():
    params = make_params(torch.float32)
    full = AMVT(params)
    run(full, params, make_gradients(3))
    half = AMVT(params, state_dtype="bfloat16")
    state = copy.deepcopy(full.state_dict())
    state["param_groups"][0]["state_dtype"] = "bfloat16"
    half.load_state_dict(state)
    for param in params:
        assert half.state[param]["exp_avg"].dtype == torch.bfloat16
        torch.testing.assert_close(
            half.state[param]["exp_avg"].float(), full.state[param]["exp_avg"], rtol=4e-3, atol=0
        )


def test_what_cannot_be_is_refused():
    with pytest.raises(ArgumentError, match="state_dtype='half'"):
        AMVT(make_params(), state_dtype="half")
    param = torch.zeros(3, dtype=torch.complex64, requires_grad=True)
    param.grad = torch.ones_like(param)
    optimizer = AMVT([param], state_dtype="bfloat16")
    with pytest.raises(UnsupportedError, match="complex"):
        optimizer.step()
    assert not param.detach().any()


@pytest.mark.parametrize("cls", [MicroAdam, LDAdam])
def test_it_is_refused_where_the_state_has_a_form_of_its_own(cls):
    params = make_params()
    words = f"state_dtype='bfloat16' with {cls.__name__}"
    with pytest.raises(ArgumentError, match=words):
        cls([{"params": params, "state_dtype": "bfloat16"}])
    optimizer = cls(params)
    with pytest.raises(ArgumentError, match=words):
        optimizer.add_param_group({"params": [torch.ones(2, requires_grad=True)], "state_dtype": "bfloat16"})
    saved = optimizer.state_dict()
    saved["param_groups"][0]["state_dtype"] = "bfloat16"
    with pytest.raises(ArgumentError, match=words):
        optimizer.load_state_dict(saved)
    for _ in range(2):  # before the first step, and between two
        optimizer.param_groups[0]["state_dtype"] = "bfloat16"
        for param in params:
            param.grad = torch.ones_like(param)
        before, count = [param.detach().clone() for param in params], len(optimizer.state)
        with pytest.raises(ArgumentError, match=words):
            optimizer.step()
        assert all(map(torch.equal, params, before))
        assert len(optimizer.state) == count
        del optimizer.param_groups[0]["state_dtype"]
        optimizer.step()
