"""What all jobs of a run share: their names, and the cells and settings that they read from the run's folder."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from waddington.jobs import Context, Job
from waddington.twin.run.config import RunConfig
from waddington.twin.run.data import RunData, load

__all__ = ["TwinJob", "as_text", "read_inputs"]


@dataclass(frozen=True, kw_only=True)
class TwinJob(Job):
    """One piece of a run's work.

    Its result holds ``scores`` (rows split, modality, metric, value), ``objective`` (what tuning compares, larger is
    better; None where training diverged), and the ``history`` of training.
    """

    run_id: str
    """Hash of the run's settings and cells, which lie in the run's ``work`` folder."""
    protocol: str = "held-out"
    optimizer: str = "none"
    lr: float = 0.0
    seed: int
    variant: str = ""
    """What else tells it apart, e.g. how many perturbations at once."""
    searched: tuple[tuple[str, float], ...] = ()
    """Arguments of the optimizer that a search tries or has chosen beside the rate, by name."""

    @property
    def label(self) -> str:
        """Kind, protocol, variant, optimizer, rate, what else was searched, and seed, joined by underscores."""
        kind, rate, seed = type(self).kind, f"{self.lr:g}", f"{self.seed}"
        parts = (kind, self.protocol, self.variant, self.optimizer, rate, as_text(self.searched), seed)
        return "_".join(part for part in parts if part)


def as_text(searched: Iterable[tuple[str, float]]) -> str:
    """Write arguments that were searched: ``beta2=0.99,p=0.125``."""
    return ",".join(f"{name}={value:g}" for name, value in searched)


def read_inputs(context: Context) -> tuple[RunData, RunConfig]:
    """Read prepared cells and configuration from a run's ``work`` folder, once a process and run.

    A folder may be taken away and used again by another run in the same process (a notebook does that), so what was
    read is kept by the settings and the data's hash, not by the folder's name alone.
    """
    work = context.root
    return _read(work, (work / "config.json").read_text(encoding="utf-8"), (work / "data.txt").read_text())


@functools.lru_cache(maxsize=1)
def _read(work: Path, settings: str, data: str) -> tuple[RunData, RunConfig]:
    return load(work / "prepared"), RunConfig.of(**json.loads(settings))
