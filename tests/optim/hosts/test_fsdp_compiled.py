"""Kernels under FSDP2: they go over shards, unequal and empty ones too, and train as one process does eagerly."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode

from optim.hosts.hosted import net
from optim.hosts.processes import WORLD, on_two_ranks
from optim.parity import COMPILED, assert_same_course, gradients_for
from optim.table import OWN
from optim.training import values
from waddington.optim import AMGT, AMVT, AlphaAdam, ASGDAdam
from waddington.optim.kernels import cache

pytestmark = [
    pytest.mark.slow,  # two processes train everything; test_ddp.py and test_zero.py do at once
    pytest.mark.filterwarnings("ignore:torch.distributed is disabled:UserWarning"),
]

STEPS = 6
BROKEN_AT = 3
LAYOUTS = [Shard(0), Shard(0), Shard(1), Replicate(), Shard(1), Shard(0)]
KINDS = {row.name: row for row in OWN if row in COMPILED}
DEFAULTS = {cls.__name__: cls for cls in (ASGDAdam, AlphaAdam, AMGT, AMVT)}


SETTINGS = {"weight_decay": 0.1}


def _gradients(params: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    gradients = gradients_for(params, STEPS)
    gradients[BROKEN_AT][0][0, 0] = torch.inf  # in the first row, which is the first rank's
    return gradients


def _shards(mixed: bool, dtype: torch.dtype) -> list[torch.Tensor]:
    mesh = init_device_mesh("cpu", (WORLD,))
    model = net(dtype=dtype)
    if not mixed:
        return list(fully_shard(model, mesh=mesh).parameters())
    return [
        torch.nn.Parameter(distribute_tensor(param.detach(), mesh, [layout]))
        for param, layout in zip(model.parameters(), LAYOUTS, strict=True)
    ]


def _steps(optimizer: Any, params: list[Any], gradients: Iterable[list[torch.Tensor]]) -> list[list[torch.Tensor]]:
    course = [[param.full_tensor().detach().clone() for param in params]]
    for grads in gradients:
        for param, grad in zip(params, grads, strict=True):
            param.grad = distribute_tensor(grad, param.device_mesh, param.placements, src_data_rank=None)
        optimizer.step()
        course.append([param.full_tensor().detach().clone() for param in params])
    return course


def _train(name: str, mixed: bool) -> dict[str, Any]:
    params = _shards(mixed, torch.float32)
    optimizer = KINDS[name].build(params, compile=True, **SETTINGS)
    whole = list(net(dtype=torch.float32).parameters())
    return {
        "course": _steps(optimizer, params, _gradients(whole)),
        "figures": optimizer.diagnostics(),
        "ways": sorted({record.path for record in optimizer.execution()}),
    }


def _count_collectives(name: str, compile: bool) -> int:
    params = _shards(False, torch.float32)
    optimizer = DEFAULTS[name](params, compile=compile)
    gradients = gradients_for(list(net(dtype=torch.float32).parameters()), 2)
    _steps(optimizer, params, gradients)
    with CommDebugMode() as communication:
        optimizer.step()
    return communication.get_total_counts()


def _round(compile: bool, mixed: bool) -> list[list[torch.Tensor]]:
    params = _shards(mixed, torch.bfloat16)
    gradients = gradients_for(list(net(dtype=torch.bfloat16).parameters()), STEPS)
    return _steps(_rounding(params, compile), params, gradients)


def _rounding(params: list[torch.Tensor], compile: bool) -> Any:
    return AMVT(params, lr=1e-3, compile=compile, stochastic_rounding=True, **SETTINGS)


def _all(rank: int, names: list[str], kernels: str) -> dict[str, Any]:
    os.environ["WADDINGTON_CACHE"] = kernels
    found: dict[str, Any] = {name: [_train(name, mixed) for mixed in (False, True)] for name in names}
    found["collectives"] = {name: _count_collectives(name, False) for name in DEFAULTS}
    found["collectives"]["ASGDAdam by kernels"] = _count_collectives("ASGDAdam", True)
    found["rounded"] = [_round(compile, mixed) for compile in (True, False) for mixed in (False, True)]
    found["kernels"] = list(cache.kernels_made)
    return found


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    empty = tmp_path_factory.mktemp("kernels")
    return on_two_ranks(_all, tmp_path_factory.mktemp("fsdp_compiled"), list(KINDS), str(empty / "waddington"))


@pytest.mark.parametrize("name", KINDS)
def test_kernels_over_shards_train_as_one_process_eagerly(name, ranks):
    params = list(net(dtype=torch.float32).parameters())
    optimizer = KINDS[name].build(params, compile=False, **SETTINGS)
    course = [values(params)]
    for grads in _gradients(params):
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad
        optimizer.step()
        course.append(values(params))
    for found in (found for rank in ranks for found in rank[name]):
        assert_same_course(found["course"], course)
        assert found["figures"] == pytest.approx(optimizer.diagnostics(), rel=1e-5, abs=1e-5)
        assert found["ways"] == ["compiled"]
    assert optimizer.diagnostics()["masked_coordinates"] == 1


@pytest.mark.parametrize("name", KINDS)
def test_the_ranks_are_in_the_same_place(name, ranks):
    for one, other in zip(*(rank[name] for rank in ranks), strict=True):
        assert one["figures"] == other["figures"]
        for left, right in zip(one["course"], other["course"], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def test_a_kernel_is_made_by_one_rank_and_used_by_both(ranks):
    one, other = (set(rank["kernels"]) for rank in ranks)
    assert one | other
    assert one.isdisjoint(other)


def test_a_step_takes_at_most_one_collective(ranks):
    """All statistics of all tensors travel at once."""
    for rank in ranks:
        assert rank["collectives"] == dict.fromkeys([*DEFAULTS, "ASGDAdam by kernels"], 1)


def test_shards_are_rounded_as_the_whole(ranks):
    params = list(net(dtype=torch.bfloat16).parameters())
    optimizer = _rounding(params, compile=False)
    for grads in gradients_for(params, STEPS):
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad
        optimizer.step()
    for course in (course for rank in ranks for course in rank["rounded"]):
        assert all(torch.equal(a, b) for a, b in zip(course[-1], params, strict=True))
