"""Every task of the catalogue at its tiny size, without data on disk: trained, repeated, killed, gone on with."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from waddington import bench
from waddington.bench._task import sized

STEPS = 4


class Killed(Exception):
    pass


def trained(name: str, seed: int, *, folder: Path | None = None, kill_at: int | None = None) -> bench.Trained:
    found = bench.get_task(name)
    problem = found.problem(seed, **sized(found, "tiny")[1])
    batch = problem.batch

    def dying(generator: torch.Generator, step: int) -> Any:
        if step == kill_at:
            raise Killed
        return batch(generator, step)

    problem.batch = dying
    parameters = problem.model.parameters() if problem.parameters is None else problem.parameters(problem.model)
    plan = bench.Plan(steps=STEPS, seed=seed, evaluations=2, metric=found.metric, test=True, checkpoint_s=0.0)
    optimizer = torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.1)
    return bench.train(problem, optimizer, bench.Schedule(), plan, folder=folder)


def measured(found: bench.Trained) -> list[dict[str, str]]:
    """Give the curve without clocks; as texts, so that NaN equals NaN and nothing is rounded."""
    return [{name: repr(value) for name, value in row.items() if name != "seconds"} for row in found.curve]


@pytest.mark.parametrize("name", bench.task_names())
def test_a_tiny_run_is_finite_repeats_and_goes_on_where_it_was_killed(name: str, tmp_path: Path) -> None:
    whole = trained(name, 0)
    assert not whole.diverged
    assert [row["step"] for row in whole.curve] == [0, 2, 4]
    assert all(math.isfinite(value) for row in whole.curve[1:] for value in row.values())
    assert whole.test is not None
    if bench.get_task(name).make.__module__.rpartition(".")[2] != "analytic":  # whose loss is also its test
        assert whole.test["loss"] != whole.curve[-1]["loss"]

    with pytest.raises(Killed):
        trained(name, 0, folder=tmp_path, kill_at=3)
    again = trained(name, 0, folder=tmp_path)
    assert measured(again) == measured(whole)
    assert again.test == whole.test

    assert measured(trained(name, 1)) != measured(whole)


@pytest.mark.parametrize("name", bench.task_names())
def test_a_task_says_what_it_is(name: str) -> None:
    found = bench.get_task(name)
    assert found.name == name
    assert found.about.endswith(".")
    if "data" in found.parameters:
        assert found.needs
        assert found.tiny["data"] == "stand-in"
        assert found.parameters["data"] != "stand-in"
    if found.tier in ("gpu", "gpus"):
        assert found.parameters["device"] == "cuda"
        assert found.tiny["device"] == "cpu"
