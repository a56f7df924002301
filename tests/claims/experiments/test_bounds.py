"""A theorem is confirmed where its bound holds, says something, and has its assumptions; else it is not."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from waddington import jobs
from waddington.claims.experiments import bounds


def record(*rows: dict[str, Any], problem: str = "quadratic") -> jobs.Record:
    return jobs.Record(
        key="", kind="", label="", spec={}, status="done", result={"problem": problem, "judged": list(rows)},
        error=None, seeds={}, code={}, machine={}, started="2026-11-30T00:00:00", seconds=1.0, attempts=1,
    )  # fmt: skip


def row(**changes: Any) -> dict[str, Any]:
    return {
        "theorem": "ergodic", "form": "printed", "eps": "outside", "holds": True, "vacuous": False, "tightest": 2.0,
        "useful_from": 10.0, "trivial": 1.0, "violated": [], "unknown": [], "at": [1.0, 2.0], "measured": [0.5, 0.4],
        "allowed": [1.0, 0.8], **changes,
    }  # fmt: skip


def test_a_bound_that_holds_says_something_and_has_its_assumptions_is_confirmed() -> None:
    found = bounds.ergodic([record(row()), record(row())])
    assert found.holds is True
    assert "of 2 settings the bound holds in 2 and says more than bounded gradients do in 2" in found.words
    assert "from T = 10" in found.words


@pytest.mark.parametrize(
    "changes", [{"holds": False}, {"vacuous": True}, {"violated": ["norms of gradients over the run"]}]
)
def test_one_run_that_fails_one_of_three_rules_is_enough(changes: dict[str, Any]) -> None:
    found = bounds.ergodic([record(row()), record(row(**changes))])
    assert found.holds is False
    assert not changes.get("violated") or "violated are norms of gradients over the run (in 1)" in found.words


def test_only_what_is_printed_with_the_algorithms_epsilon_is_judged() -> None:
    others = [row(theorem="nonergodic", holds=False), row(form="mended", holds=False), row(eps="inside", holds=False)]
    assert bounds.ergodic([record(row(), *others)]).holds is True
    assert bounds.nonergodic([record(row(), *others)]).holds is False


def test_a_bound_that_never_says_anything_says_so() -> None:
    assert "at no T" in bounds.ergodic([record(row(vacuous=True, useful_from=math.inf))]).words


@pytest.mark.parametrize("problem", bounds.PROBLEMS)
def test_runs_stand_beside_both_theorems_in_every_form(problem: str) -> None:
    found = dict(bounds.theorems(0, problem=problem, optimizer="ASGDAMSGrad", rate=1e-2, steps=8, runs=1))
    assert found["widened"] == 0.0  # which AMSGrad's maximum prevents
    assert len(found["judged"]) == 8
    assert {one["holds"] for one in found["judged"]} == {True}
    assert json.loads(json.dumps(found)) == found
    assert dict(bounds.theorems(0, problem=problem, optimizer="ASGDAMSGrad", rate=1e-2, steps=8, runs=1)) == found


def test_regret_is_measured_in_a_box() -> None:
    found = bounds.regret(0, problem="quadratic", optimizer="ASGDAdam", steps=20, momentum_decay=0.9)
    (printed, _) = found["judged"]
    assert printed["at"] == [2.0, 20.0]
    assert all(math.isfinite(value) for value in printed["measured"])


def test_curves_of_each_problem_are_drawn_once() -> None:
    pytest.importorskip("matplotlib")
    figure = bounds.picture_of("ergodic")([record(row()), record(row()), record(row(), problem="mlp")])
    (axes,) = figure.axes
    assert {line.get_label() for line in axes.lines} == {
        "quadratic, measured", "quadratic, bound", "mlp, measured", "mlp, bound",
    }  # fmt: skip
