"""Run jobs in processes of this machine; one that dies takes its own job with it, and no other."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Collection
from multiprocessing.connection import Connection, wait
from typing import Any

from waddington._checks import check_count
from waddington.errors import UnsupportedError
from waddington.jobs.executors.base import Executor, Hear, Outcome, Task, in_words, perform
from waddington.jobs.records import this_machine
from waddington.jobs.threads import WORKER_ENVIRONMENT, core_count, environment

__all__ = ["Processes", "WorkerDied"]


class WorkerDied(UnsupportedError):
    """A worker process ended before its job did."""


class Processes(Executor):
    """Runs jobs in worker processes that live as long as the executor.

    Processes are spawned, so they read the script that started them: in a script, work begins below
    ``if __name__ == "__main__":``. Every worker has one thread, so that the bits of a result don't depend on how many
    share the work, and ends with the process that started it, even where that one is killed.

    Parameters
    ----------
    workers
        Number of processes; 0: one for each core.

    Raises
    ------
    UnsupportedError
        In a worker that is reading such a script: the line is missing there.
    """

    def __init__(self, workers: int = 0) -> None:
        check_count("workers", workers, 0)
        if getattr(multiprocessing.process.current_process(), "_inheriting", False):
            raise UnsupportedError(
                "cannot start worker processes while a worker reads the script that started it; accepted: the call "
                "below `if __name__ == '__main__':`"
            )
        self._slots = workers or core_count()
        self._context = multiprocessing.get_context("spawn")
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, _Worker] = {}

    @property
    def slots(self) -> int:
        """The number of workers."""
        return self._slots

    def start(self, task: Task) -> None:
        """Give the task to an idle worker, or to a new one."""
        worker = self._idle.pop() if self._idle else _Worker(self._context)
        try:
            worker.begin(task)
        except BaseException:
            self._idle.append(worker)  # nothing was sent
            raise
        self._busy[worker.connection] = worker

    def wait(self, hear: Hear) -> list[Outcome]:
        """Wait for messages; a worker that ends without an outcome gives one that says so."""
        ended: list[Outcome] = []
        for connection in wait(list(self._busy)):
            assert isinstance(connection, Connection)
            worker = self._busy[connection]
            try:
                message = connection.recv()
            except (EOFError, OSError):
                del self._busy[connection]
                ended.append(worker.death())
                continue
            if isinstance(message, Outcome):
                self._idle.append(self._busy.pop(connection))
                ended.append(message)
            else:
                hear(worker.task.job, message)
        return ended

    def stop(self) -> None:
        """End the workers that are busy."""
        _end_all(self._busy.values())
        self._busy = {}

    def close(self) -> None:
        """End all workers."""
        self.stop()
        _end_all(self._idle)
        self._idle = []


class _Worker:
    """A process and the pipe to it."""

    def __init__(self, context: Any) -> None:
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,))
        with environment(WORKER_ENVIRONMENT):
            self.process.start()
        theirs.close()  # so that the pipe ends when the process does

    def begin(self, task: Task) -> None:
        self.task = task
        self._started, self._begun = time.time(), time.perf_counter()
        try:
            self.connection.send(task)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UnsupportedError(
                f"cannot send {task.job.label!r} to a worker process: {error}; accepted: a job whose class is "
                "importable by name, or workers=1"
            ) from error
        except OSError:
            pass  # It is dead; wait() finds that out.

    def death(self) -> Outcome:
        """Say that the process ended, and how."""
        self.process.join()
        error = WorkerDied(
            f"cannot go on: a worker process ended before its work was done ({_how(self.process.exitcode)}); accepted: "
            "resume=True with workers=1 where memory was short, and in a script the call below "
            "`if __name__ == '__main__':`, for workers read the script too"
        )
        return Outcome(
            job=self.task.job,
            error=error,
            started=self._started,
            seconds=time.perf_counter() - self._begun,
            machine=this_machine(),
        )


def _end_all(workers: Collection[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
        worker.connection.close()
    for worker in workers:
        worker.process.join()


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"by signal {signal.Signals(-code).name}" if -code in list(signal.Signals) else f"by signal {-code}"
    return f"exit code {code}"


def _serve(connection: Connection) -> None:
    """Run tasks until the pipe or the parent ends; one thread, also in what is loaded already."""
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    speaking = threading.Lock()  # a job may report from several threads

    def send(message: float | Outcome) -> None:
        with speaking:
            connection.send(message)

    while True:
        try:
            task = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        send(_sendable(perform(task, send)))


def _sendable(outcome: Outcome) -> Outcome:
    """Give an outcome that can be sent: an error that cannot becomes one that says the same."""
    try:
        pickle.loads(pickle.dumps(outcome))
    except Exception:  # noqa: BLE001  an exception may refuse to be copied in any way it likes
        error = UnsupportedError(in_words(outcome.error) if outcome.error else "its outcome cannot be sent")
        return Outcome(
            job=outcome.job,
            error=error,
            trace=outcome.trace,
            started=outcome.started,
            seconds=outcome.seconds,
            machine=outcome.machine,
        )
    return outcome


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
