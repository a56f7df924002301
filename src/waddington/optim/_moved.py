"""Names that have moved or changed: the old ones work for one release more, and warn.

No import statement leads from an old address to a new one, for a file of mathematics may not know the classes above it.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

__all__ = ["moved", "renamed_arguments", "with_new_names"]

P = ParamSpec("P")
R = TypeVar("R")


def moved(old: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module that names have left.

    Parameters
    ----------
    old
        The module.
    homes
        Where each name lives now: a module, or ``"module:name"`` where it is called something else there.
    """

    def give(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        home, _, new = homes[name].partition(":")
        warnings.warn(
            f"{old}.{name} has moved: use {home}.{new or name}; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(importlib.import_module(home), new or name)

    return give


def with_new_names(owner: str, names: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Give settings under their present names; warn of each old one, on behalf of `owner`."""
    for old in names.keys() & given.keys():
        warnings.warn(
            f"{owner}: {old}= is called {names[old]}= now; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=3,
        )
    return {names.get(name, name): value for name, value in given.items()}


def renamed_arguments(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function whose arguments were renamed, old name to new; ``renamed`` of it keeps the table."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if names.keys() & kwargs.keys():
                kwargs = with_new_names(function.__qualname__, names, kwargs)  # type: ignore[assignment]
            return function(*args, **kwargs)

        call.renamed = names  # type: ignore[attr-defined]
        return call

    return decorate
