"""Names that have moved: the old address gives them for one release more, and warns.

No import statement leads from an old address to a new one, for a file of mathematics may not know the classes above it.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["moved"]


def moved(old: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module that names have moved out of.

    Parameters
    ----------
    old
        The module.
    homes
        Where each name lives now.
    """

    def give(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        warnings.warn(
            f"{old}.{name} has moved: import it from {homes[name]}; the old address goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(importlib.import_module(homes[name]), name)

    return give
