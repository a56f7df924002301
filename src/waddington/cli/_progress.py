"""How far a run is, fed by what a run tells: bars with time left on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from waddington._text import visible
from waddington.jobs import Event, Listener

__all__ = ["LineListener", "ProgressListener", "make_listener"]


_WIDE = 100  # columns from which a bar has room

_PAUSE = 30.0  # seconds between two lines of one stage


def make_listener(console: Console) -> ProgressListener | LineListener:
    """Choose bars where a console can redraw them, else lines: in a pipe, a log, a CI job."""
    return ProgressListener(console) if console.is_terminal and not console.is_dumb_terminal else LineListener()


class ProgressListener(Listener):
    """Show one bar for each stage of a run; a context manager."""

    def __init__(self, console: Console) -> None:
        title = TextColumn("{task.description}", style="bold", markup=False)
        times = [
            TextColumn("elapsed", style="dim"),
            TimeElapsedColumn(),
            TextColumn("left", style="dim"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=False),
        ]
        if console.width >= _WIDE:
            title = TextColumn("{task.description:<34}", style="bold", markup=False)
            columns = [title, BarColumn(bar_width=32), MofNCompleteColumn(), *times]
        else:  # the title, how much is done, and what is left
            columns = [title, MofNCompleteColumn(), times[-1]]
        self._progress = Progress(*columns, console=console)
        self._task: TaskID | None = None
        self._fractions: dict[str, float] = {}

    def __enter__(self) -> ProgressListener:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def stage(self, title: str, total: int) -> None:
        """Finish the bar of the stage before, and start one for this."""
        if self._task is not None:
            self._progress.update(self._task, completed=self._progress.tasks[self._task].total or 1)
        self._fractions = {}
        self._task = self._progress.add_task(title, total=max(total, 1))

    def note(self, text: str) -> None:
        """Print what the user should know now."""
        self._progress.console.print(text, markup=False, highlight=False)

    def advance(self, event: Event | None = None) -> None:
        """Move the bar of the present stage: to the sum of its jobs' fractions, or by one step."""
        if self._task is None:
            return
        if event is None:
            self._progress.advance(self._task)
            return
        self._fractions[event.job.key] = event.fraction
        self._progress.update(self._task, completed=sum(self._fractions.values()))


class LineListener(Listener):
    """Print plain lines: when a stage begins, how far it is now and then, and when it has ended; a context manager.

    Parameters
    ----------
    stream
        Where lines go; None is standard error, so that a pipe gets results alone.
    pause
        Fewest seconds between two lines of one stage.
    clock
        Tells seconds.
    """

    def __init__(
        self, stream: TextIO | None = None, *, pause: float = _PAUSE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream or sys.stderr
        self._pause, self._clock = pause, clock
        self._title, self._total, self._begun, self._said = "", 0, 0.0, 0.0
        self._steps = 0
        self._fractions: dict[str, float] = {}

    def __enter__(self) -> LineListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end()

    def stage(self, title: str, total: int) -> None:
        """Say that the stage before has ended, and that this begins."""
        self._end()
        self._title, self._total, self._steps, self._fractions = title, max(total, 1), 0, {}
        self._begun = self._said = self._clock()
        self._print(f"{title}: started, 0 of {self._total}")

    def note(self, text: str) -> None:
        """Print what the user should know now."""
        self._print(f"note: {text}")

    def advance(self, event: Event | None = None) -> None:
        """Say how far the present stage is, if the last line is old enough."""
        if event is None:
            self._steps += 1
        else:
            self._fractions[event.job.key] = event.fraction
        now = self._clock()
        if now - self._said >= self._pause:
            self._said = now
            share = (self._steps + sum(self._fractions.values())) / self._total
            done = self._steps + sum(fraction >= 1.0 for fraction in self._fractions.values())
            seconds = None if event is None else event.seconds_left
            left = "" if seconds is None else f", about {_duration(seconds)} left"
            self._print(f"{self._title}: {done} of {self._total}, {share:.0%} after {self._elapsed()}{left}")

    def _end(self) -> None:
        if self._title:
            self._print(f"{self._title}: finished, {self._total} of {self._total} in {self._elapsed()}")
        self._title = ""

    def _elapsed(self) -> str:
        return _duration(self._clock() - self._begun)

    def _print(self, text: str) -> None:
        print(visible(text), file=self._stream, flush=True)


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
