"""Adaptive optimizers for non-convex training; the digital twin lives in :mod:`waddington.twin`."""

from __future__ import annotations

from importlib.metadata import version

from waddington.optim import ASGDAdam, ASGDAMSGrad, Padam

__all__ = ["ASGDAMSGrad", "ASGDAdam", "Padam", "__version__"]

__version__ = version("waddington")
