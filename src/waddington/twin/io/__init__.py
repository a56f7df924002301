"""Reading, checking, describing and writing of single cells in one, two or three modalities."""

from __future__ import annotations

from waddington.twin.io.reading import Source, read
from waddington.twin.io.writing import write

__all__ = ["Source", "read", "write"]
