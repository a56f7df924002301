"""Who is told how far a run is."""

from __future__ import annotations

import warnings

from waddington.jobs.progress import Event

__all__ = ["Listener"]


class Listener:
    """Hears of the stages of long work; this one warns of what matters. The command line's shows bars."""

    def stage(self, title: str, total: int) -> None:
        """Begin a stage of `total` pieces of work."""

    def note(self, text: str) -> None:
        """Hear something that the user should know now; this one warns."""
        warnings.warn(text, UserWarning, stacklevel=3)

    def advance(self, event: Event | None = None) -> None:
        """Hear what happened to a job, or (without an event) that one piece is done."""
