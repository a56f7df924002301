"""What was made for recent sets of tensors, as of experts or of alternating tasks, is kept for when they come again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

T = TypeVar("T")

_KEPT = 16


class Recent(Generic[T]):
    """The last things made, by key; the one used longest ago goes first."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, T] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Give what is kept, or make it."""
        found = self._kept.pop(key) if key in self._kept else make()
        self._kept[key] = found
        if len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return found
