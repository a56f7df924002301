"""From a comparison to what its report shows."""

from __future__ import annotations

import dataclasses
import math
import platform
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from waddington import jobs
from waddington._version import __version__
from waddington._version import commit as code_commit
from waddington.bench import statistics as stats
from waddington.bench.arm import SCHEDULE
from waddington.bench.comparison import Comparison, evaluated, metric_name
from waddington.bench.entry import Entry, Horizon
from waddington.bench.report import data
from waddington.bench.search import Cell
from waddington.bench.study import Study

__all__ = ["report_data", "target_on"]

_LENGTHS = {"known": "the length is known beforehand", "open": "the length is open"}
_COMPARED = {"final": "compared at the end", "anytime": "compared all along"}


def report_data(comparison: Comparison, *, command: str = "", commit: str | None = None) -> data.ReportData:
    """Gather what a report shows.

    Parameters
    ----------
    comparison
        Of a study that has been run.
    command
        What makes the study and its page again.
    commit
        Of the code; None asks git, where this package lies in a checkout.
    """
    study = comparison.study
    records = [record for cell in comparison.cells for record in cell.evaluations]
    where = [(entry, horizon) for horizon in study.horizons for entry in study.entries]
    hosts = dict.fromkeys(record.machine.get("host", "unknown") for record in records)
    return data.ReportData(
        title=study.name or "Which optimizer is better?",
        tasks=[entry.label for entry in study.entries],
        arms=[arm.name for arm in study.arms],
        horizons={one.name: _in_words(study, one) for one in study.horizons},
        results=[_result(comparison, entry, horizon) for entry, horizon in where],
        pooled=[
            data.PooledContrast(
                horizon=horizon.name,
                first=one.first,
                second=one.second,
                pooled=one.pooled,
                p_holm=one.p_holm,
                metric=one.metric,
            )
            for horizon in study.horizons
            for one in comparison.over_tasks(horizon)
            if one.pooled is not None
        ],
        regrets=[row for horizon in study.horizons for row in _regrets(comparison, horizon)],
        profiles=[profile for horizon in study.horizons for profile in _profiles(comparison, horizon)],
        tuning=[point for cell in comparison.cells for point in _tuning(cell)],
        budgets=[_budget(comparison, cell) for cell in comparison.cells],
        curves=[curves for cell in comparison.cells if (curves := _curves(cell)) is not None],
        divergences=[row for cell in comparison.cells for row in _divergences(cell)],
        costs=_costs(comparison),
        notes=comparison.notes,
        method=_method(comparison),
        study_hash=study.hash,
        commit=code_commit() if commit is None else commit,
        command=command,
        machine={"host": ", ".join(hosts), "system": platform.platform(), "cores": jobs.core_count()},
        versions={"waddington": __version__, "torch": torch.__version__, "python": platform.python_version()},
    )


def _in_words(study: Study, horizon: Horizon) -> str:
    """Say what a horizon is; fields of the schedule that are fixed for all arms are those that count."""
    shared = {name.removeprefix(SCHEDULE): one for name, one in study.arguments.items() if name.startswith(SCHEDULE)}
    course = dataclasses.replace(horizon.schedule, **shared).in_words
    return f"{_LENGTHS.get(horizon.name, horizon.name)}: {course}, {_COMPARED[horizon.criterion]}"


def _result(comparison: Comparison, entry: Entry, horizon: Horizon) -> data.TaskResult:
    return data.TaskResult(
        task=entry.label,
        horizon=horizon.name,
        finals={
            arm.name: np.array(evaluated(comparison.cell(entry, horizon, arm.name))) for arm in comparison.study.arms
        },
        several=comparison.several(entry, horizon),
        metric=metric_name(entry, horizon),
    )


def _regrets(comparison: Comparison, horizon: Horizon) -> list[data.ArmRegret]:
    entries, found = comparison.regrets(horizon)
    tasks = tuple(entry.label for entry in entries)
    return [data.ArmRegret(horizon=horizon.name, arm=one.arm, regret=one, tasks=tasks) for one in found]


def target_on(comparison: Comparison, entry: Entry, horizon: Horizon) -> float:
    """Give the value to reach: the median, over evaluation seeds, of the first arm's last evaluation."""
    cell = comparison.cell(entry, horizon, comparison.study.arms[0].name)
    worst = -math.inf if entry.larger_is_better else math.inf
    lasts = [
        worst if record.result is None or record.result["diverged"] else record.result["curve"][entry.metric][-1]
        for record in cell.evaluations
    ]
    return statistics.median(lasts)


def _profiles(comparison: Comparison, horizon: Horizon) -> list[data.Profile]:
    """Draw profiles of the steps and seconds to the target; of tasks whose target is a number."""
    study = comparison.study
    readers: dict[str, Callable[[Any], list[float]]] = {
        "steps": lambda result: list(result["curve"]["step"]),
        "seconds": lambda result: list(result["clock"]["at"]),
    }
    targets = {entry.label: target_on(comparison, entry, horizon) for entry in study.entries}
    entries = [entry for entry in study.entries if math.isfinite(targets[entry.label])]
    if not entries:
        return []
    found = []
    for quantity, read in readers.items():
        times = np.array(
            [
                [
                    [
                        _time(record, entry, targets[entry.label], read)
                        for record in comparison.cell(entry, horizon, arm.name).evaluations
                    ]
                    for arm in study.arms
                ]
                for entry in entries
            ]
        ).transpose(2, 0, 1)
        found.append(
            data.Profile(
                horizon=horizon.name,
                quantity=quantity,
                arms=tuple(arm.name for arm in study.arms),
                profiles=stats.profiles(times, level=study.level),
            )
        )
    return found


def _time(record: jobs.Record, entry: Entry, target: float, read: Callable[[Any], list[float]]) -> float:
    """Give the time at which a run first reached a target; infinite where it never did."""
    if record.result is None:
        return math.inf
    curve = record.result["curve"]
    step = stats.first_reach(
        curve["step"], curve[entry.metric], target, better="higher" if entry.larger_is_better else "lower"
    )
    return stats.cost_at(step, curve["step"], read(record.result))


def _tuning(cell: Cell) -> list[data.TuningPoint]:
    sign = -1.0 if cell.entry.larger_is_better else 1.0
    return [
        data.TuningPoint(
            task=cell.entry.label,
            horizon=cell.horizon.name,
            arm=cell.arm.name,
            arguments=trial.arguments,
            value=sign * trial.value,
            raised=trial.raised,
            is_chosen=i == cell.chosen,
            on_boundary=tuple(f"{name} ({end})" for name, end in cell.boundary.items()) if i == cell.chosen else (),
        )
        for i, trial in enumerate(cell.trials)
    ]


def _budget(comparison: Comparison, cell: Cell) -> data.Budget:
    sign = -1.0 if cell.entry.larger_is_better else 1.0
    values = [sign * trial.value for trial in cell.trials]
    baseline = comparison.cell(cell.entry, cell.horizon, comparison.study.arms[0].name)
    target = sign * baseline.trials[baseline.best].value
    better: Any = "higher" if cell.entry.larger_is_better else "lower"
    return data.Budget(
        task=cell.entry.label,
        horizon=cell.horizon.name,
        arm=cell.arm.name,
        best=stats.expected_best(values, better=better, level=comparison.study.level),
        attempts=stats.attempts_to_success(values, target, better=better) if math.isfinite(target) else None,
    )


def _curves(cell: Cell) -> data.Curves | None:
    """Give a cell's curves on the steps of its longest run; a run that ended sooner is infinite from there on."""
    curves = [record.result["curve"] for record in cell.evaluations if record.result is not None]
    if not curves:
        return None
    steps = max((curve["step"] for curve in curves), key=len)
    worst = -math.inf if cell.entry.larger_is_better else math.inf
    values: npt.NDArray[np.float64] = np.full((len(curves), len(steps)), worst)
    for row, curve in zip(values, curves, strict=True):
        row[: len(curve["step"])] = curve[cell.entry.metric]
    return data.Curves(
        task=cell.entry.label,
        horizon=cell.horizon.name,
        arm=cell.arm.name,
        steps=np.array(steps, dtype=np.float64),
        values=np.where(np.isnan(values), worst, values),
    )


def _divergences(cell: Cell) -> list[data.Divergence]:
    tried = [value for trial in cell.trials for value in trial.values]
    failed = sum(record.status == "failed" for record in cell.evaluations)
    raised = sum(trial.raised for trial in cell.trials)
    lost = sum(not math.isfinite(value) for value in evaluated(cell))
    return [
        data.Divergence(
            task=cell.entry.label,
            horizon=cell.horizon.name,
            arm=cell.arm.name,
            purpose="tuning",
            runs=len(tried),
            diverged=sum(not math.isfinite(value) for value in tried) - raised,
            failed=raised,
        ),
        data.Divergence(
            task=cell.entry.label,
            horizon=cell.horizon.name,
            arm=cell.arm.name,
            purpose="evaluation",
            runs=len(cell.evaluations),
            diverged=lost - failed,
            failed=failed,
        ),
    ]


def _costs(comparison: Comparison) -> list[data.StepCost]:
    """Give the cost of a step: of a whole training step as it ran, and of the optimizer's beside fused AdamW."""
    found = []
    for entry in comparison.study.entries:
        for arm in comparison.study.arms:
            results = [
                record.result
                for horizon in comparison.study.horizons
                for record in comparison.cell(entry, horizon, arm.name).evaluations
                if record.result is not None and record.result["steps"]
            ]
            if not results:
                continue
            cost = comparison.costs.get((entry.label, arm.name))
            found.append(
                data.StepCost(
                    task=entry.label,
                    arm=arm.name,
                    seconds=statistics.median(one["clock"]["training"] / one["steps"] for one in results),
                    ratio=cost.result["clock"]["ratio"] if cost is not None and cost.result else None,
                    state_bytes=max(int(one["state_bytes"]) for one in results),
                )
            )
    return found


def _method(comparison: Comparison) -> list[str]:
    study = comparison.study
    tried = max(len(cell.trials) for cell in comparison.cells)
    wider = f", {tried - study.trials} more where a range had to be widened" if tried > study.trials else ""
    selection = (
        f" The best {study.finalists} were run again on {len(study.selection_seeds)} selection seeds, which chose one."
        if study.finalists > 1
        else ""
    )
    return [
        f"Every arm tried {study.trials} points on every task and horizon ({study.search} search{wider}), each on"
        f" {len(study.tuning_seeds)} tuning seeds; a point is as good as its median.{selection}",
        f"The point that was chosen ran on {len(study.evaluation_seeds)} seeds that had chosen nothing, with the same"
        " initialization and the same data in the same order for every arm. The test split was evaluated once, at the"
        " end of these runs.",
        *_trainings(study),
        "Spaces, seeds and contrasts were hashed before the first run. p-values are Holm's over the contrasts. A run"
        " that diverged or raised an error is the worst value, never left out.",
    ]


def _trainings(study: Study) -> list[str]:
    """Say how rates ran, and which runs may have stopped early."""
    own = [
        arm.name
        for arm in study.arms
        if arm.schedule or any(name.startswith(SCHEDULE) for name in (*arm.arguments, *arm.space))
    ]
    exceptions = f" {' and '.join(own)} had a schedule of {'its' if len(own) == 1 else 'their'} own." if own else ""
    words = "; ".join(_in_words(study, horizon) for horizon in study.horizons)
    found = [f"{words[:1].upper()}{words[1:]}.{exceptions}"]
    patient = [f"{one.label} after {one.patience}" for one in study.entries if one.patience is not None]
    if patient:
        found.append(
            f"Runs stopped early, on {', '.join(patient)} evaluations without a better one; their best weights count."
        )
    return found
