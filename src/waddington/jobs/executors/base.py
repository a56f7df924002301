"""What an executor does: it takes tasks and gives messages; it knows no store."""

from __future__ import annotations

import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from waddington._files import remove_parts
from waddington.errors import UnsupportedError
from waddington.jobs.job import Context, Job, files_folder
from waddington.jobs.records import checked_result, this_machine

__all__ = ["Executor", "Hear", "Outcome", "Task", "in_words", "perform"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A job with what it needs to run anywhere."""

    job: Job
    root: Path
    """The store's folder."""
    results: Mapping[str, Mapping[str, Any]]
    """Results of the jobs it needs, by key."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a task ended, and where and when it ran."""

    job: Job
    result: Mapping[str, Any] | None = None
    error: Exception | None = None
    """What it failed with; in the record, only its type and message are kept."""
    trace: str = ""
    """Where it failed, as text."""
    started: float
    seconds: float
    machine: Mapping[str, str]


Hear: TypeAlias = Callable[[Job, float], None]
"""Told the fraction of a job that is done."""


class Executor(ABC):
    """Runs tasks somewhere; a context manager."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many tasks it runs at once."""

    @abstractmethod
    def start(self, task: Task) -> None:
        """Take a task; never called with more than :attr:`slots` under way."""

    @abstractmethod
    def wait(self, hear: Hear) -> list[Outcome]:
        """Wait until something has happened; tell what moved on, and give what ended."""

    @abstractmethod
    def stop(self) -> None:
        """Stop what is under way; another time it goes on from its own checkpoint."""

    def close(self) -> None:
        """Stop what is under way, and give back what the executor holds."""
        self.stop()

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def perform(task: Task, tell: Callable[[float], None]) -> Outcome:
    """Run a task in this process; what it raises is part of the outcome, but for an interrupt."""
    started, begun = time.time(), time.perf_counter()

    def outcome(**found: Any) -> Outcome:
        seconds = time.perf_counter() - begun
        return Outcome(job=task.job, started=started, seconds=seconds, machine=this_machine(), **found)

    try:
        remove_parts(files_folder(task.root, task.job.key))  # whoever holds the job's claim is alone there
        result = task.job.run(Context(task.root, task.job.key, task.results, tell))
        return outcome(result=checked_result(task.job, result))
    except Exception as error:  # noqa: BLE001  whatever a job raises is its outcome
        return outcome(error=error, trace=traceback.format_exc())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  sys.exit() ends a job, not the study
        return outcome(error=UnsupportedError(f"the job left by {in_words(error)}"), trace=traceback.format_exc())


def in_words(error: BaseException) -> str:
    """Give type and message of an error, as a record keeps them; an error may fail to say what it is."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  whatever its __str__ raises
        return f"{type(error).__name__}: (its message cannot be read)"
