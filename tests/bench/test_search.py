from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from waddington import bench, jobs
from waddington.bench.search import Phase, course, expected_runs, value_of
from waddington.jobs.records import make_record

Value = Callable[[bench.Run], float]


def record(run: bench.Run, value: float) -> jobs.Record:
    """Make the record that a run of this value would have."""
    if math.isnan(value):
        return make_record(run, error="RuntimeError: no", started=0, seconds=0, attempts=1, machine={})
    result = {
        "curve": {"step": [0, 1, 2], "loss": [9.0, value, value]},
        "test": {"loss": value} if run.test else None,
        "diverged": not math.isfinite(value),
        "steps": 2,
    }
    return make_record(run, result=result, started=0, seconds=0, attempts=1, machine={})


def driven(study: bench.Study, value: Value, **settings: Any) -> tuple[list[bench.Cell], list[Phase]]:
    """Drive a study's course without training anything."""
    going, phases = course(study, **settings), []
    phase = next(going)
    try:
        while True:
            phases.append(phase)
            phase = going.send({run.key: record(run, value(run)) for run in phase.runs})
    except StopIteration as end:
        return end.value, phases


def study(**settings: Any) -> bench.Study:
    return bench.Study.of(
        ["rosenbrock"], settings.pop("arms", ["AdamW", "AMVT"]),
        **{"seeds": 3, "trials": 8, "horizons": ["known"], **settings},
    )  # fmt: skip


def best_at(lr: float, **others: float) -> Value:
    """A loss that is least at one rate, a little different for every seed; named arms have rates of their own."""

    def value(run: bench.Run) -> float:
        centre = others.get(run.optimizer, lr)
        return abs(math.log10(run.arguments["lr"] / centre)) + 0.001 * run.seed % 0.01

    return value


def test_every_arm_has_the_same_budget_and_the_same_points() -> None:
    found = study(arms=["AdamW", "AMVT", "ASGDAdam"])
    cells, phases = driven(found, best_at(3e-3))
    assert [phase.name for phase in phases] == ["search", "evaluation"]
    assert len(phases[0].runs) == 3 * 8 * 3
    points = [[{"lr": t.arguments["lr"], "beta2": t.arguments["beta2"]} for t in cell.trials] for cell in cells]
    assert points[0] == points[1] == points[2]
    assert sum(len(phase.runs) for phase in phases) == expected_runs(found)


def test_what_was_best_on_the_tuning_seeds_is_evaluated_on_others() -> None:
    found = study()
    cells, phases = driven(found, best_at(3e-3))
    for cell in cells:
        rates = [trial.arguments["lr"] for trial in cell.trials]
        assert rates[cell.chosen] == min(rates, key=lambda lr: abs(math.log10(lr / 3e-3)))
        assert cell.boundary == {}
    assert {run.seed for run in phases[0].runs} == set(found.tuning_seeds)
    assert {run.seed for run in phases[1].runs} == set(found.evaluation_seeds)
    assert [run.test for run in phases[0].runs + phases[1].runs] == [False] * 48 + [True] * 6


def test_a_best_point_at_the_boundary_widens_the_search_of_all_arms_alike() -> None:
    cells, phases = driven(study(), best_at(0.15, AMVT=3e-3))
    adam, amvt = cells
    assert [phase.name for phase in phases] == ["search", "widening", "evaluation"]
    assert len(adam.trials) == len(amvt.trials) == 10
    assert all(trial.arguments["lr"] >= 0.1 for trial in adam.trials[8:])
    assert all(trial.arguments["lr"] <= 0.1 for trial in amvt.trials)
    assert adam.trials[adam.chosen].arguments["lr"] > 0.1
    assert adam.boundary == {}
    assert len({str(trial.arguments) for trial in amvt.trials}) == 10, "new points and no old ones"


def test_a_boundary_that_is_still_one_is_said() -> None:
    cells, phases = driven(study(), best_at(1e4, AMVT=3e-3))
    assert cells[0].boundary == {"lr": "high"}
    assert cells[1].boundary == {}
    assert sum(phase.name == "widening" for phase in phases) == 1
    cells, phases = driven(study(widenings=2), best_at(1e4))
    assert sum(phase.name == "widening" for phase in phases) == 2
    assert cells[0].trials[-1].arguments["lr"] > 1.0


def test_only_the_task_with_a_boundary_is_widened() -> None:
    both = bench.Study.of(["rosenbrock", "quadratic"], ["AdamW"], seeds=3, trials=8, horizons=["known"])

    def value(run: bench.Run) -> float:
        return abs(math.log10(run.arguments["lr"] / (10.0 if run.task == "rosenbrock" else 3e-3)))

    cells, _ = driven(both, value)
    assert [len(cell.trials) for cell in cells] == [10, 8]


def test_a_point_is_as_good_as_its_median_and_a_diverged_run_is_the_worst() -> None:
    def value(run: bench.Run) -> float:
        if run.arguments["lr"] > 3e-2:
            return math.inf
        if run.arguments["lr"] > 1e-2:
            return math.nan  # it raised
        return 100.0 if run.seed == 1 else run.arguments["lr"]

    cells, _ = driven(study(widenings=0), value)
    for cell in cells:
        for trial in cell.trials:
            assert len(trial.values) == 3
            assert trial.value == statistics.median(trial.values)
            if trial.arguments["lr"] > 1e-2:
                assert trial.value == math.inf
        assert cell.trials[cell.chosen].arguments["lr"] == min(trial.arguments["lr"] for trial in cell.trials)


def test_where_everything_diverges_the_study_still_ends() -> None:
    cells, phases = driven(study(finalists=2), lambda run: math.inf)
    assert [phase.name for phase in phases] == ["search", "selection", "evaluation"]
    assert all(len(cell.evaluations) == 3 for cell in cells)


def test_finalists_are_chosen_on_seeds_that_did_not_choose_them() -> None:
    """The second best of the tuning seeds is the best on the selection seeds."""

    def value(run: bench.Run) -> float:
        distance = abs(math.log10(run.arguments["lr"] / 3e-3))
        return -distance if run.seed >= 50 else distance

    found = study(finalists=2)
    cells, phases = driven(found, value)
    assert [phase.name for phase in phases] == ["search", "selection", "evaluation"]
    for cell in cells:
        by_tuning = sorted(range(8), key=lambda i: cell.trials[i].value)
        assert cell.chosen == by_tuning[1]
        assert set(cell.finals) == set(by_tuning[:2])


def test_bayesian_search_learns_and_asks_the_same_questions_after_the_same_answers() -> None:
    found = study(search="bayes", trials=25, widenings=0)
    cells, phases = driven(found, best_at(3e-3))
    again, _ = driven(found, best_at(3e-3))
    assert [cell.trials for cell in cells] == [cell.trials for cell in again]
    late, early = ([abs(math.log10(t.arguments["lr"] / 3e-3)) for t in part]
                   for part in (cells[0].trials[15:], cells[0].trials[:10]))  # fmt: skip
    assert statistics.median(late) < statistics.median(early)
    assert sum(phase.name == "search" for phase in phases) == 25


def test_a_bayesian_search_goes_on_after_points_that_diverge() -> None:
    cells, _ = driven(
        study(search="bayes", trials=12, widenings=0),
        lambda run: math.inf if run.arguments["lr"] > 3e-3 else run.arguments["lr"],
    )
    assert all(math.isfinite(cell.trials[cell.chosen].value) for cell in cells)


def test_a_grid_has_its_ends() -> None:
    arms = [bench.Arm.of("AdamW", beta2=0.99), bench.Arm.of("AMVT", beta2=0.99)]
    cells, _ = driven(study(arms=arms, search="grid", trials=4, widenings=0), best_at(1e-2))
    assert [trial.arguments["lr"] for trial in cells[0].trials] == [1e-4, 1e-3, 1e-2, 1e-1]


def test_arms_without_a_space_still_have_their_budget() -> None:
    arms = [bench.Arm.of("AdamW"), bench.Arm.of("SGD", space={})]
    cells, _ = driven(study(arms=arms), lambda run: 1.0)
    assert [len(cell.trials) for cell in cells] == [8, 8]


def test_a_search_alone_evaluates_nothing() -> None:
    cells, phases = driven(study(), best_at(3e-3), evaluate=False)
    assert [phase.name for phase in phases] == ["search"]
    assert all(not cell.evaluations for cell in cells)


@pytest.mark.parametrize(
    ("criterion", "test", "expected"), [("final", False, 3.0), ("final", True, 7.0), ("anytime", True, 4.0)]
)
def test_what_counts(criterion: Any, test: bool, expected: float) -> None:
    entry = bench.Entry.of("rosenbrock")
    run = study().run(entry, study().horizons[0], study().arms[0], {}, 0, test=True)
    result = {
        "curve": {"step": [0, 1, 2], "loss": [9.0, 5.0, 3.0]},
        "test": {"loss": 7.0},
        "diverged": False,
        "steps": 2,
    }
    found = make_record(run, result=result, started=0, seconds=0, attempts=1, machine={})
    assert value_of(found, entry, criterion, test=test) == expected


def test_where_larger_is_better_the_sign_is_turned() -> None:
    entry = bench.Entry(task="t", steps=2, metric="accuracy", larger_is_better=True, patience=1)
    run = study().run(study().entries[0], study().horizons[0], study().arms[0], {}, 0, test=False)
    result = {"curve": {"step": [0, 1, 2], "accuracy": [0.1, 0.9, 0.5]}, "test": None, "diverged": False, "steps": 2}
    found = make_record(run, result=result, started=0, seconds=0, attempts=1, machine={})
    assert value_of(found, entry, "final") == -0.9, "with patience the best weights count"
