"""Arms at rates of their own: a search of equal budget for each, then runs on seeds that the search has not seen."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from waddington import jobs
from waddington._checks import check_count
from waddington.bench.space import Log, quasi_random_points
from waddington.claims.contests import Read
from waddington.claims.experiments.arms import Pass, Trial, pass_over, rounded
from waddington.claims.measurement import experiment, results_of

__all__ = ["curves_of", "steps_to", "tuned", "upward_share"]

_FIRST = 100
"""First evaluation seed; tuning seeds begin at 0."""


@experiment()
def tuned(
    seed: int,
    *,
    task: str,
    arm: str,
    steps: int,
    schedule: str = "cosine",
    trials: int = 12,
    tuning_seeds: int = 2,
    evaluation_seeds: int = 10,
    low: float = 1e-4,
    high: float = 1.0,
    evaluations: int = 20,
    parameters: Mapping[str, Any] | None = None,
    cases: int = 1_000,
) -> Mapping[str, Any]:
    """Search an arm's rate, then train it there.

    Parameters
    ----------
    seed
        Of Sobol's points: every arm tries the same rates.
    task, parameters, steps, schedule, evaluations
        Of each run; see :class:`~waddington.claims.experiments.arms.Trial`.
    arm
        Of :data:`~waddington.claims.experiments.arms.ARMS`.
    trials, tuning_seeds
        Rates that are tried, each on so many seeds; best is the one with the least median validation loss at the end.
    low, high
        Ends of the range of rates.
    evaluation_seeds
        How many, from 100 on.
    cases
        Training data on which the fit is measured; 0 for a task without classes.

    Returns
    -------
    dict
        ``arm``, ``task``, ``schedule``; ``rates`` and their ``losses``; ``lr``, and ``at_end`` where it lies at an end
        of the range. By evaluation seed: measures of the test split as ``test_NAME``; ``fit_loss`` and ``fit_accuracy``
        on training data, ``gap`` (training less test accuracy) and ``norm`` of the parameters; None of a run that
        diverged. ``curve``: training losses by evaluation and seed, at ``curve_steps``; ``validation`` likewise.
    """
    check_count("tuning_seeds", tuning_seeds, 1, _FIRST)
    settings: dict[str, Any] = {
        "task": task, "arm": arm, "steps": steps, "schedule": schedule, "parameters": parameters or {},
    }  # fmt: skip
    space = Log(low, high)
    rates = [space.at(u) for (u,) in quasi_random_points(1, trials, seed=seed)]
    losses = [statistics.median(_final_loss(settings, rate, one) for one in range(tuning_seeds)) for rate in rates]
    best = min(range(trials), key=lambda at: (losses[at], at))
    place = space.place(rates[best])
    found: dict[str, list[float | None]] = {}
    curves: list[list[float | None]] = []
    validation: list[list[float | None]] = []
    at: list[float] = []
    for one in range(_FIRST, _FIRST + evaluation_seeds):
        trial = Trial(**settings, lr=rates[best], seed=one, evaluations=evaluations)
        trained = trial.train()
        row = _measured(trial, trained.test, pass_over(task, one, parameters or {}, cases=cases) if cases else None)
        for name, value in row.items():
            found.setdefault(name, [None] * len(curves)).append(value)
        for name in found.keys() - row.keys():
            found[name].append(None)
        curves.append(rounded(each["train_loss"] for each in trained.curve[1:]))
        validation.append(rounded(each["loss"] for each in trained.curve[1:]))
        if not trained.diverged:
            at = [each["step"] for each in trained.curve[1:]]
    return {
        "arm": arm if schedule == "cosine" else f"{arm}, {schedule}",
        "task": task,
        "schedule": schedule,
        "rates": rates,
        "losses": rounded(losses),
        "lr": rates[best],
        "at_end": "low" if place < 1.0 / trials else "high" if place > 1.0 - 1.0 / trials else "",
        **found,
        "curve_steps": at,
        "curve": curves,
        "validation": validation,
    }


def _final_loss(settings: Mapping[str, Any], rate: float, seed: int) -> float:
    trained = Trial(**settings, lr=rate, seed=seed).train(test=False)
    return math.inf if trained.diverged else trained.curve[-1]["loss"]


def _measured(trial: Trial, test: Mapping[str, float] | None, data: Pass | None) -> dict[str, float | None]:
    if test is None:
        return {}
    row: dict[str, float | None] = {f"test_{name}": value for name, value in test.items()}
    squares = sum(float(one.detach().double().square().sum()) for one in trial.problem.model.parameters())
    row["norm"] = math.sqrt(squares)
    if data is not None:
        loss, right = data.measure(trial.problem.model)
        row |= {"fit_loss": loss, "fit_accuracy": right, "gap": right - test["accuracy"]}
    return dict(zip(row, rounded(row.values()), strict=True))


def curves_of(records: Sequence[jobs.Record]) -> dict[str, tuple[list[float], list[float]]]:
    """Give the median training loss of every arm along its runs, by arm."""
    found = {}
    for row in results_of(records):
        columns = zip(*(one for one in row["curve"] if len(one) == len(row["curve_steps"])), strict=True)
        middles = [statistics.median(math.inf if x is None else x for x in column) for column in columns]
        found[row["arm"]] = (row["curve_steps"][: len(middles)], middles)
    return found


def steps_to(*, share: float = 1.0) -> Read:
    """Read the first step at which each run's training loss is as low as every arm gets at last, its median.

    Parameters
    ----------
    share
        Factor on that loss: 1 and more.
    """

    def read(records: Sequence[jobs.Record]) -> dict[str, list[float | None]]:
        rows = results_of(records)
        target = share * max(_last(row) for row in rows)
        return {row["arm"]: [_reach(row["curve_steps"], one, target) for one in row["curve"]] for row in rows}

    return read


def upward_share(measure: str = "validation") -> Read:
    """Read how much of the movement of each run's loss goes upwards, in its second half."""

    def read(records: Sequence[jobs.Record]) -> dict[str, list[float | None]]:
        return {row["arm"]: [_upward(one[len(one) // 2 :]) for one in row[measure]] for row in results_of(records)}

    return read


def _last(row: Mapping[str, Any]) -> float:
    ends = [math.inf if not one or one[-1] is None else float(one[-1]) for one in row["curve"]]
    return statistics.median(ends)


def _reach(at: Sequence[float], losses: Sequence[float | None], target: float) -> float | None:
    """Give the step where a falling loss first meets the target, between two evaluations in proportion."""
    before: tuple[float, float] | None = None
    for step, loss in zip(at, losses, strict=False):
        if loss is None:
            return None
        if loss <= target:
            if before is None or before[1] <= loss:
                return float(step)
            done = (before[1] - target) / (before[1] - loss)
            return before[0] + done * (step - before[0])
        before = float(step), loss
    return None


def _upward(losses: Sequence[float | None]) -> float | None:
    if any(one is None for one in losses):
        return None
    moves = [b - a for a, b in itertools.pairwise(losses) if a is not None and b is not None]
    total = sum(map(abs, moves))
    return sum(max(one, 0.0) for one in moves) / total if total > 0.0 else 0.0
