"""The old address of :mod:`waddington.optim.engine`."""

from __future__ import annotations

from waddington.optim._moved import moved

__getattr__ = moved(__name__, dict.fromkeys(("RuleOptimizer",), "waddington.optim.engine"))
