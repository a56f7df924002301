"""The report of a run: one self-contained page."""

from __future__ import annotations

from waddington.twin.report.page import ANSWERS, Picture, Verdict, write_report

__all__ = [
    "ANSWERS",
    "Picture",
    "Verdict",
    "write_report",
]
