"""Optimizers for non-convex training; needs torch only.

Further rooms come with the package, each imported at its first use: :mod:`~waddington.optim.registry` (optimizers by
name), :mod:`~waddington.optim.schedules`, :mod:`~waddington.optim.rule` (write your own),
:mod:`~waddington.optim.testing` (check it), :mod:`~waddington.optim.communication`, and the mathematics of the
components and of AMVT's modules.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from waddington.optim.alphaadam import AlphaAdam, CAdamW
from waddington.optim.amgt import AMGT
from waddington.optim.amvt import AMVT
from waddington.optim.asgd import ASGDAdam, ASGDAMSGrad
from waddington.optim.engine import RuleOptimizer
from waddington.optim.ldadam import LDAdam
from waddington.optim.microadam import MicroAdam
from waddington.optim.padam import ASGD2, Padam
from waddington.optim.wrappers import Averaged, Compressed, Lookahead, Masked, Projected, Switched

if TYPE_CHECKING:
    from waddington.optim import (
        adaptation,
        alignment,
        communication,
        compression,
        masking,
        moments,
        preprocessing,
        projection,
        registry,
        rule,
        schedules,
        switching,
        testing,
        updating,
    )

__all__ = [
    "AMGT",
    "AMVT",
    "ASGD2",
    "ASGDAMSGrad",
    "ASGDAdam",
    "AlphaAdam",
    "Averaged",
    "CAdamW",
    "Compressed",
    "LDAdam",
    "Lookahead",
    "Masked",
    "MicroAdam",
    "Padam",
    "Projected",
    "RuleOptimizer",
    "Switched",
    "adaptation",
    "alignment",
    "communication",
    "compression",
    "masking",
    "moments",
    "preprocessing",
    "projection",
    "registry",
    "rule",
    "schedules",
    "switching",
    "testing",
    "updating",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted(__all__)
