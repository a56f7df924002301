"""The simulator behind :mod:`waddington.twin.datasets`: a gene network, its cells, and what sequencing sees of them."""

from __future__ import annotations

from waddington.twin._moved import names_moved_from

__all__: list[str] = []

__getattr__ = names_moved_from(__name__)
