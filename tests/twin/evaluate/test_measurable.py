"""Only what replicates agree on is measurable: effects are found, noise and drawn labels never are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from waddington.twin.data.splits import Split, split_by_stage
from waddington.twin.evaluate.measurability import CIRCULAR, measure_conditions
from waddington.twin.evaluate.measurable import MAX_CELLS, measure_agreement, reliability

N_FEATURES = 60


def cells(
    effects: dict[str, float], rng: np.random.Generator, *, axis: float = 0.0, n: int = 30
) -> tuple[np.ndarray, np.ndarray]:
    """Give normal cells; each condition shifts all features by its own pattern, and all vary along one common axis."""
    labels = np.repeat(np.array(["control", *effects]), n)
    x = rng.standard_normal((len(labels), N_FEATURES))
    for name, size in effects.items():
        x[labels == name] += size * rng.standard_normal(N_FEATURES)
    x += axis * rng.standard_normal((len(labels), 1)) * rng.standard_normal(N_FEATURES)
    return x.astype(np.float32), labels


def measured(x: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    names = np.array([f"g{i}" for i in range(x.shape[1])])
    design = Split(
        kind="perturbation",
        labels=labels,
        control="control",
        train=np.ones(len(labels), dtype=bool),
        split_of=dict.fromkeys(sorted(set(labels.tolist()) - {"control"}), "held-out cells"),
    )
    return measure_conditions(x, names, design, seed=seed).set_index("condition")


def test_effects_are_measurable_and_their_absence_is_not() -> None:
    x, labels = cells({"A:knockout": 1.0, "B:knockout": 0.0, "C:knockout": 1.0}, np.random.default_rng(0))
    found = measured(x, labels)
    assert found["measurable"].tolist() == [True, False, True]
    assert found.loc["B:knockout", "reason"] == "replicates do not agree"
    assert (found.loc[["A:knockout", "C:knockout"], "half_r"] > 0.8).all()
    assert found.loc["A:knockout", "n_cells"] == 30


def test_many_moderate_effects_are_measurable_where_no_single_one_stands_out() -> None:
    rng = np.random.default_rng(1)
    x, labels = cells({f"G{i}:knockout": 0.22 for i in range(12)}, rng)
    # Many controls, so that their own sampling error does not tie conditions together.
    more = rng.standard_normal((300, N_FEATURES)).astype(np.float32)
    found = measured(np.concatenate([x, more]), np.concatenate([labels, np.full(300, "control")]))
    assert found["measurable"].sum() >= 6


@pytest.mark.parametrize("axis", [0.0, 2.0], ids=["noise", "one strong axis"])
def test_labels_drawn_at_random_are_never_measurable(axis: float) -> None:
    """Along one axis two halves of anything correlate by chance, and in all conditions of a table at once."""
    agreeing = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, labels = cells({f"{name}:knockout": 0.0 for name in "ABCDEF"}, rng, axis=axis)
        found = measured(x, rng.permutation(labels), seed=seed)
        agreeing += int((found["reason"] != "replicates do not agree").sum())
        assert not found["measurable"].any(), seed
    assert (agreeing > 0) == (axis > 0), "only the axis makes the later rules necessary"


def test_half_r_is_the_mean_correlation_of_disjoint_halves() -> None:
    """Against a loop in float64 that halves the cells one at a time."""
    x, labels = cells({"A:knockout": 0.5}, np.random.default_rng(2), n=21)
    target, control = (x[labels == name].astype(np.float64) for name in ("A:knockout", "control"))
    rng = np.random.default_rng(3)
    expected = []
    for _ in range(2000):
        a, c = rng.permutation(target), rng.permutation(control)
        halves = [a[:10].mean(axis=0) - c[:10].mean(axis=0), a[10:].mean(axis=0) - c[10:].mean(axis=0)]
        expected.append(np.corrcoef(halves)[0, 1])
    found = [measure_agreement(target, control, rng=np.random.default_rng(seed)).half_r for seed in range(20)]
    assert np.mean(found) == pytest.approx(np.mean(expected), abs=4 * np.std(expected) / np.sqrt(400))


def test_an_offset_common_to_all_cells_changes_nothing() -> None:
    x, labels = cells({"A:knockout": 1.0}, np.random.default_rng(4))
    target, control = x[labels == "A:knockout"].astype(np.float64), x[labels == "control"].astype(np.float64)
    plain, moved = (
        measure_agreement(target + shift, control + shift, rng=np.random.default_rng(0)) for shift in (0.0, 1e6)
    )
    assert moved.half_r == pytest.approx(plain.half_r, abs=1e-6)


def test_genes_that_a_condition_edits_itself_don_t_count() -> None:
    x, labels = cells({"g0:knockout": 0.0}, np.random.default_rng(5))
    x[labels == "g0:knockout", 0] -= 50.0
    assert not measured(x, labels)["measurable"].any()
    x[labels == "g0:knockout", 1:20] -= 1.0
    assert measured(x, labels)["measurable"].all()


@pytest.mark.parametrize(
    ("n", "features", "reason"), [(3, 60, "fewer than 4 cells"), (30, 2, "fewer than 3 features"), (30, 60, "")]
)
def test_what_is_too_little_to_halve_is_said(n: int, features: int, reason: str) -> None:
    x, labels = cells({"A:knockout": 2.0}, np.random.default_rng(6), n=n)
    assert measured(x[:, :features], labels).loc["A:knockout", "reason"] == reason


def test_stages_of_an_order_of_the_same_cells_are_circular() -> None:
    """Noise that is sorted by its own first feature agrees with itself perfectly."""
    x = np.random.default_rng(8).standard_normal((200, N_FEATURES)).astype(np.float32)
    train = np.arange(200) % 2 == 0
    design = split_by_stage(x[:, 0], train=train)
    found = measure_conditions(x, np.array([f"g{i}" for i in range(N_FEATURES)]), design)
    assert (found["half_r"] > 0.5).any()
    assert not found["measurable"].any()
    assert (found["reason"] == CIRCULAR).all()


def test_a_change_that_is_constant_is_not_measurable() -> None:
    found = measure_agreement(np.zeros((20, 5)), np.zeros((20, 5)), rng=np.random.default_rng(0))
    assert found.half_r == 0.0
    assert not found.agrees


def test_of_very_many_cells_some_are_drawn() -> None:
    rng = np.random.default_rng(7)
    target = (rng.standard_normal((MAX_CELLS + 500, 8)) + np.arange(8)).astype(np.float32)
    assert measure_agreement(target, rng.standard_normal((9000, 8)), rng=rng).agrees


def test_spearman_and_brown() -> None:
    assert reliability(1 / 3) == pytest.approx(0.5)
    assert reliability(1.0) == 1.0
    assert reliability(-1.0) == -np.inf
