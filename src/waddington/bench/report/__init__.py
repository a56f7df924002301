"""The report of a study: one self-contained page, Markdown and CSV, from plain data."""

from __future__ import annotations

from waddington.bench.report.data import (
    ArmRegret,
    Budget,
    Curves,
    Divergence,
    PooledContrast,
    Profile,
    ReportData,
    StepCost,
    TaskResult,
    TuningPoint,
)
from waddington.bench.report.writing import write_report

__all__ = [
    "ArmRegret",
    "Budget",
    "Curves",
    "Divergence",
    "PooledContrast",
    "Profile",
    "ReportData",
    "StepCost",
    "TaskResult",
    "TuningPoint",
    "write_report",
]
