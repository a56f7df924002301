"""Compressed gradients between two real processes: unbiased, equal on both, few bits, nothing lost for good."""

from __future__ import annotations

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from optim.hosts.processes import on_two_ranks
from waddington.errors import ArgumentError
from waddington.optim import AMGT
from waddington.optim.communication import CompressionHook, compress_gradients

CASES = {
    "bytes": {"method": "quantize", "levels": 127, "block": 16},
    "signs": {"method": "quantize", "levels": 1, "block": 64, "error_feedback": False},
    "words": {"method": "quantize", "levels": 1000},
    "sparse": {"method": "top_k", "fraction": 0.1},
}


def _model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


def _loss(model, rank):
    generator = torch.Generator().manual_seed(rank)
    x = torch.randn(32, 6, generator=generator)
    return (model(x) - torch.sin(x[:, :1])).square().mean()


def _gradient(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def _work(rank):
    found = {}
    for name, settings in CASES.items():
        model = DistributedDataParallel(_model())
        hook = compress_gradients(model, seed=3, **settings)
        seen = []
        for _ in range(200):
            model.zero_grad()
            _loss(model, rank).backward()
            seen.append(_gradient(model))
        owed = (
            torch.cat([e.flatten() for e in hook.state_dict()["errors"].values()]) if hook._errors else torch.zeros(1)
        )
        trained = DistributedDataParallel(_model())
        compress_gradients(trained, seed=3, **settings)
        optimizer = AMGT(trained.parameters(), lr=1e-2)
        losses = []
        for _ in range(60):
            optimizer.zero_grad()
            loss = _loss(trained, rank)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found[name] = {
            "gradients": torch.stack(seen),
            "owed": owed,
            "figures": hook.diagnostics(),
            "parameters": torch.cat([p.detach().flatten() for p in trained.parameters()]),
            "losses": torch.tensor(losses),
        }
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return on_two_ranks(_work, tmp_path_factory.mktemp("compressed"))


@pytest.fixture(scope="module")
def truth():
    gradients = []
    for rank in range(2):
        model = _model()
        _loss(model, rank).backward()
        gradients.append(_gradient(model))
    return torch.stack(gradients).mean(0)


@pytest.mark.parametrize("name", CASES)
def test_both_processes_train_alike(found, name):
    assert torch.equal(found[0][name]["gradients"], found[1][name]["gradients"])
    assert torch.equal(found[0][name]["parameters"], found[1][name]["parameters"])
    assert found[0][name]["losses"][-1] < 0.6 * found[0][name]["losses"][0]


@pytest.mark.parametrize("name", CASES)
def test_the_mean_over_steps_is_the_gradient(found, truth, name):
    gradients = found[0][name]["gradients"]
    # Of one level, the coarsest: a coordinate is ±max with probability |g|/max, and zero else.
    spread = (truth.abs().clamp_min(1e-3) * truth.abs().max() / len(gradients)).sqrt()
    assert ((gradients.mean(0) - truth).abs() <= 5 * spread).all()


@pytest.mark.parametrize("name", ["bytes", "sparse"])
def test_what_was_sent_and_what_is_owed_is_all_there_was(found, truth, name):
    sent = found[0][name]["gradients"].sum(0)
    owed = (found[0][name]["owed"] + found[1][name]["owed"]) / 2
    # one bucket holds the parameters from the last to the first
    pieces = [p.numel() for p in _model().parameters()]
    assert sum(pieces) == owed.numel()
    torch.testing.assert_close(sent + owed, 200 * truth, rtol=1e-4, atol=1e-4)


def test_traffic_is_what_the_method_promises(found):
    ratio = {name: found[0][name]["figures"]["traffic_ratio"] for name in CASES}
    assert ratio["bytes"] == pytest.approx(1 / 4 + 5 / 65)  # a byte each, and a norm for every 16 of 65
    assert ratio["words"] == pytest.approx(1 / 2 + 1 / 65)
    assert ratio["sparse"] == pytest.approx(2 * 6 / 65)
    error = {name: found[0][name]["figures"]["compression_error"] for name in CASES}
    assert error["words"] < error["bytes"] < error["signs"]


def test_the_state_moves_to_a_fresh_hook_and_a_foreign_one_is_refused():
    params = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))]
    hook, other = CompressionHook(params), CompressionHook(params)
    hook._errors = {params[1]: torch.tensor([1.0, -2.0])}
    other.load_state_dict(hook.state_dict())
    assert torch.equal(other._errors[params[1]], torch.tensor([1.0, -2.0]))
    with pytest.raises(ArgumentError, match="parameter 1 with 2 coordinates"):
        CompressionHook(params[:1]).load_state_dict(hook.state_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "zip"}, "'quantize', 'top_k'"),
        ({"levels": 0}, "cannot use levels=0"),
        ({"levels": 2**15}, "cannot use levels=32768"),
        ({"fraction": 0.0}, r"cannot use fraction=0.0"),
        ({"block": 0}, "cannot use block=0"),
    ],
)
def test_argument_errors(settings, message):
    with pytest.raises(ArgumentError, match=message):
        CompressionHook([], **settings)


def test_a_model_without_processes_is_refused():
    with pytest.raises(ArgumentError, match="must be a DistributedDataParallel"):
        compress_gradients(_model())
