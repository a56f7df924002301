"""Adaptive optimizers for non-convex training; the digital twin lives in :mod:`waddington.twin`."""

from __future__ import annotations

from waddington._version import __version__
from waddington.optim import (
    AMGT,
    AMVT,
    ASGD2,
    AlphaAdam,
    ASGDAdam,
    ASGDAMSGrad,
    CAdamW,
    Compressed,
    LDAdam,
    Lookahead,
    Masked,
    MicroAdam,
    Padam,
    Switched,
)

__all__ = [
    "AMGT",
    "AMVT",
    "ASGD2",
    "ASGDAMSGrad",
    "ASGDAdam",
    "AlphaAdam",
    "CAdamW",
    "Compressed",
    "LDAdam",
    "Lookahead",
    "Masked",
    "MicroAdam",
    "Padam",
    "Switched",
    "__version__",
]
