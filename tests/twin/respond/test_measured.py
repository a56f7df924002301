"""Means, variances and numbers of training cells, by condition and matched by group."""

from __future__ import annotations

import numpy as np
import pytest

from waddington.errors import DataError
from waddington.twin.data.splits import Split
from waddington.twin.respond import Measured, Training
from waddington.twin.respond.measured import parts_of_label

LABELS = np.repeat(["control", "B:knockout", "A:knockout", "A:knockout+B:knockout"], [5, 4, 1, 3])


def split_of(train: np.ndarray | None = None) -> Split:
    train = np.ones(len(LABELS), dtype=bool) if train is None else train
    return Split(kind="perturbation", labels=LABELS, control="control", train=train, split_of={})


def test_sums_up_the_training_cells_of_each_condition() -> None:
    x = np.random.default_rng(0).standard_normal((len(LABELS), 600))
    train = np.arange(len(LABELS)) != 0
    found = Measured.of({"rna": x}, split_of(train))
    assert found.labels == ("control", "A:knockout", "A:knockout+B:knockout", "B:knockout")
    assert found.n.tolist() == [4, 1, 3, 4]
    assert found.perturbations == ("A:knockout", "B:knockout")
    for label, row in found.row.items():
        cells = x[(label == LABELS) & train]
        np.testing.assert_allclose(found.tables["rna"].mean[row], cells.mean(axis=0), rtol=1e-12, atol=1e-12)
        variance = cells.var(axis=0, ddof=1) if len(cells) > 1 else 0.0
        np.testing.assert_allclose(found.tables["rna"].variance[row], variance, rtol=1e-12, atol=1e-12)


def test_a_condition_of_one_cell_tells_nothing_of_the_variance() -> None:
    x = np.random.default_rng(0).standard_normal((len(LABELS), 2))
    found = Measured.of({"rna": x}, split_of())
    parts = [x[label == LABELS].var(axis=0, ddof=1) * n for label, n in (("control", 5), ("B:knockout", 4))]
    parts.append(x[LABELS == "A:knockout+B:knockout"].var(axis=0, ddof=1) * 3)
    np.testing.assert_allclose(found.pooled_variance("rna"), np.sum(parts, axis=0) / 12, rtol=1e-12)


def test_the_error_of_the_control_is_in_a_sum_as_often_as_there_are_parts() -> None:
    """Few controls and many perturbed cells: what varies from screen to screen is the control, twice."""
    labels = np.repeat(["control", "A:knockout", "B:knockout"], [4, 400, 400])
    split = Split(kind="perturbation", labels=labels, control="control", train=np.ones(804, bool), split_of={})
    x = np.random.default_rng(0).standard_normal((len(labels), 3000))
    found = Measured.of({"rna": x}, split)
    sums = found.effects("rna")[1:].sum(axis=0)  # the truth is 0
    claimed = np.sqrt(np.mean(found.sampling_error("rna", {1: 1.0, 2: 1.0}) ** 2))
    assert claimed == pytest.approx(sums.std(), rel=0.1)
    assert claimed == pytest.approx(2 / np.sqrt(4), rel=0.1)


def test_large_values_lose_no_digits() -> None:
    x = 1e8 + np.random.default_rng(0).standard_normal((len(LABELS), 2))
    small = Measured.of({"rna": x - 1e8}, split_of()).pooled_variance("rna")
    np.testing.assert_allclose(Measured.of({"rna": x}, split_of()).pooled_variance("rna"), small, rtol=1e-6)


def test_leaving_out_is_never_having_measured() -> None:
    x = np.random.default_rng(0).standard_normal((len(LABELS), 2))
    whole = Measured.of({"rna": x}, split_of())
    found = whole.without({"A:knockout", "control"})
    assert found.labels == ("control", "A:knockout+B:knockout", "B:knockout")
    np.testing.assert_array_equal(found.tables["rna"].mean, whole.tables["rna"].mean[[0, 2, 3]])
    with pytest.raises(DataError, match="no condition is left"):
        whole.without(set(whole.labels))


def test_groups_are_matched_whatever_their_shares() -> None:
    """The group with a high baseline holds most of the perturbed cells: pooled, that looks like an effect."""
    labels = np.repeat(["control", "A:knockout", "control", "A:knockout"], [30, 10, 10, 30])
    groups = np.repeat(["low", "high"], 40)
    x = np.where(groups == "high", 5.0, 0.0)[:, None] + (labels == "A:knockout")[:, None] * 1.0
    x = x + 1e-3 * np.random.default_rng(0).standard_normal(x.shape)
    split = Split(kind="perturbation", labels=labels, control="control", train=np.ones(80, bool), split_of={})
    pooled, matched = (Training(values={"rna": x}, split=split, groups=g).measured for g in (None, groups))
    assert pooled.effects("rna")[1] == pytest.approx([3.5], abs=0.01)
    assert matched.effects("rna")[1] == pytest.approx([1.0], abs=0.01)
    assert matched.n == pytest.approx([4 / (1 / 30 + 1 / 10)] * 2)


def test_parts_of_a_label() -> None:
    assert parts_of_label("control", "perturbation", "control") == ()
    assert parts_of_label("A:knockout+B:activation", "perturbation", "control") == ("A:knockout", "B:activation")
    assert parts_of_label("time 3", "time", "time 0") == ("time 3",)
