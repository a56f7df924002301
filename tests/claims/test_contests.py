"""A contest calls an arm better only where seeds agree, never one of equal arms, and says when it cannot tell."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from tests.claims.records import record

from waddington.claims.contests import Contest, beside, by_arm, by_seed, chained, within

BASE = [0.90, 0.91, 0.89, 0.92, 0.90, 0.88, 0.91, 0.90, 0.93, 0.89]
NOISE = np.random.default_rng(0).normal(0.0, 0.002, 10)


def contest(**changes: object) -> Contest:
    settings = {"first": "A", "others": ("B",), "read": by_arm("accuracy"), "measure": "accuracy", "scale": 100.0}
    return Contest(**{**settings, **changes})  # type: ignore[arg-type]


def judged(first: list, second: list, **changes: object) -> Any:
    rows = [record({"arm": "A", "accuracy": first}), record({"arm": "B", "accuracy": second})]
    return contest(**changes).judge(rows)


def test_what_is_better_on_every_seed_holds_with_its_interval() -> None:
    found = judged([one + 0.02 + e for one, e in zip(BASE, NOISE, strict=True)], BASE)
    assert found.holds is True
    assert 0.0 < found.interval.low < 2.0 < found.interval.high
    assert found.figures["over B"] == pytest.approx(2.0, abs=0.2)
    assert found.words.startswith("accuracy of A, less that of, in points: B 2")


def test_equal_arms_are_never_better_and_shuffled_ones_seldom() -> None:
    assert judged(BASE, BASE).holds is False
    generator = np.random.default_rng(0)
    draws = generator.normal(0.0, 0.01, (5, 2, 10))
    held = [judged([x + e for x, e in zip(BASE, a, strict=True)], [x + e for x, e in zip(BASE, b, strict=True)]).holds
            for a, b in draws.tolist()]  # fmt: skip
    assert held.count(True) <= 1


def test_what_is_worse_does_not_hold_and_two_seeds_cannot_tell() -> None:
    assert judged(BASE, [one + 0.02 + e for one, e in zip(BASE, NOISE, strict=True)]).holds is False
    assert judged([0.92, 0.93], [0.9, 0.9]).holds is None


def test_diverged_runs_are_the_worst_and_said() -> None:
    found = judged(BASE, [None] * 10)
    assert found.holds is True
    assert "10 of 20 runs lost" in found.words
    assert judged([None] * 10, BASE).holds is False


def test_a_best_rate_at_an_end_of_the_search_is_said() -> None:
    rows = [record({"arm": name, "accuracy": BASE, "at_end": end}) for name, end in (("A", ""), ("B", "high"))]
    assert contest().judge(rows).words.endswith("; the best rate lies at an end of the search for B (high)")


def test_a_ratio_must_reach_what_is_claimed() -> None:
    rows = [record({"arms": {"A": {"size": 0.8 * (1.0 + e)}, "B": {"size": 1.0}}}) for e in NOISE]
    ratio = contest(read=by_seed("size"), better="lower", is_ratio=True, claimed={"B": 0.82}, must_reach=("B",))
    found = ratio.judge(rows)
    assert found.holds is True
    assert found.figures["ratio to B"] == pytest.approx(0.8, abs=0.01)
    assert (
        contest(read=by_seed("size"), better="lower", is_ratio=True, claimed={"B": 0.6}, must_reach=("B",))
        .judge(rows)
        .holds
        is False
    )


def test_the_picture_has_a_row_for_each_other_arm() -> None:
    pytest.importorskip("matplotlib")
    rows = [record({"arm": name, "accuracy": BASE}) for name in "ABC"]
    figure = contest(others=("B", "C"), claimed={"B": 2.4}).picture(rows)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["A against B", "A against C"]


def test_a_chain_holds_where_every_link_does() -> None:
    up = [one + 0.02 + e for one, e in zip(BASE, NOISE, strict=True)]
    links = (contest(), contest(first="C", others=("A",)))
    rows = [record({"arm": name, "accuracy": values}) for name, values in (("A", up), ("B", BASE), ("C", up))]
    judge, _ = chained(links)
    assert judge(rows).holds is False  # C is A
    rows[2] = record({"arm": "C", "accuracy": [one + 0.01 - e / 2 for one, e in zip(up, NOISE, strict=True)]})
    assert judge(rows).holds is True


@pytest.mark.parametrize(("shift", "noise", "holds"), [(0.0, 1.0, True), (0.1, 1.0, False), (0.0, 30.0, None)])
def test_about_the_same_must_be_shown(shift: float, noise: float, holds: bool | None) -> None:
    rows = [
        record({"arm": "A", "accuracy": [one + shift + noise * e for one, e in zip(BASE, NOISE, strict=True)]}),
        record({"arm": "B", "accuracy": BASE}),
    ]
    assert within(contest(), 1.0)(rows).holds is holds


def test_what_stands_beside_does_not_decide() -> None:
    rows = [record({"arm": "A", "accuracy": BASE, "size": BASE}), record({"arm": "B", "accuracy": BASE, "size": BASE})]
    found = beside(contest(), contest(read=by_arm("size"), measure="size"))(rows)
    assert (found.holds, list(found.figures)) == (False, ["over B", "size, over B"])


def test_a_ratio_near_one_says_on_which_side_of_it_it_lies() -> None:
    second = [one + 3e-4 + e / 100.0 for one, e in zip(BASE, NOISE, strict=True)]
    found = judged(second, BASE, is_ratio=True, better="lower", scale=1.0)
    assert found.holds is False
    assert re.search(r"B 1\.0003 \(1\.0003 to 1\.0003\)$", found.words)
