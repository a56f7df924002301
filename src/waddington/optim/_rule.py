"""The old address of :mod:`waddington.optim.rule`."""

from __future__ import annotations

from waddington.optim._moved import moved

_NAMES = ("Layouts", "Measured", "RateControl", "Rule", "Settings", "Stage", "Tensors")

__getattr__ = moved(__name__, dict.fromkeys(_NAMES, "waddington.optim.rule"))
