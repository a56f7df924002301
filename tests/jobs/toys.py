"""Small jobs for tests, importable by worker processes."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from waddington._files import write_text
from waddington.jobs import Context, Job


@dataclass(frozen=True, kw_only=True)
class Square(Job):
    """Compute something, and leave a mark in the store's folder that it was computed."""

    x: float
    seed: int = 0
    note: str = field(default="", compare=False)

    def run(self, context: Context) -> Mapping[str, Any]:
        (context.root / f"ran-{self.key}-{uuid.uuid4().hex}").touch()
        context.progress(0.5)
        return {"y": self.x**2, "list": (1, 2)}


@dataclass(frozen=True, kw_only=True)
class Sum(Job):
    """Add what other jobs found."""

    parts: tuple[Job, ...]

    def run(self, context: Context) -> Mapping[str, Any]:
        return {"y": sum(context.result(part)["y"] for part in self.parts)}


@dataclass(frozen=True, kw_only=True)
class Broken(Job):
    """Fail while a file called ``broken`` lies in the store's folder; with `by_kill`, as for want of memory."""

    x: float = 0.0
    by_kill: bool = False

    def run(self, context: Context) -> Mapping[str, Any]:
        if not (context.root / "broken").exists():
            return {"y": self.x}
        if self.by_kill:
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError(f"job {self.x:g} is broken")


class TwoPartError(Exception):
    """An error that pickle cannot bring back."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


@dataclass(frozen=True, kw_only=True)
class Unpicklable(Job):
    """Raise what cannot be sent."""

    def run(self, context: Context) -> Mapping[str, Any]:
        raise TwoPartError("this", "that")


@dataclass(frozen=True, kw_only=True)
class Report(Job):
    """Say with how many threads it runs, and write a file."""

    x: float

    def run(self, context: Context) -> Mapping[str, Any]:
        import torch

        np.ones((4, 4)) @ np.ones((4, 4))
        write_text(context.folder / "note.txt", f"{self.x!r}")
        threads = [torch.get_num_threads(), *(library["num_threads"] for library in threadpool_info())]
        return {"threads": max(threads), "wait": os.environ.get("OMP_WAIT_POLICY"), "x": np.float64(self.x)}


class SilentError(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@dataclass(frozen=True, kw_only=True)
class Leaves(Job):
    """End in a way that is no plain error."""

    how: str

    def run(self, context: Context) -> Mapping[str, Any]:
        raise {"exit": SystemExit(0), "silence": SilentError(), "cancelled": asyncio.CancelledError("late")}[self.how]


@dataclass(frozen=True, kw_only=True)
class Seeded(Job):
    """Have a seed that is no number."""

    seed: Path

    def run(self, context: Context) -> Mapping[str, Any]:
        return {"y": 1}


@dataclass(frozen=True, kw_only=True)
class NoResult(Job):
    """Give what JSON cannot hold."""

    def run(self, context: Context) -> Mapping[str, Any]:
        return {"array": np.zeros(2)}
