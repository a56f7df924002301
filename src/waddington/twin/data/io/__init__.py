"""Reading, checking, describing and writing of single cells in one, two or three modalities."""

from __future__ import annotations

from waddington.twin.data.io.checking import validate
from waddington.twin.data.io.counts import given_modalities
from waddington.twin.data.io.description import Description, ModalityDescription, describe
from waddington.twin.data.io.formats import FORMATS
from waddington.twin.data.io.reading import Source, read, read_all
from waddington.twin.data.io.writing import write

__all__ = [
    "FORMATS",
    "Description",
    "ModalityDescription",
    "Source",
    "describe",
    "given_modalities",
    "read",
    "read_all",
    "validate",
    "write",
]
