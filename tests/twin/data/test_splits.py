from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import ArgumentError, DataError
from waddington.twin.data.conditions import parse_label
from waddington.twin.data.splits import (
    MIN_CELLS,
    SPLITS,
    UNORDERED,
    UNTIMED,
    draw_train_cells,
    split_by_condition,
    split_by_stage,
    split_by_time,
)

GENES = "ABCDEFGHIJ"
SINGLES = [f"{gene}:knockout" for gene in GENES]
DOUBLES = ["A:knockout+B:knockout", "C:knockout+D:knockout", "E:knockout+F:knockout", "G:knockout+H:knockout"]


def screen(n: int = 40) -> np.ndarray:
    return np.repeat(np.array(["control", *SINGLES, *DOUBLES]), n)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), fraction=st.floats(0.2, 0.5))
def test_no_test_cell_is_ever_trained_on(seed: int, fraction: float) -> None:
    design = split_by_condition(screen(), test_fraction=fraction, seed=seed)
    held = {label for label, way in design.split_of.items() if way != "held-out cells"}
    assert not set(design.labels[design.train]) & held
    assert set(design.split_of.values()) <= set(SPLITS)
    hidden = {parse_label(label)[0] for label, way in design.split_of.items() if way == "unseen_single"}
    trained = {edit for label in design.seen for edit in parse_label(label)}
    assert not hidden & trained, "a double in training showed an edit that is held out"
    for label, way in design.split_of.items():
        measured = sum(f"{edit}" in design.seen for edit in parse_label(label))
        if way.startswith("combo_seen"):
            assert way == f"combo_seen{min(2, measured)}"


def test_same_seed_same_design() -> None:
    first, second = (split_by_condition(screen(), seed=3) for _ in range(2))
    assert (first.train == second.train).all()
    assert first.split_of == second.split_of
    assert (split_by_condition(screen(), seed=4).train != first.train).any()


def test_every_condition_gives_its_share_of_test_cells() -> None:
    design = split_by_condition(screen(), test_fraction=0.25, seed=0)
    for label in design.seen:
        assert len(design.cells(label, train=False)) == 10


def test_a_split_of_the_file_is_kept() -> None:
    labels = screen()
    split = np.where(np.arange(len(labels)) % 2 == 0, "train", "test")
    split[labels == DOUBLES[0]] = "test"
    design = split_by_condition(labels, split=split)
    assert (design.train == (split == "train")).all()
    assert design.split_of[DOUBLES[0]] == "combo_seen2"
    assert design.split_of[DOUBLES[1]] == "held-out cells"


def test_small_conditions_are_named_not_scored() -> None:
    labels = np.concatenate([screen(), ["Z:knockout"] * 4])
    design = split_by_condition(labels, singles_fraction=0.0)
    assert "Z:knockout" not in design.split_of
    assert "Z:knockout" in design.notes[0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array(["A:knockout"] * 50), "found no control among 50 cells"),
        (np.array(["control"] * 50), "found 50 cells, all controls"),
        (np.array(["control"] * 5 + ["A:knockout"] * 50), "found 4 training cells of it|found 1 test cells of it"),
        (np.array(["control"] * 50 + ["A:knockout"] * 5), f"none of 1 has {MIN_CELLS} test cells"),
    ],
)
def test_what_cannot_be_measured_is_refused(labels: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_by_condition(labels)


def test_labels_of_times_bear_their_unit_and_keep_late_times_apart() -> None:
    design = split_by_time(np.repeat([0.5, 1_000_000.0, 1_000_001.0], 50), unit="h")
    assert design.control == "time 0.5 h"
    assert set(design.split_of) == {"time 1000000 h", "time 1000001 h"}


def test_times_are_measured_from_the_first() -> None:
    times = np.repeat([3.0, 0.0, 1.0, np.nan], 50)
    design = split_by_time(times)
    assert design.control == "time 0"
    assert design.split_of == {"time 1": "held-out cells", "time 3": "held-out cells"}
    assert design.kind == "time"
    with pytest.raises(DataError, match="found 1 time point"):
        split_by_time(np.zeros(50))


def test_times_and_stages_stay_in_order() -> None:
    design = split_by_time(np.repeat([24.0, 0.0, 3.0, 10.0], 50), unit="h")
    assert design.label_order == ("time 0 h", "time 3 h", "time 10 h", "time 24 h")
    assert list(design.split_of) == ["time 3 h", "time 10 h", "time 24 h"]
    stages = split_by_stage(np.linspace(0, 1, 900), train=draw_train_cells(900), n_stages=12)
    assert stages.label_order == tuple(f"stage {s}" for s in range(1, 13))


def test_stages_are_quarters_of_the_training_cells() -> None:
    train = draw_train_cells(400, seed=1)
    design = split_by_stage(np.linspace(0, 1, 400), train=train)
    assert design.control == "stage 1"
    sizes = [len(design.cells(f"stage {s}", train=True)) for s in range(1, 5)]
    assert max(sizes) - min(sizes) <= 1
    with pytest.raises(ArgumentError, match="n_stages=1"):
        split_by_stage(np.linspace(0, 1, 400), train=train, n_stages=1)


def test_cells_without_an_order_have_no_stage_and_are_no_condition() -> None:
    pseudotime = np.concatenate([np.linspace(0, 1, 400), np.full(40, np.nan)])
    train = np.arange(440) % 3 > 0
    design = split_by_stage(pseudotime, train=train)
    assert set(design.labels[400:]) == {UNORDERED}
    assert UNORDERED not in design.labels[:400]
    alone = split_by_stage(pseudotime[:400], train=train[:400])
    assert (design.labels[:400] == alone.labels).all()
    assert UNORDERED not in design.seen
    assert UNORDERED not in design.split_of


def test_stages_of_several_parts_hold_the_same_mixture() -> None:
    part = np.repeat([0, 1], [300, 100])
    # The second part is short: pooled quantiles would put all of it into the first stages.
    pseudotime = np.concatenate([np.linspace(0, 1, 300), np.linspace(0, 0.2, 100)])
    design = split_by_stage(pseudotime, train=np.arange(400) % 4 > 0, part=part)
    for stage in range(1, 5):
        share = (part[design.labels == f"stage {stage}"] == 1).mean()
        assert share == pytest.approx(0.25, abs=0.03)


def test_cells_without_a_time_are_no_condition() -> None:
    design = split_by_time(np.repeat([0.0, 1.0, np.nan], 50))
    assert UNTIMED in design.labels
    assert UNTIMED not in design.seen
