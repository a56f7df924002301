"""Snapshots of a training, and the directions in which the encoder's loss is drawn."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from waddington.twin.run.loss_surface import _directions, _paths
from waddington.twin.run.snapshots import keep_snapshot, read_snapshots


@pytest.mark.parametrize(
    ("epochs", "kept"),
    [(1, [1]), (5, [1, 2, 3, 4, 5]), (12, [*range(1, 13)]), (30, [*range(3, 31, 3)]), (31, [*range(3, 31, 3), 31])],
)
def test_snapshots_are_even_and_the_last_is_there(tmp_path: Path, epochs: int, kept: list[int]) -> None:
    module = nn.Linear(1, 1)
    assert read_snapshots(tmp_path) is None
    for epoch in range(1, epochs + 1):
        nn.init.constant_(module.weight, epoch)
        keep_snapshot(tmp_path, module, epoch, epochs)
    found = read_snapshots(tmp_path)
    assert found is not None
    assert found[:, 0].tolist() == kept


def test_paths_begin_at_one_start_and_what_diverged_is_left_out(tmp_path: Path) -> None:
    for name, values in {"Adam": [1.0, 2.0], "SGD": [np.nan], "none": []}.items():
        (tmp_path / name).mkdir()
        for epoch, value in enumerate(values, 1):
            module = nn.Linear(1, 1)
            nn.init.constant_(module.weight, value)
            nn.init.zeros_(module.bias)
            keep_snapshot(tmp_path / name, module, epoch, len(values))
    encoders = {(name, 0): name for name in ("Adam", "SGD", "none")} | {("Adam", 1): "other seed"}
    folder = SimpleNamespace(files_of=lambda job: tmp_path / job)
    found = _paths(folder, SimpleNamespace(encoders=encoders), 0, torch.zeros(2))  # type: ignore[arg-type]
    assert list(found) == ["Adam"]
    assert found["Adam"].tolist() == [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]


def test_a_path_along_one_direction_is_drawn_in_random_ones() -> None:
    module = nn.Linear(3, 2)
    line = torch.arange(4.0)[:, None] * torch.ones(8)
    directions, shares = _directions(module, line, seed=0)
    assert (directions.shape, shares) == ((2, 8), None)
    directions, shares = _directions(module, torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), seed=0)
    assert shares is not None
    torch.testing.assert_close(directions @ directions.T, torch.eye(2))
