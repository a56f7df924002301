"""Run jobs in this process, one after the other."""

from __future__ import annotations

from waddington.jobs.executors.base import Executor, Hear, Outcome, Task, perform
from waddington.jobs.threads import one_thread

__all__ = ["InProcess"]


class InProcess(Executor):
    """Runs one job at a time in this process, on one thread."""

    def __init__(self) -> None:
        self._task: Task | None = None

    @property
    def slots(self) -> int:
        """One."""
        return 1

    def start(self, task: Task) -> None:
        """Keep the task for :meth:`wait`."""
        self._task = task

    def wait(self, hear: Hear) -> list[Outcome]:
        """Run the task."""
        task, self._task = self._task, None
        if task is None:
            return []
        with one_thread():
            return [perform(task, lambda fraction: hear(task.job, fraction))]

    def stop(self) -> None:
        """Forget the task."""
        self._task = None
