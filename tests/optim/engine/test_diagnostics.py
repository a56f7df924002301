"""Diagnostics: right, complete, off until asked for, and without a wait for the device."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from optim.table import BRIEF, Row
from optim.training import make_gradients, make_params, run
from waddington.optim import AMGT, AMVT, ASGDAdam, LDAdam, Lookahead, Switched
from waddington.optim.engine import host

each_kind = pytest.mark.parametrize("row", BRIEF, ids=lambda row: row.name)


@each_kind
def test_ratio_and_cosine_are_those_of_the_step(row: Row):
    params, gradients = make_params(), make_gradients(9)
    optimizer = row.build(params)
    optimizer.record()
    run(optimizer, params, gradients[:8])
    before = torch.cat([param.detach().flatten() for param in params])
    run(optimizer, params, gradients[8:])
    after = torch.cat([param.detach().flatten() for param in params])
    figures = optimizer.diagnostics()
    grads = torch.cat([param.grad.flatten() for param in params])
    step = before - after
    if isinstance(optimizer, Lookahead):
        assert "update_ratio" in figures  # of the fast step
        return
    assert figures["update_ratio"] == pytest.approx((step.norm() / before.norm()).item(), rel=1e-6)
    # Decay that a wrapper leaves to the parameters is no part of what it records.
    tolerance = 1e-6 if row.ours or row.cls is torch.optim.SGD else 0.05
    if "preprocessed" not in row.name:
        cosine = (step @ grads / (step.norm() * grads.norm())).item()
        assert figures["update_cosine"] == pytest.approx(cosine, rel=tolerance, abs=tolerance)


@each_kind
def test_recording_changes_nothing_and_each_tensor_has_its_figures(row: Row):
    params, plain, gradients = make_params(), make_params(), make_gradients(12)
    optimizer, other = row.build(params), row.build(plain)
    optimizer.record()
    run(optimizer, params, gradients)
    run(other, plain, gradients)
    assert all(torch.equal(a, b) for a, b in zip(params, plain, strict=True))
    tensors = optimizer.tensor_diagnostics()
    assert list(tensors) == [f"0.{place}" for place in range(len(params))]
    assert set(other.diagnostics()) < set(optimizer.diagnostics())
    assert other.tensor_diagnostics() == {}
    optimizer.record(False)
    run(optimizer, params, gradients[:1])
    assert optimizer.tensor_diagnostics() == {}
    assert set(optimizer.diagnostics()) == set(other.diagnostics())


def test_groups_that_differ_have_the_figures_that_they_have():
    params, gradients = make_params(), make_gradients(5)
    groups = [{"params": params[:2]}, {"params": params[2:], "variance": "coordinate"}]
    optimizer = AMGT(groups)
    optimizer.record()
    run(optimizer, params, gradients)
    tensors = optimizer.tensor_diagnostics()
    assert "grad_variance" in tensors["0.0"]
    assert "grad_variance" not in tensors["1.0"]
    factors = [tensors[name]["momentum_factor"] for name in ("0.0", "0.1", "1.0", "1.1")]
    assert all(0.0 < factor <= 1.0 for factor in factors)
    assert optimizer.diagnostics()["momentum_factor"] == pytest.approx(sum(factors) / 4)


def test_tensors_are_named_as_the_model_names_them():
    model = torch.nn.Linear(3, 2)
    optimizer = AMVT(model.named_parameters())
    optimizer.record()
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert list(optimizer.tensor_diagnostics()) == ["weight", "bias"]


class _HostReads(TorchDispatchMode):
    """Notes every operation that reads a tensor's value on the host."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("recording", [False, True])
@pytest.mark.parametrize("row", [row for row in BRIEF if row.ours and row.cls is not LDAdam], ids=lambda row: row.name)
def test_no_step_reads_a_value_on_the_host(row: Row, recording, monkeypatch):
    monkeypatch.setattr(host, "FREE", set())  # as on a GPU
    params = make_params()
    optimizer = row.build(params)
    optimizer.record(recording)
    run(optimizer, params, make_gradients(2))  # the first step asks once whether it is a checkpoint's probe
    with _HostReads() as reads:
        optimizer.step()
        optimizer.step()
    assert reads.found == []


@pytest.mark.parametrize("row", [row for row in BRIEF if not row.ours], ids=lambda row: row.name)
def test_a_wrapper_that_does_not_look_for_infinities_reads_nothing_either(row: Row, monkeypatch):
    monkeypatch.setattr(host, "FREE", set())
    params, plain, gradients = make_params(), make_params(), make_gradients(2)
    optimizer, bare = row.build(params, nonfinite="propagate"), row.cls(plain, **row.kwargs)
    run(optimizer, params, gradients)
    run(bare, plain, gradients)
    with _HostReads() as reads:
        optimizer.step()
    with _HostReads() as own:
        bare.step()
    assert len(reads.found) == len(own.found)


def test_a_skipped_step_leaves_the_figures_of_the_last_one():
    params, gradients = make_params(), make_gradients(3)
    optimizer = ASGDAdam(params, lr=1e-2, alpha_min=1e-3)
    optimizer.record()
    run(optimizer, params, gradients)
    before = optimizer.tensor_diagnostics()
    run(optimizer, params, [[g * float("nan") for g in gradients[0]]])
    assert optimizer.tensor_diagnostics() == before
    assert optimizer.diagnostics()["skipped_steps"] == 1.0


def test_figures_of_all_layers_of_wrappers_are_there():
    params = make_params()
    optimizer = Lookahead(Switched(AMVT(params, lr=1e-2), alpha_min=1e-3))
    optimizer.record()
    run(optimizer, params, make_gradients(3))
    assert {"penalty", "signal_to_noise", "base_rate", "statistic", "update_ratio"} <= set(optimizer.diagnostics())


def test_recording_is_no_part_of_the_state():
    params = make_params()
    optimizer = AMVT(params)
    plain = set(optimizer.state_dict()["state"])
    optimizer.record()
    run(optimizer, params, make_gradients(2))
    state = optimizer.state_dict()["state"]
    assert plain == set()
    assert set(state[1]) == {"exp_avg", "exp_avg_sq", "exp_avg_var", "step"}
