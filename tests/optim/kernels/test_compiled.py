"""A kernel does what the same rule does eagerly, but for rounding: every rule, dtype, shape, memory layout and path."""

from __future__ import annotations

import pytest
import torch

from optim.parity import (
    COMPILED,
    NoHostReads,
    assert_nothing_but,
    assert_same_course,
    assert_same_state,
    gradients_for,
    snapshot,
    steps_of,
    unlike_params,
)
from optim.table import OWN, Row
from waddington.errors import DataError
from waddington.optim import AMVT, AlphaAdam
from waddington.optim.engine import host

STEPS = 6
KINDS = {row.name: row for row in OWN if row in COMPILED}


def optimizer_for(row: Row, params, compile, **kwargs):
    """Build an optimizer of two groups whose numbers all differ."""
    other = {"lr": 0.5 * row.kwargs["lr"], "weight_decay": 0.05, "eps": 1e-6, "betas": (0.8, 0.99)}
    groups = [{"params": params[::2]}, {"params": params[1::2], **other}]
    return row.build(groups, compile=compile, **{"weight_decay": 0.1, **kwargs})


def both_ways(row: Row, dtype, ulps=4.0, **kwargs):
    """Train eagerly and by kernels, with gradients that are broken in places, and hold one against the other."""
    left, right = unlike_params(dtype), unlike_params(dtype)
    compiled, eager = optimizer_for(row, left, True, **kwargs), optimizer_for(row, right, False, **kwargs)
    gradients = gradients_for(left, STEPS)
    for step, value in ((0, torch.nan), (2, torch.inf), (4, -torch.inf)):
        gradients[step][3].fill_(value)  # one tensor in all places, two in some
        gradients[step][6][::2, step] = value
        gradients[step][7][0, 0, 1] = value
    assert_same_course(steps_of(compiled, left, gradients), steps_of(eager, right, gradients), ulps)
    assert compiled.diagnostics()["masked_coordinates"] == 3 * (5 + 65 + 1)
    assert_same_state(compiled, eager, rtol=256 * torch.finfo(compiled.state[left[3]]["exp_avg"].dtype).eps)
    assert compiled.diagnostics() == pytest.approx(eager.diagnostics(), rel=1e-5, abs=1e-5)
    assert {record.path for record in eager.execution()} == {"eager", "together"}
    records = compiled.execution()
    assert sorted(record.path for record in records) == ["compiled", "eager"]
    assert records[-1].reason == "its memory has gaps"
    assert records[-1].tensors == 1


def test_equals_eager_where_coupled_decay_is_maximized():
    both_ways(KINDS["AMGT-hard"], torch.float32, maximize=True, decoupled_weight_decay=False)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "name",
    # What is written for a dtype depends on it alone, and on which operations there are.
    [pytest.param(name, marks=[] if at % 3 == 0 else pytest.mark.slow) for at, name in enumerate(KINDS)],
)
def test_equals_eager_in_every_precision(name, dtype):
    both_ways(KINDS[name], dtype)


@pytest.mark.parametrize("row", COMPILED, ids=lambda row: row.name)
def test_equals_eager_to_rounding(row: Row):
    both_ways(row, torch.float32)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_recorded_of_a_step_is_the_same(name):
    found = []
    for compile in (True, False):
        params = unlike_params(torch.float32)
        optimizer = optimizer_for(KINDS[name], params, compile)
        optimizer.record()
        steps_of(optimizer, params, gradients_for(params, STEPS))
        found.append((optimizer.diagnostics(), optimizer.tensor_diagnostics()))
    (ours, ours_by_tensor), (theirs, theirs_by_tensor) = found
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4, nan_ok=True)
    assert ours_by_tensor.keys() == theirs_by_tensor.keys()
    for tensor, figures in theirs_by_tensor.items():
        assert ours_by_tensor[tensor] == pytest.approx(figures, rel=1e-4, abs=1e-4, nan_ok=True), tensor


# -- devices whose values the host does not read, and steps that are not taken --

some_kinds = pytest.mark.parametrize("name", ["ASGDAdam-relative", "AMGT-hard", "AlphaAdam-default"])
BROKEN = {"nan": float("nan"), "inf": float("inf"), "overflow": 1e30}  # whose square float32 does not hold


@some_kinds
def test_equals_eager_where_the_host_reads_nothing(name, monkeypatch):
    row = KINDS[name]
    ways = []
    for free, compile in (({"cpu"}, False), (set(), False), (set(), True)):
        monkeypatch.setattr(host, "FREE", free)
        params = unlike_params(torch.float32)
        optimizer = optimizer_for(row, params, compile)
        ways.append((steps_of(optimizer, params, gradients_for(params, STEPS)), optimizer))
    (read, on_host), (unread, eager), (by_kernel, compiled) = ways
    assert_same_course(unread, read)
    assert_same_course(by_kernel, unread)
    assert_same_state(eager, on_host, rtol=1e-5)
    assert_same_state(compiled, eager, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "compile"),
    [("ASGDAdam-relative", True), ("ASGDAdam-relative", False), ("AMGT-hard", "auto"), ("AlphaAdam-default", False)],
)
@pytest.mark.parametrize("free", [set(), {"cpu"}], ids=["read on the device", "read on the host"])
def test_a_step_left_out_changes_nothing(name, compile, free, monkeypatch):
    monkeypatch.setattr(host, "FREE", free)
    params = unlike_params(torch.float32)
    optimizer = optimizer_for(KINDS[name], params, compile, nonfinite="skip")
    first, bad, *rest = gradients_for(params, STEPS)
    steps_of(optimizer, params, [first])
    for where, value in enumerate(BROKEN.values(), start=3):
        before = snapshot(optimizer)
        broken = [grad.clone() for grad in bad]
        broken[where].view(-1)[-1] = value
        steps_of(optimizer, params, [broken])
        assert_nothing_but({"skipped_steps"}, before, snapshot(optimizer))
    assert optimizer.diagnostics()["skipped_steps"] == len(BROKEN)
    twins = unlike_params(torch.float32)
    undisturbed = optimizer_for(KINDS[name], twins, compile, nonfinite="skip")
    steps_of(optimizer, params, rest)
    steps_of(undisturbed, twins, [first, *rest])
    assert_nothing_but({"skipped_steps"}, snapshot(undisturbed), snapshot(optimizer))


@pytest.mark.parametrize("compile", [True, False, "auto"])
def test_a_step_refused_changes_nothing(compile):
    params = unlike_params(torch.float32)
    optimizer = optimizer_for(KINDS["ASGDAdam-relative"], params, compile, nonfinite="raise")
    first, bad = gradients_for(params, 2)
    steps_of(optimizer, params, [first])
    before = snapshot(optimizer)
    bad[6][3, 4] = torch.nan
    with pytest.raises(DataError, match=r"in the gradients of parameters of shape \(129, 17\);"):
        steps_of(optimizer, params, [bad])
    assert_nothing_but(set(), before, snapshot(optimizer))


@some_kinds
def test_a_kernel_needs_no_value_on_the_host(name, monkeypatch):
    monkeypatch.setattr(host, "FREE", set())
    params = unlike_params(torch.float32)
    optimizer = optimizer_for(KINDS[name], params, True)
    steps_of(optimizer, params, gradients_for(params, 2))  # the first step asks whether it is a checkpoint's probe
    with NoHostReads():
        optimizer.step()
        optimizer.step()


# -- stochastic rounding --


@pytest.mark.parametrize("make", [AMVT, AlphaAdam], ids=lambda cls: cls.__name__)
def test_random_roundings_are_the_same_by_kernel_together_and_alone(make, monkeypatch):
    """The random bits are those of a coordinate and a step; values that agree in float32 are rounded alike."""
    ways = []
    for compile, alone in ((True, True), (False, False), (False, True)):
        params = unlike_params(torch.bfloat16)
        settings = {"stochastic_rounding": True, "compile": compile}
        optimizer = make(params, lr=1e-3, weight_decay=0.1, **settings)
        if alone:
            monkeypatch.setattr("waddington.optim.engine.dispatch._BUCKET_BELOW", 0)
        ways.append(steps_of(optimizer, params, gradients_for(params, STEPS)))
        monkeypatch.undo()
    by_kernel, together, alone = ways
    for a, b, c in zip(by_kernel, together, alone, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, c, strict=True))
        assert all(torch.equal(x, y) for x, y in zip(b, c, strict=True))
