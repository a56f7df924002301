"""The guard of functions that take arrays: cells are refused with the name of the function that takes them."""

from __future__ import annotations

from typing import Any

from waddington.errors import ArgumentError

__all__ = ["check_arrays"]


def check_arrays(value: Any, what: str, *, instead: str) -> None:
    """Refuse an AnnData or MuData where arrays are worked on.

    Parameters
    ----------
    value
        What a caller gave.
    what
        What was to be done: ``"order"``.
    instead
        The function that takes cells.

    Raises
    ------
    ArgumentError
        Names the type and the other function.
    """
    kind = type(value).__name__
    if kind in ("AnnData", "MuData") and hasattr(value, "obsm"):
        raise ArgumentError(f"cannot {what} {kind}: accepted here are arrays; {instead}(data) takes cells")
