"""What a study says: values by seed, contrasts by task and over tasks, and tables of them. Reads records only."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from waddington import jobs
from waddington.bench import statistics as stats
from waddington.bench.conducting import looked_up
from waddington.bench.cost import costs_of
from waddington.bench.entry import Entry, Horizon
from waddington.bench.remarks import on_lost_searches, on_raised_points, on_raised_runs, on_unlike_starts
from waddington.bench.search import Cell, value_of
from waddington.bench.statistics import Pooled, Regret, Several, Verdict
from waddington.bench.study import Study

__all__ = ["Comparison", "TaskContrast", "TasksContrast", "compare", "evaluated", "metric_name"]

_FLOOR = 1e-6
"""Part of the loss at the start below which losses count as equal where tasks are pooled."""


@dataclass(frozen=True, kw_only=True)
class TaskContrast:
    """A contrast on one task.

    Attributes
    ----------
    entry, horizon
        Where.
    contrast
        Its statistics.
    verdict
        In words.
    """

    entry: Entry
    horizon: Horizon
    contrast: stats.Contrast
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class TasksContrast:
    """A contrast over all tasks at one horizon.

    Attributes
    ----------
    horizon
        Where.
    first, second
        The arms.
    pooled
        Its statistics; None where there is one task.
    p_holm
        p over tasks, corrected for the contrasts.
    verdict
        In words; of the one task where there is one.
    metric
        What is compared.
    """

    horizon: Horizon
    first: str
    second: str
    pooled: Pooled | None
    p_holm: float | None
    verdict: Verdict
    metric: str


@dataclass(kw_only=True)
class Comparison:
    """What a study comes to.

    Attributes
    ----------
    study
        The study.
    cells
        Search and evaluation of every task, horizon and arm.
    costs
        Records of step costs by (task, arm); empty where none were taken.
    """

    study: Study
    cells: list[Cell]
    costs: dict[tuple[str, str], jobs.Record] = field(default_factory=dict)
    _several: dict[tuple[str, str], Several] = field(default_factory=dict, repr=False)

    def cell(self, entry: Entry, horizon: Horizon, arm: str) -> Cell:
        """Give an arm on a task at a horizon."""
        key = (entry.label, horizon.name, arm)
        return next(cell for cell in self.cells if cell.key == key)

    def values(self, horizon: Horizon) -> npt.NDArray[np.float64]:
        """Give the criterion on the evaluation seeds, shape (n_seeds, n_tasks, n_arms).

        The final metric is that of the test split, the metric all along that of the validation split. Infinite on the
        bad side where a run diverged or failed.
        """
        return np.array(
            [
                [evaluated(self.cell(entry, horizon, arm.name)) for arm in self.study.arms]
                for entry in self.study.entries
            ]
        ).transpose(2, 0, 1)

    def several(self, entry: Entry, horizon: Horizon) -> Several:
        """Test on one task whether the arms differ, and the contrasts."""
        key = entry.label, horizon.name
        if key not in self._several:
            names = [arm.name for arm in self.study.arms]
            self._several[key] = stats.several(
                np.array([evaluated(self.cell(entry, horizon, name)) for name in names]).T,
                names,
                self.study.contrasts,
                better="higher" if entry.larger_is_better else "lower",
                level=self.study.level,
                raised=np.array([_raised(self.cell(entry, horizon, name)) for name in names]).T,
            )
        return self._several[key]

    def on_tasks(self, horizon: Horizon) -> list[TaskContrast]:
        """Test the contrasts on every task."""
        found = []
        for entry in self.study.entries:
            for contrast in self.several(entry, horizon).contrasts:
                said = stats.verdict(
                    contrast.paired,
                    first=contrast.first,
                    second=contrast.second,
                    p=contrast.p_holm,
                    metric=metric_name(entry, horizon),
                )
                found.append(TaskContrast(entry=entry, horizon=horizon, contrast=contrast, verdict=said))
        return found

    def over_tasks(self, horizon: Horizon) -> list[TasksContrast]:
        """Test the contrasts over all tasks, with tasks as blocks."""
        entries, names = self.study.entries, [arm.name for arm in self.study.arms]
        if len(entries) == 1:
            return [
                TasksContrast(
                    horizon=horizon,
                    first=one.contrast.first,
                    second=one.contrast.second,
                    pooled=None,
                    p_holm=one.contrast.p_holm,
                    verdict=one.verdict,
                    metric=metric_name(entries[0], horizon),
                )
                for one in self.on_tasks(horizon)
            ]
        values = self._comparable(horizon)
        is_ratio = all(not entry.larger_is_better for entry in entries) and bool((values > 0).all())
        raised = {name: sum(sum(_raised(self.cell(entry, horizon, name))) for entry in entries) for name in names}
        pools = [
            stats.pooled(
                values[:, :, names.index(first)],
                values[:, :, names.index(second)],
                scale="log ratio" if is_ratio else "standardized",
                level=self.study.level,
                n_contrasts=len(self.study.contrasts),
                n_raised=(raised[first], raised[second]),
            )
            for first, second in self.study.contrasts
        ]
        corrected = stats.corrected([pool.p for pool in pools], method="holm") if pools else []
        metric = metric_name(entries[0], horizon) if len({entry.metric for entry in entries}) == 1 else "metric"
        return [
            TasksContrast(
                horizon=horizon,
                first=first,
                second=second,
                pooled=pool,
                p_holm=p,
                verdict=stats.pooled_verdict(pool, first=first, second=second, p=p, metric=metric),
                metric=metric,
            )
            for (first, second), pool, p in zip(self.study.contrasts, pools, corrected, strict=True)
        ]

    def regrets(self, horizon: Horizon) -> tuple[list[Entry], list[Regret]]:
        """Give the regret of every arm to the best one of each task, over the tasks whose metric is a loss above zero.

        Returns
        -------
        The tasks, in the order of each regret's `by_task`, and the regrets; both empty where no task has such a metric.
        """
        entries, values = self._losses(horizon)
        names = [arm.name for arm in self.study.arms]
        return entries, stats.regrets(values, names, level=self.study.level) if entries else []

    def ratio(self, first: str, second: str, horizon: Horizon) -> Pooled | None:
        """Pool log(first / second) over the tasks whose metric is a loss above zero: what a margin in percent is of.

        Returns
        -------
        The statistics, of this contrast alone; None where no task has such a metric.
        """
        _, values = self._losses(horizon)
        if not values.size:
            return None
        names = [arm.name for arm in self.study.arms]
        a, b = (values[:, :, names.index(arm)] for arm in (first, second))
        return stats.pooled(a, b, level=self.study.level)

    @property
    def notes(self) -> list[str]:
        """What a reader must know: spaces that differ, searches that found nothing, runs that raised, unlike starts."""
        return [
            *self.study.notes,
            *on_lost_searches(self.study, self.cells),
            *on_raised_points(self.study, self.cells),
            *on_raised_runs(self.study, self.cells),
            *on_unlike_starts(self.study, self.cells),
        ]

    def summary(self) -> list[dict[str, Any]]:
        """Give a row for every task, horizon and arm: what was chosen, and what it came to."""
        return [self._row(cell) for cell in self.cells]

    def contrasts(self) -> list[dict[str, Any]]:
        """Give a row for every contrast on every task."""
        rows = []
        for one in itertools.chain.from_iterable(self.on_tasks(horizon) for horizon in self.study.horizons):
            pair = one.contrast.paired
            interval = pair.interval
            rows.append(
                {
                    "horizon": one.horizon.name,
                    "task": one.entry.label,
                    "metric": metric_name(one.entry, one.horizon),
                    "first": one.contrast.first,
                    "second": one.contrast.second,
                    "n": pair.n,
                    "difference": pair.mean,
                    "low": interval.low if interval else None,
                    "high": interval.high if interval else None,
                    "d_z": pair.d_z,
                    "test": pair.test,
                    "p": pair.p,
                    "p_holm": one.contrast.p_holm,
                    "p_bonferroni": one.contrast.p_bonferroni,
                    "mde": pair.mde,
                    "wins": pair.wins,
                    "ties": pair.ties,
                    "losses": pair.losses,
                    "diverged_first": pair.n_diverged[0],
                    "diverged_second": pair.n_diverged[1],
                    "raised_first": pair.n_raised[0],
                    "raised_second": pair.n_raised[1],
                    "answer": one.verdict.answer,
                    "sentence": one.verdict.sentence,
                }
            )
        return rows

    def _row(self, cell: Cell) -> dict[str, Any]:
        values = evaluated(cell)
        finite = [value for value in values if math.isfinite(value)]
        trial = cell.trials[cell.chosen]
        tests = [record.result["test"] for record in cell.evaluations if record.result and record.result["test"]]
        others = dict.fromkeys(name for test in tests for name in test)
        cost = self.costs.get((cell.entry.label, cell.arm.name))
        return {
            "horizon": cell.horizon.name,
            "task": cell.entry.label,
            "arm": cell.arm.name,
            "metric": metric_name(cell.entry, cell.horizon),
            "n": len(values),
            "median": statistics.median(values),
            "mean": statistics.fmean(finite) if len(finite) == len(values) else None,
            "sd": statistics.stdev(finite) if len(finite) == len(values) > 1 else None,
            "least": min(values),
            "most": max(values),
            "diverged": len(values) - len(finite) - sum(_raised(cell)),
            "raised": sum(_raised(cell)),
            **{f"test {name}": statistics.median(test[name] for test in tests) for name in others},
            "trials": len(cell.trials),
            "trials_diverged": sum(not math.isfinite(one.value) and not one.raised for one in cell.trials),
            "trials_raised": sum(not math.isfinite(one.value) and one.raised > 0 for one in cell.trials),
            "chosen": cell.arm.at(trial.arguments),
            "boundary": dict(cell.boundary),
            "step_cost": cost.result["clock"]["ratio"] if cost and cost.result else None,
            "state_ratio": cost.result["state_ratio"] if cost and cost.result else None,
        }

    def _losses(self, horizon: Horizon) -> tuple[list[Entry], npt.NDArray[np.float64]]:
        """Give the tasks whose metric is a loss above zero, and their values."""
        values, entries = self._comparable(horizon), self.study.entries
        kept = [at for at, one in enumerate(entries) if not one.larger_is_better and bool((values[:, at] > 0).all())]
        return [entries[at] for at in kept], values[:, kept]

    def _comparable(self, horizon: Horizon) -> npt.NDArray[np.float64]:
        """Give values that tasks can be pooled by: lower is better, and what is a millionth of the start is nothing.

        A loss that goes below zero, such as a log density, has no such floor.
        """
        values = self.values(horizon)
        for i, entry in enumerate(self.study.entries):
            if entry.larger_is_better:
                values[:, i] *= -1.0
                continue
            if (values[:, i] < 0).any():
                continue
            starts = [
                record.result["curve"][entry.metric][0]
                for arm in self.study.arms
                for record in self.cell(entry, horizon, arm.name).evaluations
                if record.result
            ]
            values[:, i] = np.maximum(values[:, i], _FLOOR * max(map(abs, starts), default=0.0))
        return values


def compare(study: Study, store: jobs.Store) -> Comparison:
    """Compare the arms of a study that has been run.

    Parameters
    ----------
    study
        The study.
    store
        Where its records are.

    Raises
    ------
    UnsupportedError
        Records are missing: the study has not been run to its end.
    """
    pairs = itertools.product(study.entries, study.arms)
    costs = {}
    for (entry, arm), cost in zip(pairs, costs_of(study.entries, study.arms, study.arguments), strict=True):
        record = store.get(cost)
        if record is not None and record.status == "done":
            costs[entry.label, arm.name] = record
    return Comparison(study=study, cells=looked_up(study, store), costs=costs)


def evaluated(cell: Cell) -> list[float]:
    """Give the criterion of a cell on each evaluation seed, in the metric's own direction."""
    sign = -1.0 if cell.entry.larger_is_better else 1.0
    return [
        sign * value_of(record, cell.entry, cell.horizon.criterion, test=cell.horizon.criterion == "final")
        for record in cell.evaluations
    ]


def _raised(cell: Cell) -> list[bool]:
    """Tell of each evaluation whether it raised an error."""
    return [record.status == "failed" for record in cell.evaluations]


def metric_name(entry: Entry, horizon: Horizon) -> str:
    """Say what is compared."""
    return f"test {entry.metric}" if horizon.criterion == "final" else f"{entry.metric} all along"
