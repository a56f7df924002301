"""Long work cut into jobs: each one hashes to its record, and what was killed goes on where it was.

::

    from dataclasses import dataclass
    from waddington import jobs

    @dataclass(frozen=True, kw_only=True)
    class Square(jobs.Job):
        x: float

        def run(self, context):
            return {"y": self.x**2}

    with jobs.Store("results") as store:
        records = jobs.run([Square(x=2.0), Square(x=3.0)], store)

This package knows no domain: the twin's runs and the bench's studies use it.
"""

from __future__ import annotations

from waddington.jobs.executors import Executor, InProcess, Processes, Ray, WorkerDied
from waddington.jobs.job import Context, Job
from waddington.jobs.listener import Listener
from waddington.jobs.lock import holder, locked
from waddington.jobs.progress import Event, Listen, Progress
from waddington.jobs.records import Record
from waddington.jobs.schedule import run
from waddington.jobs.specs import canonical_json, hash_of, spec_of
from waddington.jobs.store import Claim, Store
from waddington.jobs.threads import core_count, one_thread

__all__ = [
    "Claim",
    "Context",
    "Event",
    "Executor",
    "InProcess",
    "Job",
    "Listen",
    "Listener",
    "Processes",
    "Progress",
    "Ray",
    "Record",
    "Store",
    "WorkerDied",
    "canonical_json",
    "core_count",
    "hash_of",
    "holder",
    "locked",
    "one_thread",
    "run",
    "spec_of",
]
