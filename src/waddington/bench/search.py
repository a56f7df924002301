"""The course of a study, as a generator: it asks for runs, is told their records, and ends with what they come to.

Nothing runs here. Whoever drives the generator runs what it asks for, or looks it up; so a study is judged from its
records alone by the same lines that chose what to run.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from waddington import jobs
from waddington._checks import require_extra
from waddington.bench.arm import Arm
from waddington.bench.entry import Criterion, Entry, Horizon
from waddington.bench.run import Run
from waddington.bench.space import Dimension, End, arguments_at, ends_at, grid_points, quasi_random_points
from waddington.bench.study import Study

__all__ = ["Cell", "Course", "Phase", "Trial", "course", "expected_runs", "value_of"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One point of a search."""

    arguments: Mapping[str, Any]
    round: int
    """0: the space as it was registered; 1, 2, …: beyond it."""
    values: tuple[float, ...] = ()
    """The criterion on each tuning seed, lower is better; infinite where a run diverged or failed."""
    raised: int = 0
    """On how many of them the run raised an error."""

    @property
    def value(self) -> float:
        """Their median."""
        return statistics.median(self.values)


@dataclass(kw_only=True)
class Cell:
    """An arm on a task at a horizon: its search and its evaluation."""

    entry: Entry
    horizon: Horizon
    arm: Arm
    space: dict[str, Dimension]
    """What was searched, with what it was widened by."""
    trials: list[Trial] = field(default_factory=list)
    finals: dict[int, tuple[float, ...]] = field(default_factory=dict)
    """Values on the selection seeds, by the finalist's number among the trials."""
    chosen: int = 0
    """Number of the trial that is evaluated."""
    boundary: dict[str, End] = field(default_factory=dict)
    """Arguments of the chosen point that lie at an end of what was searched, beyond which there is more."""
    evaluations: list[jobs.Record] = field(default_factory=list)
    """One for each evaluation seed, in their order."""

    @property
    def key(self) -> tuple[str, str, str]:
        """Task, horizon and arm."""
        return self.entry.label, self.horizon.name, self.arm.name

    @property
    def best(self) -> int:
        """Number of the best trial; the first of equals."""
        return min(range(len(self.trials)), key=lambda i: (self.trials[i].value, i))


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Runs that may run side by side."""

    name: str
    runs: tuple[Run, ...]
    arms: tuple[str, ...] = ()
    """Whose points a search tries, a name for each run."""


Records: TypeAlias = Mapping[str, jobs.Record]
Course: TypeAlias = Generator[Phase, Records, list[Cell]]


def course(study: Study, *, evaluate: bool = True) -> Course:
    """Go through a study: search, widen, select, evaluate.

    Parameters
    ----------
    study
        The study.
    evaluate
        Whether what was chosen is run on the evaluation seeds; without it the course is a search alone.

    Yields
    ------
    Phase
        Runs whose records are to be sent back, by key.

    Returns
    -------
    list of Cell
        One for every task, horizon and arm.
    """
    cells = [
        Cell(entry=entry, horizon=horizon, arm=arm, space=study.space_of(arm, entry))
        for entry in study.entries
        for horizon in study.horizons
        for arm in study.arms
    ]
    yield from _searched(study, cells)
    for widening in range(1, study.widenings + 1):
        going_on = _at_boundary(study, cells)
        if not going_on:
            break
        yield from _tried(study, {id(cell): _beyond(study, cell, widening) for cell in going_on}, going_on, "widening")
    yield from _selected(study, cells)
    for cell in cells:
        chosen = cell.trials[cell.chosen]
        cell.boundary = _ends(study, cell, chosen) if math.isfinite(chosen.value) else {}
    if not evaluate:
        return cells
    runs = {
        cell.key: [
            _run(study, cell, cell.trials[cell.chosen].arguments, seed, test=True) for seed in study.evaluation_seeds
        ]
        for cell in cells
    }
    records = yield Phase(name="evaluation", runs=tuple(run for some in runs.values() for run in some))
    for cell in cells:
        cell.evaluations = [records[run.key] for run in runs[cell.key]]
    return cells


def value_of(record: jobs.Record, entry: Entry, criterion: Criterion, *, test: bool = False) -> float:
    """Give a run's criterion, lower is better; infinite where it diverged or failed.

    Parameters
    ----------
    record
        Of a run.
    entry
        Its task in the study.
    criterion
        What counts; see :class:`~waddington.bench.Horizon`.
    test
        Whether ``"final"`` is that of the test split.
    """
    result = record.result
    if record.status == "failed" or result is None or result["diverged"]:
        return math.inf
    sign = -1.0 if entry.larger_is_better else 1.0
    values = [sign * float(value) for value in result["curve"][entry.metric]]
    if criterion == "anytime":
        found = statistics.fmean(values[1:])
    elif test:
        found = sign * float(result["test"][entry.metric])
    else:
        found = min(values) if entry.patience is not None else values[-1]
    return found if math.isfinite(found) else math.inf


def expected_runs(study: Study) -> int:
    """Count the runs of a study in which nothing is widened."""
    cells = len(study.entries) * len(study.horizons) * len(study.arms)
    selection = study.finalists * len(study.selection_seeds) if study.finalists > 1 else 0
    return cells * (study.trials * len(study.tuning_seeds) + selection + len(study.evaluation_seeds))


# --- phases ---

Proposal: TypeAlias = tuple[Mapping[str, Any], int]
"""Arguments, and the round they are of."""


def _searched(study: Study, cells: list[Cell]) -> Generator[Phase, Records, None]:
    if study.search == "bayes":
        yield from _asked(study, cells)
        return
    most = max(len(cell.space) for cell in cells)
    sobol = quasi_random_points(most, study.trials, seed=study.seed)
    proposals: dict[int, list[Proposal]] = {}
    for cell in cells:
        size = len(cell.space)
        # The first columns of one sequence: arms whose spaces begin alike try the same values there.
        points = grid_points(size, study.trials) if study.search == "grid" else [point[:size] for point in sobol]
        proposals[id(cell)] = [(arguments_at(cell.space, point, _fixed(study, cell)), 0) for point in points]
    yield from _tried(study, proposals, cells, "search")


def _asked(study: Study, cells: list[Cell]) -> Generator[Phase, Records, None]:
    """Let Optuna ask for points, one at a time in every cell; the same answers bring the same questions."""
    optuna: Any = require_extra("optuna", "bench")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    searches = {id(cell): optuna.create_study(sampler=optuna.samplers.TPESampler(seed=study.seed)) for cell in cells}
    for _ in range(study.trials):
        asked = {}
        proposals: dict[int, list[Proposal]] = {}
        for cell in cells:
            trial = asked[id(cell)] = searches[id(cell)].ask()
            place = tuple(trial.suggest_float(name, 0.0, 1.0) for name in cell.space)
            proposals[id(cell)] = [(arguments_at(cell.space, place, _fixed(study, cell)), 0)]
        yield from _tried(study, proposals, cells, "search")
        for cell in cells:
            value = cell.trials[-1].value
            state = optuna.trial.TrialState
            if math.isfinite(value):
                searches[id(cell)].tell(asked[id(cell)], value)
            else:
                searches[id(cell)].tell(asked[id(cell)], state=state.FAIL)


def _tried(
    study: Study, proposals: Mapping[int, list[Proposal]], cells: list[Cell], name: str
) -> Generator[Phase, Records, None]:
    """Try points on all tuning seeds, and keep how good they were."""
    planned = [
        (cell, proposal, [_run(study, cell, proposal[0], seed, test=False) for seed in study.tuning_seeds])
        for cell in cells
        for proposal in proposals[id(cell)]
    ]
    records = yield Phase(
        name=name,
        runs=tuple(run for _, _, runs in planned for run in runs),
        arms=tuple(cell.arm.name for cell, _, runs in planned for _ in runs),
    )
    for cell, (arguments, number), runs in planned:
        found = [records[run.key] for run in runs]
        values = tuple(value_of(record, cell.entry, cell.horizon.criterion) for record in found)
        raised = sum(record.status == "failed" for record in found)
        cell.trials.append(Trial(arguments=arguments, round=number, values=values, raised=raised))


def _at_boundary(study: Study, cells: list[Cell]) -> list[Cell]:
    """Give all arms of the tasks and horizons where some arm's best point lies at a boundary: budgets stay equal."""
    at = {
        cell.key[:2]
        for cell in cells
        if math.isfinite(cell.trials[cell.best].value) and _ends(study, cell, cell.trials[cell.best])
    }
    return [cell for cell in cells if cell.key[:2] in at]


def _beyond(study: Study, cell: Cell, number: int) -> list[Proposal]:
    """Give further points: beyond the boundary for an arm whose best lies there, within the space for the others."""
    count = max(2, study.trials // 4)
    ends = list(_ends(study, cell, cell.trials[cell.best]).items())
    if not ends:
        points = quasi_random_points(len(cell.space), count, seed=study.seed, skip=len(cell.trials))
        return [(arguments_at(cell.space, point, _fixed(study, cell)), number) for point in points]
    before = dict(cell.space)
    for name, end in ends:
        cell.space[name] = before[name].enlarged(end)
    found: list[Proposal] = []
    for i, point in enumerate(quasi_random_points(len(before), count, seed=study.seed + number)):
        name, end = ends[i % len(ends)]
        found.append((arguments_at({**before, name: before[name].beyond(end)}, point, _fixed(study, cell)), number))
    return found


def _ends(study: Study, cell: Cell, trial: Trial) -> dict[str, End]:
    """Give the ends at which a trial lies, and towards which the best three lie: one alone may lie there by chance."""
    fixed = _fixed(study, cell)
    best = sorted(cell.trials, key=lambda one: one.value)[:3]
    agreed = [ends_at(cell.space, {**fixed, **one.arguments}, 2) for one in best if math.isfinite(one.value)]
    found = ends_at(cell.space, {**fixed, **trial.arguments}, max(study.trials, 3))
    return {name: end for name, end in found.items() if all(ends.get(name) == end for ends in agreed)}


def _fixed(study: Study, cell: Cell) -> dict[str, Any]:
    return {**study.arguments, **cell.arm.arguments}


def _selected(study: Study, cells: list[Cell]) -> Generator[Phase, Records, None]:
    """Choose what is evaluated: the best trial, or the best of several on seeds that did not choose them."""
    for cell in cells:
        cell.chosen = cell.best
    if study.finalists == 1:
        return
    planned = [
        (cell, i, [_run(study, cell, cell.trials[i].arguments, seed, test=False) for seed in study.selection_seeds])
        for cell in cells
        for i in sorted(range(len(cell.trials)), key=lambda i, cell=cell: (cell.trials[i].value, i))[: study.finalists]  # type: ignore[misc]
    ]
    records = yield Phase(name="selection", runs=tuple(run for _, _, runs in planned for run in runs))
    for cell, i, runs in planned:
        cell.finals[i] = tuple(value_of(records[run.key], cell.entry, cell.horizon.criterion) for run in runs)
    for cell in cells:
        cell.chosen = min(cell.finals, key=lambda i, cell=cell: (statistics.median(cell.finals[i]), i))  # type: ignore[misc]


def _run(study: Study, cell: Cell, arguments: Mapping[str, Any], seed: int, *, test: bool) -> Run:
    return study.run(cell.entry, cell.horizon, cell.arm, arguments, seed, test=test)
