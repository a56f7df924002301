"""What a format is: how a file of it is recognised by what it holds, and what reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

__all__ = ["Container", "Contents", "Format"]

Container: TypeAlias = Literal["HDF5", "folder", "zip", "text"]
"""What a file is before anybody knows what is in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What is seen of a file without reading it."""

    path: Path
    container: Container
    names: frozenset[str]
    """Groups at the root of an HDF5 file, names of what lies in a folder or a zip archive, the name of a text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One row of the registry."""

    name: str
    suffix: str
    """The usual end of the name, for messages: a file is recognised by its contents."""
    container: Container
    holds: tuple[Literal["AnnData", "MuData"], ...]
    """What reading may give: one table of cells, or several modalities."""
    recognises: Callable[[Contents], bool]
    """Whether a file of that container is of this format; may open it, but reads nothing large."""
    read: Callable[[Path], Any]
    """Gives the AnnData or MuData as the file holds it."""
