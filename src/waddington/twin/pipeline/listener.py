"""Who is told how far a run is."""

from __future__ import annotations

from waddington.twin.pipeline.executor import Event

__all__ = ["Listener"]


class Listener:
    """Hears of a run's stages; this one says nothing. The command line's shows bars."""

    def stage(self, title: str, total: int) -> None:
        """Begin a stage of `total` pieces of work."""

    def advance(self, event: Event | None = None) -> None:
        """Hear that a unit moved on, or (without an event) that one piece is done."""
