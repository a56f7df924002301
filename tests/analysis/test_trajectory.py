from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from analysis.cases import build, flat, quadratic
from waddington.analysis import Path, PathRecorder, compare_paths, oscillation
from waddington.errors import ArgumentError


class Point(nn.Module):
    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.zeros(size, dtype=torch.float64))


def walk(points: list[list[float]], losses: list[float] | None = None, rate: float = 0.1) -> Path:
    model = Point(len(points[0]))
    recorder = PathRecorder(model)
    for at, point in enumerate(points):
        model.x.data.copy_(torch.tensor(point))
        recorder.record(losses[at] if losses else float("nan"), rate)
    return recorder.path()


def test_a_staircase_of_right_angles() -> None:
    path = walk([[0, 0], [3, 0], [3, 4], [6, 4]], [3.0, 2.0, 2.5, 1.0])
    assert path.lengths.tolist() == [3.0, 4.0, 3.0]
    assert (path.length, path.displacement) == (10.0, pytest.approx(math.hypot(6, 4)))
    assert path.displacements.tolist() == pytest.approx([0.0, 3.0, 5.0, math.hypot(6, 4)])
    np.testing.assert_allclose(path.turns, [math.pi / 2] * 2)
    assert path.mean_turn == pytest.approx(math.pi / 2)
    assert path.tortuosity == pytest.approx(10.0 / math.hypot(6, 4))
    assert path.oscillation == pytest.approx(0.5 / 3.0)


def test_straight_back_and_still() -> None:
    assert walk([[0, 0], [1, 1], [2, 2]]).turns[0] == pytest.approx(0.0, abs=1e-12)
    back = walk([[0, 0], [1, 1], [0, 0]])
    assert (back.turns[0], back.tortuosity) == (pytest.approx(math.pi), math.inf)
    still = walk([[0, 0], [0, 0], [1, 0], [1, 0]])
    assert np.isnan(still.turns).all()
    assert math.isnan(still.mean_turn)


@settings(max_examples=20)
@given(st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=3, max_size=12))
def test_lengths_and_turns_are_those_of_the_snapshots(points: list[list[float]]) -> None:
    path = walk(points)
    steps = np.diff(path.snapshots, axis=0)
    np.testing.assert_allclose(path.lengths, np.linalg.norm(steps, axis=1), atol=1e-12)
    assert path.length >= path.displacement - 1e-9
    for turn, first, second in zip(path.turns, steps[:-1], steps[1:], strict=True):
        sizes = np.linalg.norm(first) * np.linalg.norm(second)
        if sizes > 1e-6:
            assert math.cos(turn) == pytest.approx(first @ second / sizes, abs=1e-6)


def test_snapshots_are_thinned_evenly_and_the_last_is_always_there() -> None:
    model = Point()
    recorder = PathRecorder(model, snapshots=5)
    for at in range(38):
        model.x.data.fill_(at)
        recorder.record()
        assert len(recorder._held) <= 5
    path = recorder.path()
    assert path.snapshot_at.tolist() == [0, 8, 16, 24, 32, 37]
    assert path.snapshots[:, 0].tolist() == [0, 8, 16, 24, 32, 37]
    assert len(path.lengths) == 37


def test_memory_is_what_it_says() -> None:
    model = build("mlp")
    recorder = PathRecorder(model, snapshots=4)
    for _ in range(20):
        with torch.no_grad():
            model[0].weight.add_(0.1)  # type: ignore[union-attr, operator]
        recorder.record()
    assert 4 * 43 * 8 <= recorder.nbytes <= (4 + 3) * 43 * 8


def test_a_sketch_keeps_distances_on_average() -> None:
    model = Point(4000)
    ratios = []
    for seed in range(30):
        recorder = PathRecorder(model, sketch=64, seed=seed)
        for at in range(4):
            model.x.data.copy_(torch.randn(4000, generator=torch.Generator().manual_seed(at)))
            recorder.record()
        path = recorder.path()
        assert path.snapshots.shape == (4, 64)
        ratios.append(((path.snapshots[3] - path.snapshots[0]) ** 2).sum() / path.displacement**2)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.15)
    assert np.std(ratios) == pytest.approx(math.sqrt(2 / 64), rel=0.5)


def test_a_run_on_a_valley_turns_back_and_forth_at_a_large_rate_and_goes_straight_at_a_small_one() -> None:
    turns = {}
    for rate in (0.02, 0.48):
        model = quadratic([4.0, 4.0, 0.1])
        recorder, optimizer = PathRecorder(model), torch.optim.SGD(model.parameters(), lr=rate)
        recorder.record(model())
        for _ in range(20):
            optimizer.zero_grad()
            model().backward()
            optimizer.step()
            recorder.record(model().detach(), rate)
        turns[rate] = recorder.path().mean_turn
        assert np.array_equal(recorder.path().snapshots[-1], flat(model).numpy())
    assert turns[0.02] < 0.2
    assert turns[0.48] > 2.5


def test_oscillation() -> None:
    assert oscillation(np.array([3.0, 2.0, 1.0])) == 0.0
    assert oscillation(np.array([1.0, 2.0, 1.0])) == 0.5
    assert oscillation(np.array([2.0, np.nan, 2.0, 1.0])) == 0.0
    assert math.isnan(oscillation(np.array([1.0, 1.0])))


def test_paths_are_compared_at_equal_rate_alone() -> None:
    first, second = walk([[0, 0], [1, 0], [2, 0]], [3, 2, 1]), walk([[0, 0], [0, 1], [0, 0]], [3, 2, 3])
    table = compare_paths({"a": first, "b": second})
    assert table["a"]["mean_step"] == table["b"]["mean_step"] == 1.0
    assert (table["a"]["tortuosity"], table["b"]["oscillation"]) == (1.0, 0.5)
    with pytest.raises(ArgumentError, match=r"'a' \(mean rate 0.1\) and 'c' \(0.2\): .* accepted are equal rates"):
        compare_paths({"a": first, "c": walk([[0, 0], [1, 0], [2, 0]], rate=0.2)})
    with pytest.raises(ArgumentError, match=r"'a' \(3 records\) and 'd' \(2\)"):
        compare_paths({"a": first, "d": walk([[0, 0], [1, 0]])})
    with pytest.raises(ArgumentError, match="'e': its rates were not recorded"):
        compare_paths({"a": first, "e": walk([[0, 0], [1, 0], [2, 0]], rate=float("nan"))})


def test_a_path_needs_two_records() -> None:
    recorder = PathRecorder(Point())
    recorder.record()
    with pytest.raises(ArgumentError, match="a path of 1 records; accepted: at least 2"):
        recorder.path()


@pytest.mark.parametrize("how", ["thaws one", "changes places"])
def test_a_path_has_one_space(how: str) -> None:
    """Two layers of one shape that change places would look like a jump."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[0].requires_grad_(False)
    recorder = PathRecorder(model)
    recorder.record()
    model[0].requires_grad_(True)
    model[1].requires_grad_(how == "thaws one")
    with pytest.raises(ArgumentError, match=r"cannot record: .*0.weight.*accepted is a path of the same parameters"):
        recorder.record()


def test_what_did_not_move_has_no_tortuosity() -> None:
    recorder = PathRecorder(nn.Linear(2, 1))
    for _ in range(3):
        recorder.record()
    assert np.isnan(recorder.path().tortuosity)


def test_no_paths_are_not_compared() -> None:
    with pytest.raises(ArgumentError, match="no paths; accepted: at least one"):
        compare_paths({})


def test_a_record_that_fails_is_no_record() -> None:
    recorder = PathRecorder(nn.Linear(2, 1))
    with pytest.raises(ArgumentError, match="cannot record loss="):
        recorder.record(torch.ones(2))
    with pytest.raises(ArgumentError, match="cannot record lr="):
        recorder.record(1.0, "fast")  # type: ignore[arg-type]
    for _ in range(3):
        recorder.record(1.0, 0.1)
    path = recorder.path()
    assert len(path.losses) == len(path.rates) == len(path.displacements) == len(path.lengths) + 1
