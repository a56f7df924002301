"""``nonfinite="mask"``: a broken coordinate stays as it is and counts as gradient 0; all others step."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from optim.parity import assert_nothing_but, assert_same_course, assert_same_state, gradients_for, snapshot, steps_of
from optim.table import BRIEF, OWN, ROWS, Row
from optim.training import SHAPES, assert_same, make_gradients, make_model, make_params, run, values
from waddington.errors import UnsupportedError
from waddington.optim import AMVT, ASGDAdam, Compressed, LDAdam, MicroAdam
from waddington.optim.engine import host

MASKING = [row for row in ROWS if row.like_adam]
KINDS = [row for row in OWN if row.like_adam]
SOME = ("ASGDAdam-relative", "AMGT-hard", "AlphaAdam-default")
"""Those with a switch, with sums for the next step, with sums for this one; their kernels are those of other files."""

each_variant = pytest.mark.parametrize("row", MASKING, ids=lambda row: row.name)
each_kind = pytest.mark.parametrize("row", KINDS, ids=lambda row: row.name)
each_wrapped = pytest.mark.parametrize("row", [row for row in BRIEF if row.ours and row.wrap], ids=lambda row: row.name)

BROKEN = {1: (2,), 0: (1, 2)}
"""Coordinates, by tensor."""


def spoil(grads, value):
    """Break coordinates of some gradients."""
    grads = [np.copy(grad) for grad in grads]
    for tensor, place in BROKEN.items():
        grads[tensor][place] = value
    return grads


def entries(optimizer, params, tensor, place):
    """Give everything that belongs to one coordinate: its parameter and what the state has for it."""
    param = params[tensor]
    like = [value for value in optimizer.state[param].values() if value.shape == param.shape]
    return [value.detach()[place].clone() for value in (param, *like)]


def restore(optimizer, params, tensor, place, before):
    param = params[tensor]
    like = [value for value in optimizer.state[param].values() if value.shape == param.shape]
    with torch.no_grad():
        for value, old in zip((param, *like), before, strict=True):
            value[place] = old


@pytest.mark.parametrize(
    ("row", "bad"),
    [
        pytest.param(row, bad, id=f"{row.name}-{bad}")
        for bad in (float("nan"), -float("inf"), 1e200)
        for row in (MASKING if bad != bad else KINDS)  # what counts as broken is the engine's affair, not a setting's
    ],
)
def test_a_broken_coordinate_stays_and_the_others_step_as_if_its_gradient_were_zero(row: Row, bad):
    params, twins, gradients = make_params(), make_params(), make_gradients(12)
    optimizer, other = row.build(params), row.build(twins, nonfinite="propagate")
    for t, grads in enumerate(gradients):
        if t not in (4, 7):
            run(optimizer, params, [grads])
            run(other, twins, [grads])
            continue
        before = {tensor: entries(optimizer, params, tensor, place) for tensor, place in BROKEN.items()}
        run(optimizer, params, [spoil(grads, bad)])
        run(other, twins, [spoil(grads, 0.0)])
        for tensor, place in BROKEN.items():
            assert_same(entries(optimizer, params, tensor, place), before[tensor])
            restore(other, twins, tensor, place, before[tensor])
        assert_same(params, twins)
    assert_same(params, twins)
    assert optimizer.diagnostics() == {**other.diagnostics(), "masked_coordinates": 4.0}


@each_variant
def test_a_tensor_without_any_finite_gradient_takes_no_step(row: Row):
    params, twins, gradients = make_params(), make_params(), make_gradients(6)
    optimizer, other = row.build(params), row.build(twins, nonfinite="propagate")
    run(optimizer, params, gradients[:3])
    run(other, twins, gradients[:3])
    whole = gradients[3]
    state = {name: value.clone() for name, value in optimizer.state[params[1]].items()}
    before = values(params)
    run(optimizer, params, [[np.full_like(g, np.nan) if i == 1 else g for i, g in enumerate(whole)]])
    run(other, twins, [[np.zeros_like(g) if i == 1 else g for i, g in enumerate(whole)]])
    assert torch.equal(params[1], before[1])
    for name, value in optimizer.state[params[1]].items():
        assert torch.equal(value, state[name]), name
    assert_same([p for i, p in enumerate(params) if i != 1], [p for i, p in enumerate(twins) if i != 1])
    assert optimizer.diagnostics()["skipped_steps"] == 0
    assert optimizer.diagnostics()["masked_coordinates"] == params[1].numel()


@each_kind
@pytest.mark.parametrize("free", [set(), {"cpu"}], ids=["read on the device", "read on the host"])
def test_a_model_without_any_finite_gradient_is_left_as_it_is(row: Row, free, monkeypatch):
    monkeypatch.setattr(host, "FREE", free)
    params, twins, gradients = make_params(), make_params(), make_gradients(8)
    optimizer, other = row.build(params), row.build(twins)
    for t, grads in enumerate(gradients):
        if t in (0, 5):
            before = snapshot(optimizer)
            run(optimizer, params, [[g * np.nan for g in grads]])
            if t:
                assert_nothing_but({"skipped_steps", "masked_coordinates"}, before, snapshot(optimizer))
        run(optimizer, params, [grads])
        run(other, twins, [grads])
    assert_same(params, twins)
    size = sum(param.numel() for param in params)
    assert optimizer.diagnostics() == {**other.diagnostics(), "skipped_steps": 2.0, "masked_coordinates": 2.0 * size}


@pytest.mark.parametrize("row", [row for row in KINDS if row.name in SOME], ids=lambda row: row.name)
def test_eager_compiled_and_unread_steps_mask_alike(row: Row, monkeypatch):
    shapes = [(70, 300), (3,), (11, 5), (2,), (20000,)]  # some are laid end to end, some are not
    ways = []
    for free, compile in (({"cpu"}, False), (set(), False), ({"cpu"}, True), (set(), True)):
        monkeypatch.setattr(host, "FREE", free)
        params = [torch.zeros(shape, requires_grad=True) for shape in shapes]
        gradients = gradients_for(params, 6)
        for step, value in ((0, torch.nan), (2, 1e25), (3, -torch.inf)):
            gradients[step][0][::10, ::100] = value
            gradients[step][3][:] = value
            gradients[step][2][step, step] = value
        optimizer = row.build(params, compile=compile, weight_decay=0.1)
        ways.append((steps_of(optimizer, params, gradients), optimizer))
    (course, first), *rest = ways
    assert first.diagnostics()["masked_coordinates"] == 3 * (21 + 2 + 1)
    assert first.diagnostics()["skipped_steps"] == 0
    for other_course, other in rest:
        assert_same_course(other_course, course)
        assert_same_state(other, first, rtol=1e-5)


def test_the_largest_gradient_that_counts_is_the_power_below_the_root_of_the_largest_number():
    for dtype, largest in ((torch.float32, 2.0**63), (torch.bfloat16, 2.0**63), (torch.float64, 2.0**511)):
        param = torch.ones(3, dtype=dtype, requires_grad=True)
        optimizer = AMVT([param], lr=0.1, weight_decay=0.0)
        param.grad = torch.tensor([largest, largest * 1.01 * 1.01, 1.0], dtype=dtype)
        optimizer.step()
        assert param[1] == 1.0
        assert param[0] < 1.0
        assert optimizer.diagnostics()["masked_coordinates"] == 1
        assert all(value.isfinite().all() for value in optimizer.state[param].values())


@pytest.mark.parametrize("row", [r for r in MASKING if r.switches], ids=lambda row: row.name)
def test_a_switch_that_takes_its_figures_while_writing_decides_as_one_that_looks_first(row: Row):
    params, twins, gradients = make_params(), make_params(), make_gradients(20)
    late, early = row.build(params), row.build(twins, nonfinite="skip")
    for grads in gradients:
        run(late, params, [grads])
        run(early, twins, [grads])
        assert late.diagnostics() == early.diagnostics()
    assert_same(params, twins)


@each_wrapped
def test_components_around_see_zeros_and_stay_finite(row: Row):
    params, gradients = make_params(), make_gradients(12)
    optimizer = row.build(params)
    for t, grads in enumerate(gradients):
        run(optimizer, params, [spoil(grads, np.nan) if t in (0, 4, 7) else grads])
    assert all(param.isfinite().all() for param in params)
    for state in optimizer.state.values():
        assert all(value.isfinite().all() for value in state.values())
    assert optimizer.diagnostics()["masked_coordinates"] == 6


def test_decay_that_a_component_applies_leaves_a_broken_coordinate_alone():
    param = torch.ones(4, requires_grad=True)
    optimizer = Compressed(AMVT([param], lr=0.1, weight_decay=0.5), fraction=1.0)
    param.grad = torch.tensor([0.0, torch.nan, 0.0, 0.0])
    optimizer.step()
    assert param.tolist() == pytest.approx([0.95, 1.0, 0.95, 0.95])


def test_figures_of_a_step_leave_out_what_was_masked():
    params = [torch.ones(4, requires_grad=True)]
    optimizer = AMVT(params, lr=0.1, weight_decay=0.5)
    optimizer.record()
    for grads in ([1.0, 1.0, 1.0, 1.0], [1.0, torch.nan, 1.0, torch.inf]):
        before = values(params)[0]
        params[0].grad = torch.tensor(grads)
        optimizer.step()
    moved = (params[0].detach() - before).norm() / before.norm()
    assert optimizer.diagnostics()["update_ratio"] == pytest.approx(moved.item(), rel=1e-5)
    figures = optimizer.tensor_diagnostics()
    params[0].grad = torch.full((4,), torch.nan)
    optimizer.step()
    assert optimizer.tensor_diagnostics() == figures


@each_kind
def test_a_state_without_the_count_loads(row: Row):
    params, twins, gradients = make_params(), make_params(), make_gradients(6)
    optimizer, other = row.build(params), row.build(twins)
    run(optimizer, params, gradients[:3])
    run(other, twins, gradients[:3])
    older = copy.deepcopy(optimizer.state_dict())
    assert any(state.pop("masked_coordinates", None) is not None for state in older["state"].values())
    fresh = row.build(params)
    fresh.load_state_dict(older)
    run(fresh, params, gradients[3:])
    run(other, twins, gradients[3:])
    assert_same(params, twins)
    assert fresh.diagnostics() == other.diagnostics()


@pytest.mark.parametrize("cls", [MicroAdam, LDAdam])
def test_those_that_need_whole_tensors_refuse(cls):
    with pytest.raises(UnsupportedError, match=r"nonfinite='mask' with .*accepted are 'skip', 'raise' and 'propagate'"):
        cls(make_params(), nonfinite="mask")
    assert "masked_coordinates" not in cls(make_params()).diagnostics()


def test_steps_inside_backward_mask_too():
    def broken(grad):
        return grad.index_fill(1, torch.tensor([0]), torch.nan)

    model, x, y = make_model(dtype=torch.float64)
    twin = copy.deepcopy(model)
    after, inside = (AMVT(m.parameters(), lr=1e-2) for m in (model, twin))
    inside.step_in_backward()
    for step in range(4):
        for each, optimizer in ((model, after), (twin, inside)):
            optimizer.zero_grad()
            hook = each[0].weight.register_hook(broken) if step == 2 else None
            torch.nn.functional.mse_loss(each(x), y).backward()
            optimizer.step()
            if hook is not None:
                hook.remove()
    for left, right in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)
        assert right.isfinite().all()
    assert after.diagnostics()["masked_coordinates"] == inside.diagnostics()["masked_coordinates"] == 8


def test_complex_numbers_are_pairs_of_coordinates():
    param = torch.ones(2, dtype=torch.complex64, requires_grad=True)
    optimizer = ASGDAdam([param], lr=0.1, alpha_min=0.01)
    param.grad = torch.tensor([complex(1.0, float("nan")), complex(1.0, 1.0)])
    optimizer.step()
    assert param[0].imag == 0.0
    assert param[0].real < 1.0
    assert optimizer.diagnostics()["masked_coordinates"] == 1


def test_the_count_goes_over_all_groups_and_precisions():
    params = [torch.ones(SHAPES[0], requires_grad=True), torch.ones(5, dtype=torch.float64, requires_grad=True)]
    optimizer = AMVT([{"params": params[:1]}, {"params": params[1:]}], lr=0.1)
    for param in params:
        param.grad = torch.ones_like(param)
        param.grad.view(-1)[0] = torch.nan
    optimizer.step()
    assert optimizer.diagnostics()["masked_coordinates"] == 2
    params[1].grad.fill_(torch.inf)
    optimizer.step()
    assert optimizer.diagnostics()["masked_coordinates"] == 8
    assert optimizer.diagnostics()["skipped_steps"] == 0
