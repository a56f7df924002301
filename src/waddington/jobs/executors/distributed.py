"""Run jobs on a Ray cluster: this machine's cores, or as many machines as the cluster has."""

from __future__ import annotations

import os
import time
from typing import Any

from waddington._checks import check_count, require_extra
from waddington.errors import UnsupportedError
from waddington.jobs.executors.base import Executor, Hear, Outcome, Task, perform
from waddington.jobs.executors.pool import WorkerDied
from waddington.jobs.threads import WORKER_ENVIRONMENT, one_thread

__all__ = ["Ray"]

_LOOK_S = 0.5  # between two looks at how far running jobs are


class Ray(Executor):
    """Runs jobs as Ray tasks of one core each; only ``ray.remote`` is used.

    A Ray that is already connected is used and left as it is. Otherwise one is started (or joined, at `address`) and
    ended with the executor. On several machines the store's folder must be one that all of them see: jobs write their
    files there. Records are written by this process alone.

    Parameters
    ----------
    workers
        Jobs at once; 0: as many as the cluster has cores.
    address
        Of a running cluster; None starts one on this machine.

    Raises
    ------
    MissingExtraError
        When Ray is not installed: ``pip install 'waddington[distributed]'``.
    """

    def __init__(self, workers: int = 0, *, address: str | None = None) -> None:
        check_count("workers", workers, 0)
        self._ray: Any = require_extra("ray", "distributed")
        self._is_mine = not self._ray.is_initialized()
        if self._is_mine:
            # Ray's progress bars would replace `print` in this process, and numba compiles nothing that calls another.
            os.environ.setdefault("RAY_TQDM_PATCH_PRINT", "0")
            cores = {"num_cpus": workers} if workers and address is None else {}
            self._ray.init(address=address, include_dashboard=False, log_to_driver=False, **cores)
        self._slots = workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        remote = self._ray.remote(num_cpus=1, max_retries=0, runtime_env={"env_vars": WORKER_ENVIRONMENT})
        self._perform = remote(_perform_remotely)
        self._board = self._ray.remote(num_cpus=0)(_Board).remote()
        self._running: dict[Any, tuple[Task, float, float]] = {}

    @property
    def slots(self) -> int:
        """Jobs at once."""
        return self._slots

    def start(self, task: Task) -> None:
        """Hand the task to the cluster."""
        self._running[self._perform.remote(task, self._board)] = (task, time.time(), time.perf_counter())

    def wait(self, hear: Hear) -> list[Outcome]:
        """Wait for an outcome, or for half a second and what has moved on meanwhile."""
        if not self._running:
            return []
        ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_LOOK_S)
        moved = self._ray.get(self._board.take.remote())
        for task, _, _ in self._running.values():
            if task.job.key in moved:
                hear(task.job, moved[task.job.key])
        return [self._outcome(reference) for reference in ended]

    def stop(self) -> None:
        """Cancel what runs."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running = {}

    def close(self) -> None:
        """Stop what runs, and the Ray that was started here."""
        self.stop()
        self._ray.kill(self._board)
        if self._is_mine:
            self._ray.shutdown()

    def _outcome(self, reference: Any) -> Outcome:
        task, started, begun = self._running.pop(reference)
        seconds = time.perf_counter() - begun
        error: Exception
        try:
            found: Outcome = self._ray.get(reference)
            return found
        except self._ray.exceptions.WorkerCrashedError:
            error = WorkerDied(
                "cannot go on: a worker process of the Ray cluster ended before its work was done; accepted: "
                "resume=True with fewer workers= where memory was short"
            )
        except self._ray.exceptions.RayError as found_error:
            error = UnsupportedError(f"cannot run {task.job.label!r} on the Ray cluster: {found_error}")
        return Outcome(job=task.job, error=error, started=started, seconds=seconds, machine={"host": "unknown"})


class _Board:
    """An actor on which running jobs write how far they are."""

    def __init__(self) -> None:
        self._fractions: dict[str, float] = {}

    def put(self, key: str, fraction: float) -> None:
        self._fractions[key] = fraction

    def take(self) -> dict[str, float]:
        found, self._fractions = self._fractions, {}
        return found


def _perform_remotely(task: Task, board: Any) -> Outcome:
    with one_thread():
        return perform(task, lambda fraction: board.put.remote(task.job.key, fraction))
