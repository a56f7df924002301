"""Several arms at once: ANOVA, Friedman, corrections, contrasts."""

from __future__ import annotations

import gc
import math

import numpy as np
import pytest
from scipy import stats

from waddington.bench.statistics import corrected, several
from waddington.errors import ArgumentError, UnknownNameError

ARMS = ("a", "b", "c")


def test_an_analysis_of_variance_by_hand() -> None:
    # seeds (rows): (1, 2, 3), (2, 3, 7), (3, 4, 5); arm means 2, 3, 5, seed means 2, 4, 4, grand mean 10/3
    # arms: 3 * (16/9 + 1/9 + 25/9) = 14, seeds: 3 * (16/9 + 4/9 + 4/9) = 8, total: 126 - 100 = 26, residual 26 - 22 = 4
    # F = (14 / 2) / (4 / 4) = 7 with 2 and 4 degrees
    found = several([[1, 2, 3], [2, 3, 7], [3, 4, 5]], ARMS)
    assert found.test == "repeated-measures ANOVA"
    assert found.statistic == pytest.approx(7)
    assert found.degrees == (2, 4)
    assert found.p == pytest.approx(stats.f.sf(7, 2, 4))
    assert found.epsilon is not None
    assert 0.5 <= found.epsilon <= 1
    assert found.p_corrected == pytest.approx(stats.f.sf(7, 2 * found.epsilon, 4 * found.epsilon))


def test_epsilon_by_hand() -> None:
    # arms b and c vary together against a: a contrast of one dimension, so epsilon is at its worst, 1 / (3 - 1)
    noise = np.array([-1.0, 0.0, 1.0, 2.0])[:, None]
    values = np.array([0.0, 1.0, 2.0]) + noise * np.array([2.0, -1.0, -1.0])
    found = several(values, ARMS)
    assert found.epsilon == pytest.approx(0.5)
    assert found.p_corrected == pytest.approx(stats.f.sf(found.statistic, 1, 3))


def test_of_two_arms_f_is_the_square_of_t() -> None:
    values = np.random.default_rng(0).normal(size=(8, 2))
    found = several(values, ("a", "b"), [("a", "b")])
    assert found.statistic == pytest.approx(stats.ttest_rel(*values.T).statistic ** 2)
    assert found.p == pytest.approx(found.contrasts[0].p_holm)
    assert found.epsilon == pytest.approx(1)


def test_diverged_runs_go_by_ranks() -> None:
    # ranks (1, 2, 3), (1, 2, 3), (1, 3, 2): sums 3, 7, 8; 12 / (3 * 3 * 4) * (9 + 49 + 64) - 3 * 3 * 4 = 40.667 - 36
    found = several([[1, 2, math.inf], [2, 3, 4], [1, math.inf, 5]], ARMS)
    assert found.test == "Friedman"
    assert found.statistic == pytest.approx(122 / 3 - 36)
    assert found.p == pytest.approx(stats.chi2.sf(122 / 3 - 36, 2))


def test_runs_that_raised_are_counted_apart_from_those_that_diverged() -> None:
    values = [[1, math.inf], [math.inf, 3]]
    found = several(values, ("a", "b"), [("b", "a")], raised=[[False, True], [False, False]])
    assert found.reason.startswith("2 x 2 values, 1 run of a diverged, and 1 run of b raised an error: Friedman's")
    assert (found.contrasts[0].paired.n_diverged, found.contrasts[0].paired.n_raised) == ((0, 1), (1, 0))
    with pytest.raises(ArgumentError, match="true where a value is finite"):
        several(values, ("a", "b"), raised=[[True, True], [False, False]])
    with pytest.raises(ArgumentError, match=r"raised of shape \(2,\)"):
        several(values, ("a", "b"), raised=[True, True])


@pytest.mark.parametrize(
    ("values", "arms", "words"),
    [
        ([[1, 2, 3]], ARMS, "two seeds"),
        ([[1, 2, 3], [2, 3, 4]], ARMS, "do not vary"),
        ([[1, math.inf], [2, 3]], ("a", "b"), "three arms"),
        ([[math.inf] * 3, [2] * 3], ARMS, "no arm differs"),
    ],
)
def test_where_there_is_no_test_the_reason_stands(values: list[list[float]], arms: tuple[str, ...], words: str) -> None:
    found = several(values, arms)
    assert found.p is None
    assert words in found.reason


def test_holm_and_bonferroni_by_hand() -> None:
    # sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2, 0.5; each at least the one before
    p = [0.03, 0.01, 0.5, 0.02]
    assert corrected(p) == pytest.approx((0.06, 0.04, 0.5, 0.06))
    assert corrected(p, method="bonferroni") == pytest.approx((0.12, 0.04, 1.0, 0.08))


def test_a_contrast_without_p_still_counts_as_a_question() -> None:
    assert corrected([0.02, None]) == (pytest.approx(0.04), None)
    assert corrected([]) == ()


def test_contrasts_are_corrected_as_one_family() -> None:
    values = np.random.default_rng(1).normal(size=(10, 3)) + np.arange(3.0)
    found = several(values, ARMS, [("a", "b"), ("A", "c")])
    raw = [contrast.paired.p for contrast in found.contrasts]
    assert [c.p_holm for c in found.contrasts] == list(corrected(raw))
    assert [c.p_bonferroni for c in found.contrasts] == list(corrected(raw, method="bonferroni"))
    assert [(c.first, c.second, c.paired.n_contrasts) for c in found.contrasts] == [("a", "b", 2), ("a", "c", 2)]


def test_contrasts_that_were_not_chosen_well_are_refused() -> None:
    values = np.random.default_rng(1).normal(size=(4, 6))
    names = list("abcdef")
    with pytest.raises(ArgumentError, match=r"5 contrasts \(a and b, .*at most 4"):
        several(values, names, [("a", name) for name in "bcdef"])
    for pairs in ([("a", "a")], [("a", "b"), ("b", "a")]):
        with pytest.raises(ArgumentError, match="stands once"):
            several(values, names, pairs)
    with pytest.raises(UnknownNameError, match="unknown arm 'g'"):
        several(values, names, [("a", "g")])
    with pytest.raises(ArgumentError, match="6 different names"):
        several(values, names[:5])


@pytest.mark.parametrize("frozen", [False, True])
def test_a_correction_leaves_garbage_collection_as_it_was(frozen: bool) -> None:
    if frozen:
        gc.freeze()
    try:
        before = gc.get_freeze_count()
        assert corrected([0.01, None, 0.04]) == pytest.approx((0.03, None, 0.08))
        assert bool(gc.get_freeze_count()) is bool(before) is frozen
    finally:
        gc.unfreeze()
