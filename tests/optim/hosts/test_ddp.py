"""DistributedDataParallel on two ranks trains as one process on both ranks' rows."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from optim.hosts.hosted import (
    Hosted,
    assert_close,
    assert_equal,
    assert_same_figures,
    batch,
    each_hosted,
    loss_of,
    net,
    train,
    weights,
)
from optim.hosts.processes import WORLD, host_all, of, on_two_ranks

STEPS = 9
SIZE = len(batch(0)[0]) // WORLD  # rows of a rank


def _part(rank: int, of: slice = slice(0, SIZE)) -> slice:
    return slice(rank * SIZE + of.start, rank * SIZE + of.stop)


def _train_plainly(rank: int, hosted: Hosted) -> dict[str, Any]:
    model = DistributedDataParallel(net(seed=rank))  # which hands rank 0's weights to all
    optimizer = hosted.build(model.parameters())
    figures = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss_of(model, step, _part(rank)).backward()
        optimizer.step()
        figures.append(optimizer.diagnostics())
    return {"weights": weights(model.module), "figures": figures}


def _accumulate(rank: int, hosted: Hosted) -> dict[str, Any]:
    model = DistributedDataParallel(net())
    optimizer = hosted.build(model.parameters())
    halves = (slice(0, SIZE // 2), slice(SIZE // 2, SIZE))
    for step in range(STEPS):
        optimizer.zero_grad()
        for half in halves:
            with model.no_sync() if half is halves[0] else nullcontext():
                (loss_of(model, step, _part(rank, half)) / len(halves)).backward()
        optimizer.step()
    return {"weights": weights(model.module), "figures": optimizer.diagnostics()}


def _break_one_rank(rank: int, hosted: Hosted) -> dict[str, Any]:
    model = DistributedDataParallel(net())
    optimizer = hosted.build(model.parameters(), nonfinite="skip")
    for step in range(6):
        optimizer.zero_grad()
        loss = loss_of(model, step, _part(rank))
        (loss * torch.nan if step == 3 and rank == 1 else loss).backward()
        optimizer.step()
    return {"weights": weights(model.module), "figures": optimizer.diagnostics()}


def _train(rank: int, hosted: Hosted) -> dict[str, Any]:
    ways = {"plain": _train_plainly, "accumulated": _accumulate, "broken": _break_one_rank}
    return {way: run(rank, hosted) for way, run in ways.items()}


def _train_all(rank: int) -> dict[str, dict[str, Any]]:
    return host_all(_train, rank)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return on_two_ranks(_train_all, tmp_path_factory.mktemp("ddp"))


def alone(hosted: Hosted, steps: Any = range(STEPS), **settings: Any) -> tuple[torch.nn.Module, Any]:
    model = net()
    optimizer = hosted.build(model.parameters(), **settings)
    train(model, optimizer, steps)
    return model, optimizer


@each_hosted
def test_trains_as_one_process_on_all_rows(hosted: Hosted, ranks):
    model = net()
    optimizer = hosted.build(model.parameters())
    found = of(hosted, ranks)[0]["plain"]
    for step in range(STEPS):
        train(model, optimizer, [step])
        assert_same_figures(found["figures"][step], optimizer.diagnostics(), rtol=1e-9)
    assert_close(found["weights"], weights(model), rtol=1e-9)


@each_hosted
def test_gradients_accumulate_without_synchronizing(hosted: Hosted, ranks):
    model, optimizer = alone(hosted)
    found = of(hosted, ranks)[0]["accumulated"]
    assert_close(found["weights"], weights(model), rtol=1e-9)
    assert_same_figures(found["figures"], optimizer.diagnostics(), rtol=1e-9)


@each_hosted
def test_a_step_broken_on_one_rank_is_left_out_on_both(hosted: Hosted, ranks):
    model, optimizer = alone(hosted, [step for step in range(6) if step != 3], nonfinite="skip")
    found = of(hosted, ranks)[0]["broken"]
    assert found["figures"]["skipped_steps"] == 1
    assert_same_figures(found["figures"], {**optimizer.diagnostics(), "skipped_steps": 1}, rtol=1e-9)
    assert_close(found["weights"], weights(model), rtol=1e-9)


@pytest.mark.parametrize("way", ["plain", "accumulated", "broken"])
@each_hosted
def test_the_ranks_agree_to_the_last_bit(hosted: Hosted, way, ranks):
    one, other = (rank[way] for rank in of(hosted, ranks))
    assert_equal(one["weights"], other["weights"])
    assert one["figures"] == other["figures"]
