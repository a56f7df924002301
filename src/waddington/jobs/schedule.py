"""Run jobs: those that have no record, after those that they need, with what others run meanwhile left to them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from graphlib import TopologicalSorter
from typing import Literal

from waddington._checks import check_choice
from waddington.errors import ArgumentError, UnsupportedError
from waddington.jobs.executors.base import Executor, Outcome, Task, in_words
from waddington.jobs.executors.local import InProcess
from waddington.jobs.job import Job
from waddington.jobs.progress import Event, Listen, Progress
from waddington.jobs.records import Record
from waddington.jobs.store import Claim, Store

__all__ = ["run"]

_PAUSE_S = 0.2  # between two looks at what other processes are running


def run(
    jobs: Iterable[Job],
    store: Store,
    *,
    executor: Executor | None = None,
    on_failure: Literal["stop", "record"] = "stop",
    retry_failed: bool = True,
    listen: Listen | None = None,
) -> list[Record]:
    """Run every job that has no record yet, and those that they need.

    Parameters
    ----------
    jobs
        What to run; equal ones run once.
    store
        Where records are. Other processes may run the same jobs into it at the same time: each job is run by one.
    executor
        Where jobs run; None is this process. It is not closed.
    on_failure
        ``"stop"`` raises the first error, after which nothing queued starts; ``"record"`` goes on, and the record of a
        failed job says why. Either way the error is recorded.
    retry_failed
        Whether a job whose record says that it failed runs again.
    listen
        Told every :class:`~waddington.jobs.Event`.

    Returns
    -------
    list of Record
        One for each of `jobs`, in their order.

    Raises
    ------
    ArgumentError
        `jobs` are no jobs, `store` is no store or `executor` no executor.
    Exception
        The first error of any job, where `on_failure` is ``"stop"``.
    WorkerDied
        A worker process ended before its job did, where `on_failure` is ``"stop"``.
    """
    check_choice("on_failure", on_failure, ("stop", "record"))
    _check("store", store, Store, "a Store")
    if executor is not None:
        _check("executor", executor, Executor, "an Executor such as InProcess() or Processes(2), or None")
    _check("jobs", jobs, Iterable, "a list of jobs")
    wanted = list(jobs)
    for job in wanted:
        _check("jobs", job, Job, "a list of jobs")
    schedule = _Schedule(
        wanted,
        store,
        executor or InProcess(),
        stop=on_failure == "stop",
        retry_failed=retry_failed,
        listen=listen or _nobody,
    )
    with store.patiently():  # giving up would lose what has been computed
        records = schedule.work()
    return [records[job.key] for job in wanted]


class _Schedule:
    """The jobs of one call: ready, running, in the hands of other processes, ended."""

    def __init__(
        self, jobs: list[Job], store: Store, executor: Executor, *, stop: bool, retry_failed: bool, listen: Listen
    ) -> None:
        self._store, self._executor, self._stop = store, executor, stop
        self._jobs = _with_needs(jobs)
        self._order = TopologicalSorter({key: [need.key for need in job.needs] for key, job in self._jobs.items()})
        self._order.prepare()
        self._known = {
            key for key, status in store.recorded().items() if status == "done" or not retry_failed
        } & self._jobs.keys()
        self._retry = set(self._jobs) if retry_failed else set()
        self._ready: deque[Job] = deque()
        self._elsewhere: list[Job] = []
        self._running: dict[str, Claim] = {}
        self._records: dict[str, Record] = {}
        self._progress = Progress(len(self._jobs), listen)

    def work(self) -> dict[str, Record]:
        """Run everything; give records by key."""
        for job in self._jobs.values():
            self._progress.tell("queued", job)
        try:
            while self._order.is_active():
                self._ready.extend(self._jobs[key] for key in self._order.get_ready())
                self._start_what_can()
                if self._running:
                    for outcome in self._executor.wait(self._hear):
                        self._end(outcome)
                elif self._elsewhere:
                    time.sleep(_PAUSE_S)
                self._look_elsewhere()
        except BaseException:
            try:
                self._executor.stop()
            finally:
                for claim in self._running.values():
                    self._store.give_back(claim)
            raise
        return self._records

    def _start_what_can(self) -> None:
        while self._ready and len(self._running) < self._executor.slots:
            job = self._ready.popleft()
            if job.key in self._known and (record := self._store.get(job)) is not None:
                self._keep(job, record, is_recorded=True)
            elif (claim := self._store.claim(job, retry_failed=job.key in self._retry)) is None:
                self._elsewhere.append(job)
            else:
                self._retry.discard(job.key)
                self._begin(job, claim)

    def _begin(self, job: Job, claim: Claim) -> None:
        self._running[job.key] = claim
        needs = [self._records[need.key] for need in job.needs]
        for need in needs:
            if need.status == "failed":
                reason = f"{UnsupportedError.__name__}: not run: it needs {need.label!r}, which failed"
                record = self._store.fail(claim, reason, started=time.time(), seconds=0.0)
                del self._running[job.key]
                self._settle(job, record)
                return
        self._progress.tell("started", job)
        results = {need.key: need.result or {} for need in needs}
        self._executor.start(Task(job=job, root=self._store.folder, results=results))

    def _end(self, outcome: Outcome) -> None:
        claim = self._running[outcome.job.key]
        if outcome.error is None:
            record = self._store.finish(
                claim, outcome.result or {}, started=outcome.started, seconds=outcome.seconds, machine=outcome.machine
            )
        else:
            record = self._store.fail(
                claim,
                in_words(outcome.error),
                started=outcome.started,
                seconds=outcome.seconds,
                machine=outcome.machine,
            )
        del self._running[outcome.job.key]  # only now: a claim whose record cannot be written is given back
        self._settle(outcome.job, record)
        if outcome.error is not None and self._stop:
            if outcome.trace:
                outcome.error.add_note(f"in {outcome.job.label}:\n{outcome.trace}")
            raise outcome.error

    def _look_elsewhere(self) -> None:
        """See what other processes have ended, and take what they have left."""
        waiting, self._elsewhere = self._elsewhere, []
        for job in waiting:
            if (record := self._store.get(job)) is None:
                self._ready.append(job)
            elif record.status == "failed" and self._stop:
                raise UnsupportedError(f"cannot go on: {job.label} failed in another process: {record.error}")
            else:
                self._keep(job, record, is_recorded=True)

    def _settle(self, job: Job, record: Record | None) -> None:
        """Keep a record; where the lease was lost meanwhile, somebody else's counts."""
        if record is None:
            self._elsewhere.append(job)
        else:
            self._keep(job, record)

    def _keep(self, job: Job, record: Record, *, is_recorded: bool = False) -> None:
        self._records[job.key] = record
        self._order.done(job.key)
        self._progress.tell("finished" if record.status == "done" else "failed", job, is_recorded=is_recorded)

    def _hear(self, job: Job, fraction: float) -> None:
        self._progress.tell("progress", job, fraction)


def _with_needs(jobs: Iterable[Job]) -> dict[str, Job]:
    """Give jobs by key, each once, and all that they need; otherwise in the order given."""
    found: dict[str, Job] = {}

    def visit(job: Job) -> None:
        if job.key not in found:
            for need in job.needs:
                visit(need)
            found[job.key] = job

    for job in jobs:
        visit(job)
    return found


def _check(name: str, given: object, kind: type, accepted: str) -> None:
    if not isinstance(given, kind):
        what = given.__name__ if isinstance(given, type) else f"of type {type(given).__name__}"
        raise ArgumentError(f"cannot use {name}: found {what}; accepted: {accepted}")


def _nobody(_: Event) -> None:
    """Hear nothing."""
