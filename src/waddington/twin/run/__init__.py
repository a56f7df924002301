"""One run, end to end: configuration, jobs, outputs."""

from __future__ import annotations

from waddington.jobs import Listener
from waddington.twin._moved import names_moved_from
from waddington.twin.run.api import RunResult, run
from waddington.twin.run.config import GUIDE_OPTIMIZERS, PRESETS, RunConfig
from waddington.twin.run.evaluating import EvaluationResult, evaluate_file, write_evaluation
from waddington.twin.run.fields import load_toml
from waddington.twin.run.folder import OUTPUTS
from waddington.twin.run.optimizers import PAPER_GRID
from waddington.twin.run.sections import EncodeConfig, PPOConfig, PreprocessConfig, ReadConfig, SplitConfig

__all__ = [
    "GUIDE_OPTIMIZERS",
    "OUTPUTS",
    "PAPER_GRID",
    "PRESETS",
    "EncodeConfig",
    "EvaluationResult",
    "Listener",
    "PPOConfig",
    "PreprocessConfig",
    "ReadConfig",
    "RunConfig",
    "RunResult",
    "SplitConfig",
    "evaluate_file",
    "load_toml",
    "run",
    "write_evaluation",
]

__getattr__ = names_moved_from(__name__)
