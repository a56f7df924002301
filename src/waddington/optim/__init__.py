"""Optimizers for non-convex training; needs torch only."""

from __future__ import annotations

from waddington.optim.alphaadam import AlphaAdam, CAdamW
from waddington.optim.amgt import AMGT
from waddington.optim.amvt import AMVT
from waddington.optim.asgd import ASGDAdam, ASGDAMSGrad
from waddington.optim.ldadam import LDAdam
from waddington.optim.microadam import MicroAdam
from waddington.optim.padam import ASGD2, Padam
from waddington.optim.wrappers import Compressed, Lookahead, Masked, Projected, Switched

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
    "Projected",
    "Switched",
]
