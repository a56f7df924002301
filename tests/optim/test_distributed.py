"""Sharded parameters train as on one process; torch.distributed.checkpoint brings moments and switch back."""

from __future__ import annotations

import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

from waddington.optim import ASGDAdam, Padam

KWARGS = {"lr": 1e-2, "alpha_min": 1e-3, "switch_interval": 2}
STEPS = 12


def make(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3)).double()


def gradients(model, step):
    generator = torch.Generator().manual_seed(step)
    scale = 2.0 if step % 5 else 0.2
    return [scale * torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in model.parameters()]


def advance(model, optimizer, first, last):
    for step in range(first, last):
        for param, grad in zip(model.parameters(), gradients(model, step), strict=True):
            param.grad = grad
        optimizer.step()


@pytest.mark.parametrize("flatten", [False, True])
def test_a_checkpoint_restores_moments_and_switch(flatten):
    options = StateDictOptions(flatten_optimizer_state_dict=flatten)
    model = make()
    optimizer = ASGDAdam(model.parameters(), **KWARGS)
    advance(model, optimizer, 0, 7)
    saved = get_optimizer_state_dict(model, optimizer, options=options)
    saved = {key: value.clone() if isinstance(value, torch.Tensor) else value for key, value in saved.items()}
    other = make(seed=1)
    other.load_state_dict(model.state_dict())
    fresh = ASGDAdam(other.parameters(), **KWARGS)
    get_optimizer_state_dict(other, fresh, options=options)  # takes the phantom step
    set_optimizer_state_dict(other, fresh, saved, options=options)
    assert fresh.diagnostics() == optimizer.diagnostics()
    advance(model, optimizer, 7, STEPS)
    advance(other, fresh, 7, STEPS)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    assert fresh.diagnostics() == optimizer.diagnostics()


def _shard(rank, world, port, results):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    mesh = init_device_mesh("cpu", (world,))
    found = {}
    for switch in ("relative", "coordinate", "mean"):
        model = make()
        layouts = [Shard(0), Shard(0), Shard(1), Replicate()]
        params = [
            torch.nn.Parameter(distribute_tensor(p.detach(), mesh, [layout]))
            for p, layout in zip(model.parameters(), layouts, strict=True)
        ]
        optimizer = ASGDAdam(params, switch=switch, **KWARGS)
        trace = []
        for step in range(STEPS):
            for param, grad, layout in zip(params, gradients(model, step), layouts, strict=True):
                if step == 4 and rank == world - 1:
                    grad = torch.full_like(grad, torch.nan)
                param.grad = distribute_tensor(grad, mesh, [layout], src_data_rank=None)
            optimizer.step()
            trace.append(optimizer.diagnostics())
        found[switch] = ([p.full_tensor().detach() for p in params], trace)
    if rank == 0:
        torch.save(found, results)
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_choose_as_one_does(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    results = tmp_path / "sharded.pt"
    mp.spawn(_shard, args=(2, port, results), nprocs=2)
    found = torch.load(results, weights_only=True)
    for switch, (params, trace) in found.items():
        model = make()
        optimizer = ASGDAdam(model.parameters(), switch=switch, **KWARGS)
        for step in range(STEPS):
            if step == 4:  # one rank's gradient was not finite: both left the step out
                assert trace[step]["skipped_steps"] == 1
                continue
            advance(model, optimizer, step, step + 1)
            assert trace[step]["base_rate"] == pytest.approx(optimizer.diagnostics()["base_rate"], rel=1e-12)
        for a, b in zip(model.parameters(), params, strict=True):
            torch.testing.assert_close(a.detach(), b, rtol=1e-10, atol=1e-12)


def test_padam_resumes_from_a_checkpoint_too():
    model, other = make(), make()
    optimizer, fresh = Padam(model.parameters()), Padam(other.parameters())
    advance(model, optimizer, 0, 3)
    other.load_state_dict(model.state_dict())
    set_optimizer_state_dict(other, fresh, get_optimizer_state_dict(model, optimizer))
    advance(model, optimizer, 3, 6)
    advance(other, fresh, 3, 6)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
