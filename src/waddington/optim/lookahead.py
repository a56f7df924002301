"""The old address of :mod:`waddington.optim.wrappers.lookahead`."""

from __future__ import annotations

from waddington.optim._moved import moved

__all__: list[str] = []

__getattr__ = moved(__name__, dict.fromkeys(("Lookahead",), "waddington.optim.wrappers.lookahead"))
