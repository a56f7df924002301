"""How far a set of jobs is: events for whoever listens. Nothing is drawn here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from waddington.jobs.job import Job

__all__ = ["Event", "Listen", "Progress"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a job."""

    what: Literal["queued", "started", "progress", "finished", "failed"]
    job: Job
    fraction: float
    """Of this job's work that is done, in [0, 1]."""
    done: int
    """Jobs that have ended, failed ones included."""
    total: int
    """Jobs in all."""
    seconds_left: float | None
    """Estimate for all that is left, from the pace so far; None before anything has moved."""
    is_recorded: bool = False
    """Whether the job had a record before and was not run now."""

    @property
    def ended(self) -> bool:
        """Whether the job has finished or failed."""
        return self.what in ("finished", "failed")


Listen: TypeAlias = Callable[[Event], None]
"""Told every event, in the process and thread that called :func:`waddington.jobs.run`."""


class Progress:
    """Counts what is done and estimates what is left; tells a listener.

    Parameters
    ----------
    total
        Number of jobs.
    listen
        Told every event.
    clock
        Tells seconds; for tests.
    """

    def __init__(self, total: int, listen: Listen, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._listen, self._clock = total, listen, clock
        self._begun = clock()
        self._fractions: dict[str, float] = {}
        self._ended: set[str] = set()
        self._recorded = 0

    def tell(
        self,
        what: Literal["queued", "started", "progress", "finished", "failed"],
        job: Job,
        fraction: float = 0.0,
        *,
        is_recorded: bool = False,
    ) -> None:
        """Count an event, and tell it."""
        fraction = 1.0 if what in ("finished", "failed") else fraction
        if what in ("finished", "failed"):
            self._ended.add(job.key)
            self._recorded += is_recorded
        if not is_recorded:
            self._fractions[job.key] = fraction
        self._listen(
            Event(
                what=what,
                job=job,
                fraction=fraction,
                done=len(self._ended),
                total=self._total,
                seconds_left=self._seconds_left(),
                is_recorded=is_recorded,
            )
        )

    def _seconds_left(self) -> float | None:
        worked = sum(self._fractions.values())
        left = self._total - self._recorded - worked
        if left <= 0:
            return 0.0
        return (self._clock() - self._begun) / worked * left if worked > 0 else None
