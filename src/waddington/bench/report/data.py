"""What a report is made of: plain rows and arrays, which whoever reads the records fills in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from waddington._checks import check_choice
from waddington.bench.statistics import Attempts, BestOf, Pooled, Profiles, Regret, Several
from waddington.errors import ArgumentError

__all__ = [
    "ArmRegret",
    "Budget",
    "Curves",
    "Divergence",
    "PooledContrast",
    "Profile",
    "ReportData",
    "StepCost",
    "TaskResult",
    "TuningPoint",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskResult:
    """What one task at one horizon came to.

    Attributes
    ----------
    task, horizon
        Where.
    finals
        Arm to its final values over the evaluation seeds, shape (n_seeds,); a run without an end is infinite.
    several
        Do the arms differ, and the contrasts.
    metric
        Name of what is compared.
    """

    task: str
    horizon: str
    finals: Mapping[str, Array]
    several: Several
    metric: str = "loss"


@dataclass(frozen=True, kw_only=True, slots=True)
class PooledContrast:
    """One contrast over all tasks at one horizon.

    Attributes
    ----------
    horizon, first, second
        Where, and between which arms.
    pooled
        What the tasks say.
    p_holm
        ``pooled.p``, corrected for the contrasts of the horizon.
    metric
        Name of what is compared.
    """

    horizon: str
    first: str
    second: str
    pooled: Pooled
    p_holm: float | None
    metric: str = "loss"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmRegret:
    """What it costs at one horizon to have chosen an arm before the task was known.

    Attributes
    ----------
    horizon, arm
        Where, and of which arm.
    regret
        By how much it is worse than the best arm of each task.
    tasks
        Names of the tasks that it is over; those whose metric is no loss above zero are left out.
    """

    horizon: str
    arm: str
    regret: Regret
    tasks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """Performance profiles of one quantity at one horizon.

    Attributes
    ----------
    horizon, quantity
        Where, and what was spent until the target: "steps", "seconds" or "bytes".
    arms
        Names of the rows of ``profiles``.
    profiles
        The curves.
    """

    horizon: str
    quantity: str
    arms: tuple[str, ...]
    profiles: Profiles


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningPoint:
    """One point that was tried.

    Attributes
    ----------
    task, horizon, arm
        Where, and of which arm.
    arguments
        What was tried.
    value
        Its value over the tuning seeds; infinite where they diverged or raised an error.
    raised
        Runs of them that raised an error.
    is_chosen
        Whether it was evaluated.
    on_boundary
        Arguments of a chosen point that lie at an end of what was searched.
    """

    task: str
    horizon: str
    arm: str
    arguments: Mapping[str, object]
    value: float
    raised: int = 0
    is_chosen: bool = False
    on_boundary: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What trials bought an arm on a task.

    Attributes
    ----------
    task, horizon, arm
        Where, and which arm.
    best
        The best of k trials.
    attempts
        Trials until one reached the task's target.
    """

    task: str
    horizon: str
    arm: str
    best: BestOf
    attempts: Attempts | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """An arm's evaluation runs on a task, all along.

    Attributes
    ----------
    task, horizon, arm
        Where, and which arm.
    steps
        Recorded steps, shape (n,).
    values
        Value of each seed at each of them, shape (n_seeds, n); infinite or NaN once a run diverged.
    """

    task: str
    horizon: str
    arm: str
    steps: Array
    values: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Divergence:
    """How many of an arm's runs on a task came to no end.

    Attributes
    ----------
    task, horizon, arm
        Where, and which arm.
    purpose
        "tuning" or "evaluation".
    runs, diverged, failed
        All of them; those whose loss was no finite number; those that raised an error.
    """

    task: str
    horizon: str
    arm: str
    purpose: str
    runs: int
    diverged: int = 0
    failed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class StepCost:
    """What a step of an arm costs on a task.

    Attributes
    ----------
    task, arm
        Where, and which arm.
    seconds
        Seconds of one training step, median over runs.
    ratio
        ``seconds`` over those of the fused baseline; None where it was not measured.
    state_bytes
        Memory of the optimizer's state.
    """

    task: str
    arm: str
    seconds: float
    ratio: float | None = None
    state_bytes: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportData:
    """Everything that a report shows.

    Attributes
    ----------
    title
        Heading.
    tasks, arms
        Names, in the order in which they are shown; an arm keeps its colour throughout.
    horizons
        Name of each horizon to its words for people.
    results, pooled, regrets, profiles, tuning, budgets, curves, divergences, costs
        The rows. What is empty is left out of the page.
    rate
        The argument that is drawn along the axis of rate-sensitivity curves.
    notes
        What a reader must know before believing the page.
    method
        Paragraphs about how it was done.
    study_hash, commit, command
        The hash of the study, the commit of the code, and the command that makes the study and this page again.
    machine, versions
        Facts about the machine and the software, name to value.

    Raises
    ------
    ArgumentError
        A row names a task, an arm or a horizon that is none of these.
    """

    title: str
    tasks: Sequence[str]
    arms: Sequence[str]
    horizons: Mapping[str, str]
    results: Sequence[TaskResult] = ()
    pooled: Sequence[PooledContrast] = ()
    regrets: Sequence[ArmRegret] = ()
    profiles: Sequence[Profile] = ()
    tuning: Sequence[TuningPoint] = ()
    budgets: Sequence[Budget] = ()
    curves: Sequence[Curves] = ()
    divergences: Sequence[Divergence] = ()
    costs: Sequence[StepCost] = ()
    rate: str = "lr"
    notes: Sequence[str] = ()
    method: Sequence[str] = ()
    study_hash: str = ""
    commit: str = ""
    command: str = ""
    machine: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.tasks or not self.arms or not self.horizons:
            raise ArgumentError("cannot report on nothing: a report needs a task, an arm and a horizon")
        rows = (*self.results, *self.tuning, *self.budgets, *self.curves, *self.divergences, *self.costs)
        for row in (*rows, *self.pooled, *self.regrets, *self.profiles):
            known = (("task", self.tasks), ("arm", self.arms), ("horizon", self.horizons))
            for name, names in (*known, ("first", self.arms), ("second", self.arms)):
                if hasattr(row, name):
                    check_choice(f"{type(row).__name__}.{name}", getattr(row, name), names)
