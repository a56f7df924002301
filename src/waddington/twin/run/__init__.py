"""One run, end to end: configuration, units of work, outputs."""

from __future__ import annotations

from waddington.twin.run.api import RunResult, run
from waddington.twin.run.config import GUIDE_OPTIMIZERS, PAPER_GRID, PRESETS, RunConfig
from waddington.twin.run.executor import Event, Unit
from waddington.twin.run.fields import load_toml
from waddington.twin.run.folder import OUTPUTS
from waddington.twin.run.listener import Listener

__all__ = [
    "GUIDE_OPTIMIZERS",
    "OUTPUTS",
    "PAPER_GRID",
    "PRESETS",
    "Event",
    "Listener",
    "RunConfig",
    "RunResult",
    "Unit",
    "load_toml",
    "run",
]
