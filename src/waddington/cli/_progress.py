"""Progress bars with time left, fed by what the pipeline tells."""

from __future__ import annotations

from types import TracebackType

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

from waddington.twin.pipeline import Event, Listener, Unit

__all__ = ["ProgressListener"]


_WIDE = 100  # columns from which a bar has room


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
        self._fractions: dict[Unit, float] = {}

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
        """Move the bar of the present stage: to the sum of its units' fractions, or by one step."""
        if self._task is None:
            return
        if event is None:
            self._progress.advance(self._task)
            return
        self._fractions[event.unit] = event.fraction
        self._progress.update(self._task, completed=sum(self._fractions.values()))
