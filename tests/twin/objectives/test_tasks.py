"""Both problems are tasks of the bench: found by entry points, the same for a seed, and resumed to the bit."""

from __future__ import annotations

import copy
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch

from waddington import bench
from waddington.bench import catalog
from waddington.bench._task import sized
from waddington.bench.schedule import Schedule
from waddington.bench.training import Plan, Trained, train
from waddington.errors import ArgumentError, MissingExtraError

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"
POINTS = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["entry-points"][catalog.GROUP]
NAMES = ["twin-encoder", "twin-ppo"]


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register what pyproject says, whatever is installed."""
    points = [EntryPoint(name, value, catalog.GROUP) for name, value in POINTS.items()]
    monkeypatch.setattr(catalog, "entry_points", lambda group: points)
    catalog._points.cache_clear()
    yield
    catalog._points.cache_clear()


def trained(name: str, *, seed: int = 0, optimizer: Any = torch.optim.AdamW, **further: Any) -> Trained:
    task = bench.get_task(name)
    steps, parameters = sized(task, "tiny")
    problem = task.problem(seed, **parameters)
    chosen = problem.parameters or (lambda model: model.parameters())
    plan = Plan(
        steps=steps,
        seed=seed,
        evaluations=steps,
        metric=task.metric,
        larger_is_better=task.larger_is_better,
        test=True,
        checkpoint_s=0.0,
    )
    return train(problem, optimizer(chosen(problem.model), lr=1e-2), Schedule(), plan, **further)


def curve(found: Trained) -> list[dict[str, float]]:
    return [{name: x for name, x in row.items() if name != "seconds" and x == x} for row in found.curve]


def test_both_are_registered_and_described() -> None:
    assert sorted(POINTS) == NAMES
    for name in NAMES:
        task = bench.get_task(name)
        assert task.name == name
        assert task.about.endswith(".")
        assert task.tiny["steps"] == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_one_curve_and_another_seed_another(name: str) -> None:
    found, again, other = trained(name), trained(name), trained(name, seed=1)
    assert curve(found) == curve(again)
    assert found.test == again.test
    assert curve(found) != curve(other)
    assert not found.diverged
    assert found.curve[-1]["loss"] != found.curve[0]["loss"]


@pytest.mark.parametrize("name", NAMES)
def test_optimizers_begin_alike_and_see_the_same_first_batch(name: str) -> None:
    first, second = (trained(name, optimizer=one) for one in (torch.optim.AdamW, torch.optim.SGD))
    assert curve(first)[0] == curve(second)[0]
    assert first.curve[1]["train_loss"] == second.curve[1]["train_loss"]
    assert first.curve[1]["loss"] != second.curve[1]["loss"]


@pytest.mark.parametrize("name", NAMES)
def test_a_training_that_was_killed_goes_on_to_the_bit(name: str, tmp_path: Path) -> None:
    def killed(row: dict[str, float]) -> None:
        if row["step"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(name, folder=tmp_path, watch=killed)
    assert (tmp_path / "checkpoint.pt").exists()
    resumed = trained(name, folder=tmp_path)
    assert curve(resumed) == curve(trained(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_can_be_copied_after_a_loss_and_gives_it_again(name: str) -> None:
    task = bench.get_task(name)
    problem = task.problem(0, **sized(task, "tiny")[1])
    batch = problem.batch(torch.Generator().manual_seed(0), 0)
    loss = problem.loss(problem.model, batch)
    torch.autograd.backward(loss)
    twin = copy.deepcopy(problem.model)
    assert torch.equal(problem.loss(twin, batch), loss)


def test_what_is_missing_or_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="cells"):
        bench.get_task("twin-encoder").problem(0, cells=10)
    with pytest.raises(ArgumentError, match="config"):
        bench.get_task("twin-ppo").problem(0, config="large")
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(MissingExtraError, match=r"waddington\[twin\]"):
        bench.get_task("twin-ppo").problem(0)


@pytest.mark.slow
def test_tasks_are_listed_without_the_single_cell_stack() -> None:
    code = "import sys, waddington.twin.objectives; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"anndata", "mudata", "pandas", "stable_baselines3", "gymnasium", "sklearn"} & set(loaded)
