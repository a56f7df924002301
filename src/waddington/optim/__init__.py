"""Optimizers for non-convex training; needs torch only."""

from __future__ import annotations

from waddington.optim.alphaadam import AlphaAdam, CAdamW
from waddington.optim.amgt import AMGT
from waddington.optim.amvt import AMVT
from waddington.optim.asgd import ASGDAdam, ASGDAMSGrad
from waddington.optim.compression import Compressed
from waddington.optim.ldadam import LDAdam
from waddington.optim.lookahead import Lookahead
from waddington.optim.masking import Masked
from waddington.optim.microadam import MicroAdam
from waddington.optim.padam import ASGD2, Padam
from waddington.optim.switching import Switched

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
]
