"""FSDP2 on two ranks, with shards of unequal and of no length, trains as one process; checkpoints resume exactly."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

from optim.hosts.hosted import (
    AVERAGED,
    HOSTED,
    SHARDED,
    Hosted,
    assert_close,
    assert_equal,
    assert_same_figures,
    batch,
    each_sharded,
    loss_of,
    net,
    train,
    weights,
)
from optim.hosts.processes import WORLD, host_all, of, on_two_ranks
from waddington.optim import Projected
from waddington.optim.projection import Ball, Box, ConvexSet, Nonnegative

pytestmark = [
    pytest.mark.slow,  # two processes train everything; test_ddp.py and test_zero.py do at once
    pytest.mark.filterwarnings("ignore:torch.distributed is disabled:UserWarning"),
]

STEPS = 10
SAVED_AFTER = 5
FLAT = StateDictOptions(flatten_optimizer_state_dict=True)
SIZE = len(batch(0)[0]) // WORLD


def _sharded(seed: int = 0) -> torch.nn.Module:
    return fully_shard(net(seed), mesh=init_device_mesh("cpu", (WORLD,)))


def _step(rank: int, model: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    optimizer.zero_grad()
    loss_of(model, step, slice(rank * SIZE, (rank + 1) * SIZE)).backward()
    optimizer.step()


def _train(rank: int, hosted: Hosted, folder: str) -> dict[str, Any]:
    model = _sharded()
    optimizer = hosted.build(model.parameters())
    figures = []
    nested: dict[str, Any] = {}
    weights_then: dict[str, Any] = {}
    for step in range(STEPS):
        if step == SAVED_AFTER:
            weights_then = copy.deepcopy(model.state_dict())
            nested = copy.deepcopy(get_optimizer_state_dict(model, optimizer))
            flat = get_optimizer_state_dict(model, optimizer, options=FLAT)
            checkpoint.save({"model": weights_then, "optimizer": flat}, checkpoint_id=Path(folder) / hosted.name)
        _step(rank, model, optimizer, step)
        figures.append(optimizer.diagnostics())
    other = _sharded(seed=1)
    fresh = hosted.build(other.parameters())
    set_model_state_dict(other, weights_then)
    get_optimizer_state_dict(other, fresh)  # takes the probing step
    set_optimizer_state_dict(other, fresh, nested)
    at_loading = fresh.diagnostics()
    for step in range(SAVED_AFTER, STEPS):
        _step(rank, other, fresh, step)
    return {
        "weights": weights(model),
        "figures": figures,
        "lengths": [len(param.to_local()) for param in model.parameters()],
        "resumed": {"weights": weights(other), "at_loading": at_loading, "figures": fresh.diagnostics()},
    }


def _gradients(step: int) -> list[torch.Tensor]:
    model = net()
    loss_of(model, step).backward()
    return [param.grad for param in model.parameters()]


Spoil = Callable[[list[torch.Tensor], int], None]
LAYOUTS = [Shard(0), Shard(0), Shard(1), Replicate(), Shard(1), Shard(0)]


def _mix_layouts(rank: int, hosted: Hosted | Kept, spoil: Spoil, **settings: Any) -> dict[str, Any]:
    """Step with parameters sharded along different dimensions, and with gradients that are not finite at step 4."""
    mesh = init_device_mesh("cpu", (WORLD,))
    params = [
        torch.nn.Parameter(distribute_tensor(param.detach(), mesh, [layout]))
        for param, layout in zip(net().parameters(), LAYOUTS, strict=True)
    ]
    optimizer = hosted.build(params, **settings)
    figures = []
    for step in range(STEPS):
        grads = _gradients(step)
        if step == 4:
            spoil(grads, rank)
        for param, grad, layout in zip(params, grads, LAYOUTS, strict=True):
            param.grad = distribute_tensor(grad, mesh, [layout], src_data_rank=None)
        optimizer.step()
        figures.append(optimizer.diagnostics())
    return {"weights": [param.full_tensor().detach() for param in params], "figures": figures}


def _spoil_on_one_rank(grads: list[torch.Tensor], rank: int) -> None:
    for grad in grads if rank == 1 else ():
        grad.fill_(torch.nan)


def _spoil_some(grads: list[torch.Tensor], rank: int = 0) -> None:
    """Break two coordinates of a tensor whose shards both have one, and all of another, of which one rank has none."""
    grads[0][0, 0], grads[0][-1, -1] = torch.nan, torch.inf
    grads[5].fill_(torch.nan)


def _train_both_ways(rank: int, hosted: Hosted, folder: str) -> dict[str, Any]:
    found = {**_train(rank, hosted, folder), "mixed": _mix_layouts(rank, hosted, _spoil_on_one_rank, nonfinite="skip")}
    if hosted.row.ours:
        found["masked"] = _mix_layouts(rank, hosted, _spoil_some)
    return found


@dataclass(frozen=True)
class Kept:
    """Torch's Adam, whose parameters stay in a set."""

    onto: ConvexSet

    def build(self, params: Any, **settings: Any) -> Projected:
        return Projected(torch.optim.Adam(params, lr=0.05), self.onto, **settings)


KEPT = {
    "nonnegative": Kept(Nonnegative()),
    "box": Kept(Box(-0.1, 0.2)),
    "ball": Kept(Ball(0.5)),
    "ball around a number": Kept(Ball(0.5, center=0.1)),
    "ball of a group": Kept(Ball(1.0, over="group")),
}
"""Sets that shards of a parameter can be projected onto, each by itself or by one sum over them."""


def _train_all(rank: int, folder: str) -> dict[str, dict[str, Any]]:
    kept = {name: _mix_layouts(rank, each, _spoil_on_one_rank, nonfinite="skip") for name, each in KEPT.items()}
    return {**host_all(_train_both_ways, rank, folder, every=[*HOSTED, AVERAGED]), **kept}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fsdp2")


@pytest.fixture(scope="module")
def ranks(folder: Path) -> list[Any]:
    return on_two_ranks(_train_all, folder, str(folder))


def test_the_shards_are_unequal_and_some_are_empty(ranks):
    lengths = [found["lengths"] for found in of(HOSTED[0], ranks)]
    assert lengths == [[4, 4, 2, 2, 1, 1], [3, 3, 1, 1, 0, 0]]


@each_sharded
def test_trains_as_one_process_does(hosted: Hosted, ranks):
    model = net()
    optimizer = hosted.build(model.parameters())
    found = of(hosted, ranks)[0]
    for step in range(STEPS):
        train(model, optimizer, [step])
        assert_same_figures(found["figures"][step], optimizer.diagnostics(), rtol=1e-9)
    assert_close(found["weights"], weights(model), rtol=1e-9)


@pytest.mark.parametrize("hosted", [h for h in HOSTED if h not in SHARDED], ids=lambda hosted: hosted.name)
def test_those_that_need_whole_tensors_say_so(hosted: Hosted, ranks):
    for rank in ranks:
        assert f"cannot use {hosted.row.cls.__name__} on a sharded parameter (DTensor)" in rank[hosted.name]["error"]


@each_sharded
def test_the_ranks_tell_the_same(hosted: Hosted, ranks):
    one, other = of(hosted, ranks)
    assert one["figures"] == other["figures"]
    assert_equal(one["weights"], other["weights"])


@each_sharded
def test_a_distributed_state_resumes_exactly(hosted: Hosted, ranks):
    for found in of(hosted, ranks):
        assert found["resumed"]["at_loading"] == found["figures"][SAVED_AFTER - 1]
        assert found["resumed"]["figures"] == found["figures"][-1]
        assert_equal(found["resumed"]["weights"], found["weights"])


@each_sharded
def test_a_checkpoint_of_two_ranks_resumes_on_one(hosted: Hosted, ranks, folder):
    found = of(hosted, ranks)[0]
    model = net(seed=1)
    optimizer = hosted.build(model.parameters())
    state = {"model": model.state_dict(), "optimizer": get_optimizer_state_dict(model, optimizer, options=FLAT)}
    checkpoint.load(state, checkpoint_id=folder / hosted.name, no_dist=True)
    model.load_state_dict(state["model"])
    set_optimizer_state_dict(model, optimizer, state["optimizer"], options=FLAT)
    assert_same_figures(found["figures"][SAVED_AFTER - 1], optimizer.diagnostics())
    train(model, optimizer, range(SAVED_AFTER, STEPS))
    assert_close(found["weights"], weights(model), rtol=1e-9)
    assert_same_figures(found["figures"][-1], optimizer.diagnostics(), rtol=1e-9)


@each_sharded
def test_layouts_may_differ_between_parameters(hosted: Hosted, ranks):
    _check_mixed(hosted, of(hosted, ranks)[0]["mixed"])


@pytest.mark.parametrize("name", KEPT)
def test_shards_stay_in_the_set_that_whole_parameters_stay_in(name: str, ranks):
    one, other = (rank[name] for rank in ranks)
    params = _check_mixed(KEPT[name], one)
    assert all(torch.equal(a, b) for a, b in zip(one["weights"], other["weights"], strict=True))
    assert not torch.equal(params[0], next(net().parameters()))


def _check_mixed(hosted: Hosted | Kept, found: dict[str, Any]) -> list[torch.Tensor]:
    """Check that parameters that were sharded in several ways are what one process makes of them."""
    params = list(net().parameters())
    optimizer = hosted.build(params, nonfinite="skip")
    for step in range(STEPS):
        if step == 4:  # one rank's gradients were not finite: both left the step out
            assert found["figures"][step]["skipped_steps"] == 1
            continue
        for param, grad in zip(params, _gradients(step), strict=True):
            param.grad = grad
        optimizer.step()
        expected = {**optimizer.diagnostics(), "skipped_steps": float(step > 4)}
        assert_same_figures(found["figures"][step], expected, rtol=1e-9)
    for a, b in zip(found["weights"], params, strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=1e-9, atol=1e-12)
    return params


@pytest.mark.parametrize("hosted", [h for h in SHARDED if h.row.ours], ids=lambda hosted: hosted.name)
def test_broken_coordinates_are_masked_as_in_one_process(hosted: Hosted, ranks):
    params = list(net().parameters())
    optimizer = hosted.build(params)
    found = of(hosted, ranks)[0]["masked"]
    for step in range(STEPS):
        grads = _gradients(step)
        if step == 4:
            _spoil_some(grads)
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad
        optimizer.step()
        assert_same_figures(found["figures"][step], optimizer.diagnostics(), rtol=1e-9)
    assert optimizer.diagnostics()["masked_coordinates"] == 3
    for a, b in zip(found["weights"], params, strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=1e-9, atol=1e-12)
