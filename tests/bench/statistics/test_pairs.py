"""Paired differences, held against hand arithmetic and against SciPy's and statsmodels' other routes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from waddington.bench.statistics import paired
from waddington.errors import ArgumentError

INF = math.inf


def test_five_pairs_by_hand() -> None:
    # d = (-1, -2, -3, -2, -2): mean -2, squared deviations 1 + 0 + 1 + 0 + 0 = 2, sd = sqrt(2 / 4) = 0.7071
    found = paired([1, 2, 3, 4, 5], [2, 4, 6, 6, 7])
    assert found.mean == pytest.approx(-2)
    assert found.median == -2
    assert found.d_z == pytest.approx(-2 / math.sqrt(0.5))
    # t = mean / (sd / sqrt(5)) = -6.3246 with 4 degrees of freedom; t's quantile of 97.5 % is 2.7764
    assert found.p_t == pytest.approx(2 * stats.t.sf(6.324555, 4))
    assert found.t_interval is not None
    assert found.t_interval.low == pytest.approx(-2 - 2.776445 * 0.7071068 / math.sqrt(5), abs=1e-6)
    # five of five: the least p of signed ranks is 2 / 2**5 = 0.0625, so there is none below 0.05
    assert (found.wins, found.ties, found.losses) == (5, 0, 0)
    assert found.p_wilcoxon is None
    assert "0.062" in found.reasons["p_wilcoxon"]
    assert found.p_sign == pytest.approx(0.0625)
    assert found.rank_biserial == -1
    # minimum detectable effect of five pairs: 1.68 standard deviations (table of the literature)
    assert found.mde_d_z == pytest.approx(1.682, abs=1e-3)
    assert found.mde == pytest.approx(1.682 * 0.7071068, abs=1e-3)
    assert found.test == "paired t"
    assert found.interval == found.t_interval


def test_ranks_by_hand() -> None:
    # d = (1, -2, 3, 4, 5, 6, 7): the ranks above zero sum to 26 of 28, those below to 2
    found = paired([1, -2, 3, 4, 5, 6, 7], [0] * 7, better="higher")
    assert found.rank_biserial == pytest.approx((26 - 2) / 28)
    # sums of at most 2: {}, {1}, {2}: 3 of 2**7 sign patterns, two-sided twice that
    assert found.p_wilcoxon == pytest.approx(2 * 3 / 2**7)
    # sign test: 6 of 7 or more extreme, (1 + 7) / 2**7 on either side
    assert found.p_sign == pytest.approx(2 * 8 / 2**7)
    assert (found.wins, found.losses) == (6, 1)


@pytest.mark.parametrize("d", [[1, 1, 2, -1, 3, 4], [2, 2, 2, -1, -1, 5, 5], [1, -1, 1, -1, 2, -2, 3, -3]])
def test_tied_ranks_are_counted_as_scipy_counts_them(d: list[float]) -> None:
    exact = stats.wilcoxon(d, method=stats.PermutationMethod(n_resamples=np.inf)).pvalue
    assert paired(d, np.zeros(len(d))).p_wilcoxon == pytest.approx(exact)


def test_other_routes_agree() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(1, 0.1, 12), rng.normal(1.05, 0.1, 12)
    found = paired(first, second)
    described = DescrStatsW(first - second)
    assert found.p_t == pytest.approx(described.ttest_mean(0)[1])
    assert found.t_interval is not None
    assert (found.t_interval.low, found.t_interval.high) == pytest.approx(described.tconfint_mean(0.05))
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(first, second).pvalue)
    assert found.mean_interval is not None
    exact = stats.bootstrap((first - second,), np.mean, method="BCa", n_resamples=50_000, rng=1).confidence_interval
    assert (found.mean_interval.low, found.mean_interval.high) == pytest.approx(tuple(exact), abs=3e-3)
    assert found.interval == found.mean_interval
    assert found == paired(first, second)  # the bootstrap is seeded


def test_a_diverged_run_is_the_worst_rank_and_stays() -> None:
    first, second = [1.0, 2, 3, 4, 5, 6, 7, INF], [1.1, 2.2, 3.3, 4.4, 5.5, 6.6, 7.7, INF]
    one_more = paired([*first, 8.0], [*second, INF])
    assert one_more.by_ranks
    assert one_more.n == 9
    assert one_more.n_diverged == (1, 2)
    assert (one_more.wins, one_more.ties, one_more.losses) == (8, 1, 0)
    assert one_more.mean is one_more.p_t is one_more.mde is one_more.mean_interval is None
    assert "1 run of the first and 2 runs of the second diverged" in one_more.reasons["mean"]
    assert one_more.p == one_more.p_wilcoxon == pytest.approx(2 / 2**8)
    assert one_more.median == pytest.approx(-0.4)
    # as a large finite value would have it
    ranks = paired([*first[:7], 8.0], [*second[:7], 1e9])
    assert one_more.p_wilcoxon == ranks.p_wilcoxon


def test_runs_that_raised_are_infinite_too_and_counted_apart() -> None:
    found = paired([1.0, 2, INF, INF], [2.0, 3, 4, INF], n_raised=(1, 1))
    assert (found.n_diverged, found.n_raised, found.by_ranks) == ((1, 0), (1, 1), True)
    words = "1 run of the first diverged, and 1 run of the first and 1 run of the second raised an error: the mean"
    assert found.reasons["mean"].startswith(words)
    assert paired([1.0, INF], [2.0, 3.0], n_raised=(1, 0)).by_ranks
    with pytest.raises(ArgumentError, match="n_raised=2: n_raised must be a whole number in"):
        paired([1.0, INF], [2.0, 3.0], n_raised=(2, 0))


def test_where_higher_is_better_minus_infinity_is_the_worst() -> None:
    found = paired([0.9, 0.8, -INF], [0.7, 0.9, 0.1], better="higher")
    assert (found.wins, found.losses, found.n_diverged) == (1, 2, (1, 0))


def test_a_median_between_infinities_is_not_measurable() -> None:
    found = paired([1, 1, INF, INF], [0, 2, 1, 1])
    assert found.median is None
    assert "half" in found.reasons["median"]


@pytest.mark.parametrize(
    ("first", "second", "reason", "mean"),
    [
        ([1.0], [2.0], "one seed", -1),
        ([1.0, 2, 3], [1.0, 2, 3], "no seed differs", 0),
        ([1.1, 2.1, 3.1], [1.0, 2, 3], "the differences do not vary", 0.1),
    ],
)
def test_what_does_not_vary_is_not_tested(first: list[float], second: list[float], reason: str, mean: float) -> None:
    found = paired(first, second)
    assert found.mean == pytest.approx(mean)
    unknown = ("p_t", "d_z", "mde", "mde_d_z", "t_interval", "mean_interval")
    assert all(getattr(found, name) is None for name in unknown)
    assert {found.reasons[name] for name in unknown} == {reason}


def test_two_seeds_detect_nothing_and_say_so() -> None:
    found = paired([1.0, 2], [1.5, 2.1])
    assert found.mde is None
    assert "2 seeds" in found.reasons["mde"]


def test_a_median_that_no_seed_moves_has_no_interval() -> None:
    found = paired([1, 1, 1, 1, 2], [0] * 5)
    assert found.mean_interval is not None
    assert found.median_interval is None
    assert "median" in found.reasons["median_interval"]


def test_contrasts_lower_the_level_of_each() -> None:
    values = np.random.default_rng(0).normal(size=(2, 10))
    alone, of_four = paired(*values), paired(*values, n_contrasts=4)
    assert alone.mde_d_z == pytest.approx(0.996, abs=1e-3)
    assert of_four.mde_d_z == pytest.approx(1.284, abs=1e-3)
    assert (alone.mde_wins, of_four.mde_wins) == (9, 10)  # p(9 of 10) = 0.0215, p(10 of 10) = 0.002


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([1.0, math.nan], [1.0, 2.0], "found NaN; write inf"),
        ([1.0, -INF], [1.0, 2.0], "found -inf, though lower is better"),
        ([1.0], [1.0, 2.0], "the same seeds"),
        ([], [], "no empty one"),
    ],
)
def test_what_no_pair_can_be_is_refused(first: list[float], second: list[float], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        paired(first, second)


@settings(max_examples=10, deadline=None)
@given(
    values=st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=3, max_size=9),
    power=st.integers(-200, 200),
)
def test_units_change_no_test(values: list[tuple[float, float]], power: int) -> None:
    first, second = np.array(values).T
    scale = 2.0**power
    one, other = (paired(factor * first, factor * second, n_resamples=100) for factor in (1.0, scale))
    assert (one.p_t, one.p_wilcoxon, one.d_z, one.wins) == (other.p_t, other.p_wilcoxon, other.d_z, other.wins)
    assert other.mean == pytest.approx(scale * (one.mean or 0.0))
    swapped = paired(second, first, n_resamples=100)
    assert (swapped.p_t, swapped.wins) == (pytest.approx(one.p_t) if one.p_t else one.p_t, one.losses)
