"""Adaptive optimizers for non-convex training; the digital twin lives in :mod:`waddington.twin`.

Names are imported on first use: importing the package alone loads nothing heavy, not even torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from waddington._version import __version__

if TYPE_CHECKING:
    from waddington import analysis, errors, jobs, optim, twin
    from waddington.optim import (
        AMGT,
        AMVT,
        ASGD2,
        AlphaAdam,
        ASGDAdam,
        ASGDAMSGrad,
        Averaged,
        CAdamW,
        Compressed,
        LDAdam,
        Lookahead,
        Masked,
        MicroAdam,
        Padam,
        Projected,
        Switched,
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
    "Switched",
    "__version__",
    "analysis",
    "errors",
    "jobs",
    "optim",
    "twin",
]

_ROOMS = ("analysis", "errors", "jobs", "optim", "twin")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module(f"{__name__}.optim"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
