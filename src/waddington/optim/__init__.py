"""Optimizers for non-convex training; needs torch only."""

from __future__ import annotations

from waddington.optim.asgd import ASGDAdam, ASGDAMSGrad
from waddington.optim.padam import Padam

__all__ = ["ASGDAMSGrad", "ASGDAdam", "Padam"]
