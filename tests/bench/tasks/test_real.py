"""Tasks on the data they are meant for: a short training makes the loss fall."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.bench.real import skip_without

from waddington import bench

pytestmark = pytest.mark.data

RUNS: dict[str, tuple[int, dict[str, Any]]] = {
    "a9a": (60, {}),
    "mnist-cnn": (60, {"cases": 1000, "validation_cases": 200}),
    "lenet": (20, {"cases": 1000, "validation_cases": 100}),
    "mnist-autoencoder": (20, {"cases": 1000, "validation_cases": 100, "width": 64}),
    "cifar-resnet8": (20, {"cases": 600, "validation_cases": 100, "test_cases": 100, "width": 8}),
    "char-lstm": (30, {}),
    "char-transformer": (20, {"context": 32}),
    "glue-bert": (20, {"dataset": "STS-B", "cases": 400, "width": 16}),
    "ptb-lstm": (15, {"data": "wikitext2_valid_test", "width": 16, "length": 5, "batch_size": 8, "evaluated": 5}),
}


DATA = {"glue-bert": "glue/STS-B", "ptb-lstm": "wikitext2_valid_test"}
"""Data sets that these parameters name; the others need one alone."""


@pytest.mark.parametrize("name", RUNS)
def test_the_loss_falls(name: str, data_dir: Path) -> None:
    steps, parameters = RUNS[name]
    skip_without(DATA.get(name) or bench.get_task(name).needs[0], data_dir)
    problem = bench.get_task(name).problem(0, **parameters)
    optimizer = torch.optim.AdamW(problem.model.parameters(), lr=1e-2)
    plan = bench.Plan(steps=steps, seed=0, evaluations=1)
    found = bench.train(problem, optimizer, bench.Schedule(), plan)
    assert found.curve[-1]["loss"] < 0.97 * found.curve[0]["loss"]
