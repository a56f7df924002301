"""What cells are kept in, one format each, and a registry of them."""

from __future__ import annotations

from waddington.twin.data.io.formats.base import Contents, Format
from waddington.twin.data.io.formats.registry import FORMATS, recognise

__all__ = ["FORMATS", "Contents", "Format", "recognise"]
