"""Run a study, or look up what it has come to: both drive the same course."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from waddington import jobs
from waddington._checks import check_known
from waddington.bench.arm import Arm, build_optimizer
from waddington.bench.run import Run
from waddington.bench.search import Cell, Course, Phase, course
from waddington.bench.study import Study
from waddington.bench.trackers import TRACKERS
from waddington.errors import ArgumentError, UnsupportedError

__all__ = ["conduct", "looked_up"]


def conduct(
    study: Study,
    store: jobs.Store,
    *,
    executor: jobs.Executor | None = None,
    listener: jobs.Listener | None = None,
    retries: int = 1,
    evaluate: bool = True,
    trackers: tuple[str, ...] = (),
) -> list[Cell]:
    """Run what a study lacks, and give what it comes to.

    Parameters
    ----------
    study
        The study.
    store
        Where records are. Several studies and processes may use it at the same time; equal runs run once.
    executor
        Where runs run; None is this process.
    listener
        Told of every phase, and of every run in it.
    retries
        How many times a run that failed is run again, now. What fails then counts as worst.
    evaluate
        Whether what was chosen is evaluated; without it the study is a search alone.
    trackers
        Names of :data:`waddington.bench.trackers.TRACKERS` that show curves while runs run.

    Raises
    ------
    UnknownNameError
        No such tracker.
    DataError
        A task's data are not on disk, said before anything runs.
    ArgumentError
        A file of a task or an optimizer is not there, or has changed since the study was made; or an arm's optimizer
        can be built at none of its points. Said before anything runs.
    UnsupportedError
        Every run of a phase failed: the task or the optimizer cannot work, and the message is the first one's.
    """
    going = course(study, evaluate=evaluate)
    phase = next(going)
    for tracker in trackers:
        check_known("tracker", tracker, TRACKERS)
    _check_data(study, phase, store)
    _check_files(phase, store)
    _check_arms(study, phase, store)
    hears = listener or jobs.Listener()
    try:
        while True:
            runs = [replace(run, trackers=trackers) for run in {run.key: run for run in phase.runs}.values()]
            hears.stage(phase.name, len(runs))
            found = jobs.run(runs, store, executor=executor, on_failure="record", listen=hears.advance)
            for _ in range(retries):
                failed = [record.key for record in found if record.status == "failed"]
                if not failed:
                    break
                again = [run for run in runs if run.key in failed]
                jobs.run(again, store, executor=executor, on_failure="record")
            records = _records(phase, store)
            _check_some_ran(phase, records)
            phase = going.send(records)
            _check_files(phase, store)
    except StopIteration as end:
        cells: list[Cell] = end.value
        return cells


def looked_up(study: Study, store: jobs.Store) -> list[Cell]:
    """Give what a study has come to, from its records alone.

    Raises
    ------
    UnsupportedError
        Records are missing: the study has not been run to its end.
    """
    going: Course = course(study)
    phase = next(going)
    try:
        while True:
            phase = going.send(_records(phase, store))
    except StopIteration as end:
        cells: list[Cell] = end.value
        return cells


def _check_data(study: Study, phase: Phase, store: jobs.Store) -> None:
    """Make one problem of every task that has runs to do and reads data: what is missing is said at once.

    Those of a GPU are left alone: their models are large, and data may lie where the workers are.
    """
    known = store.recorded()
    waiting = {run.task for run in phase.runs if run.key not in known}
    for entry in study.entries:
        found = entry.found
        if entry.task in waiting and found.needs and found.tier in ("seconds", "minutes"):
            found.problem(study.tuning_seeds[0], **entry.parameters)


def _check_arms(study: Study, phase: Phase, store: jobs.Store) -> None:
    """Build the optimizers of an arm's runs on the first task: an arm that none of them can build is refused.

    A study that goes on is asked as a whole, for its good points may have been run already. A task of a GPU is left
    alone, and one that raises is the runs' to record.
    """
    entry, known = study.entries[0], store.recorded()
    runs = [pair for pair in zip(phase.runs, phase.arms, strict=True) if pair[0].task == entry.task]
    if all(run.key in known for run, _ in runs) or entry.found.tier not in ("seconds", "minutes"):
        return
    try:
        problem = entry.found.problem(study.tuning_seeds[0], **entry.parameters)
    except Exception:  # noqa: BLE001  # a task may raise whatever it likes
        return
    parameters = problem.parameters or (lambda model: model.parameters())
    for arm in study.arms:
        errors = [_refusal(arm, run, parameters(problem.model)) for run, name in runs if name == arm.name]
        if errors and all(errors):
            raise ArgumentError(
                f"cannot use the arm {arm.name!r}: {errors[0]}; accepted are arguments that {arm.optimizer} takes"
            ) from errors[0]


def _refusal(arm: Arm, run: Run, parameters: Iterable[Any]) -> Exception | None:
    try:
        build_optimizer(arm.reference, parameters, run.arguments, digest=arm.digest)
    except (TypeError, ValueError) as error:
        return error
    return None


def _check_files(phase: Phase, store: jobs.Store) -> None:
    """Look once for every file that runs to do are read from."""
    known = store.recorded()
    waiting = {(run.source, run.task, run.place, run.optimizer): run for run in phase.runs if run.key not in known}
    for run in waiting.values():
        run.check_files()


def _records(phase: Phase, store: jobs.Store) -> Mapping[str, jobs.Record]:
    found: dict[str, jobs.Record] = {}
    missing = 0
    for run in phase.runs:
        if run.key not in found:
            record = store.get(run)
            if record is None:
                missing += 1
            else:
                found[run.key] = record
    if missing:
        raise UnsupportedError(
            f"cannot compare: {missing} of {len(phase.runs)} runs of the {phase.name} have no record; accepted: a study"
            " that was run to its end (`waddington bench run` goes on where it was stopped)"
        )
    return found


def _check_some_ran(phase: Phase, records: Mapping[str, jobs.Record]) -> None:
    if records and all(record.status == "failed" for record in records.values()):
        first = next(iter(records.values()))
        raise UnsupportedError(
            f"cannot go on: all {len(records)} runs of the {phase.name} failed, the first, {first.label}, by"
            f" {first.error}; accepted: a task and optimizers that work"
        )
