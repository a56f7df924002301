"""The theorems of the papers as calculators: what they promise, what they assume, what a run does.

One module a paper: :mod:`.asgd`, :mod:`.amgt`, :mod:`.alphaadam` and :mod:`.amvt`. Their functions give numbers, or a
:class:`Bound`, which :func:`judge` puts beside a measured curve; :class:`ConstantsRecorder` measures what it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from waddington.analysis.bounds.assumption import Assumption, at_most, broken, not_measured, stated
from waddington.analysis.bounds.bound import Bound, Judgement, judge
from waddington.analysis.bounds.constants import ConstantsRecorder, RunConstants
from waddington.analysis.bounds.powers import PowerFit, fit_power

if TYPE_CHECKING:
    from waddington.analysis.bounds import alphaadam, amgt, amvt, asgd

__all__ = [
    "Assumption",
    "Bound",
    "ConstantsRecorder",
    "Judgement",
    "PowerFit",
    "RunConstants",
    "alphaadam",
    "amgt",
    "amvt",
    "asgd",
    "at_most",
    "broken",
    "fit_power",
    "judge",
    "not_measured",
    "stated",
]

_PAPERS = ("alphaadam", "amgt", "amvt", "asgd")


def __getattr__(name: str) -> Any:
    if name not in _PAPERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
