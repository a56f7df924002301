"""One run, end to end: configuration, units of work, outputs."""

from __future__ import annotations

from waddington.twin.pipeline.config import GUIDE_OPTIMIZERS, PAPER_GRID, PRESETS, RunConfig
from waddington.twin.pipeline.executor import Event, Unit
from waddington.twin.pipeline.fields import load_toml
from waddington.twin.pipeline.folder import OUTPUTS
from waddington.twin.pipeline.job import RunResult, run
from waddington.twin.pipeline.listener import Listener

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
