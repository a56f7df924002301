"""Judges of printed tables and of momentum say which way a difference goes, and NaN passes none of them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from waddington import jobs
from waddington.claims.experiments.momentum import is_the_factor
from waddington.claims.experiments.tables import is_more_than_sampling, is_significant


def records(*results: dict[str, Any]) -> list[jobs.Record]:
    return [
        jobs.Record(
            key="k", kind="", label="", spec={}, status="done", result=one, error=None, seeds={}, code={}, machine={},
            started="2026-11-30T00:00:00", seconds=1.0, attempts=1,
        )
        for one in results
    ]  # fmt: skip


def gain(mean: float) -> dict[str, Any]:
    return {
        "first": "A", "second": "B", "mean": mean, "error": 0.5, "largest": "RTE", "largest_share": mean, "wins": 4,
        "losses": 3, "p_wilcoxon": 0.01,
    }  # fmt: skip


@pytest.mark.parametrize(("mean", "holds"), [(1.0, True), (0.9, False), (-1.0, False), (math.nan, False)])
def test_a_gain_is_a_gain(mean: float, holds: bool) -> None:
    assert is_more_than_sampling(records(gain(mean))).holds is holds


def rows(*pairs: tuple[int, int, float]) -> list[jobs.Record]:
    return records(
        *(
            {"first": "A", "second": "B", "first_right": a, "second_right": b, "p_fisher": p, "p_mcnemar_least": p}
            for a, b, p in pairs
        )
    )


def test_more_right_answers_than_every_other_one_is_more_and_not_only_other() -> None:
    assert is_significant(rows((500, 400, 0.001), (500, 410, 0.002))).holds
    assert not is_significant(rows((500, 400, 0.001), (410, 500, 0.002))).holds
    assert not is_significant(rows((500, 400, 0.001), (500, 450, 0.06))).holds
    for at in (0, 1):
        pairs = [(500, 400, 0.001), (500, 410, 0.002)]
        pairs[at] = (500, 400, math.nan)
        found = is_significant(rows(*pairs))
        assert not found.holds
        assert math.isnan(found.figures["largest p (Holm)"])


@pytest.mark.parametrize("variances", [(math.nan, 0.1), (0.1, math.nan)])
def test_a_factor_that_is_no_number_is_not_the_printed_one(variances: tuple[float, float]) -> None:
    drawn = records(
        *(
            {"beta": 0.9, "variance": one, "printed": 0.1, "variance_error": 0.01, "steps": 10, "displacement": 0.8}
            for one in variances
        )
    )
    assert not is_the_factor(drawn).holds
