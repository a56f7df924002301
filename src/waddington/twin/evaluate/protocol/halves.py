"""Random halves of cells: what a model learns from and what it is judged by share none, the controls included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from waddington.twin.evaluate.protocol.folds import Fold
from waddington.twin.evaluate.protocol.screen import Screen

__all__ = ["Halves", "draw_halves"]

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, eq=False)
class Halves:
    """One random halving of all cells, the same share of every condition (and group)."""

    first: npt.NDArray[np.bool_]
    """Cells of the first half, (cells,)."""
    screen: Screen

    def train(self, fold: Fold) -> npt.NDArray[np.bool_]:
        """Mark the cells that models learn from: of controls the first half, of conditions what the fold allows."""
        screen = self.screen
        if fold.given:
            assert screen.train is not None
            return screen.train
        is_control = screen.labels == screen.control
        allowed = self.first if fold.half_of_cells else np.ones(len(screen.labels), dtype=bool)
        if fold.group is not None:
            assert screen.groups is not None
            inside = screen.groups == fold.group
            # The controls of other groups judge nothing: all of them are learned from.
            return np.where(inside, is_control & self.first, True)
        return np.where(is_control, self.first, allowed)

    def control(self, fold: Fold, *, first: bool) -> Rows:
        """Give the rows of the controls that are learned from (`first`), or that the truth is measured from."""
        if fold.given:
            return self._test(self.screen.control, train=first)
        return self._rows(self.screen.control, fold.group, first=first)

    def target(self, fold: Fold, label: str) -> Rows:
        """Give the rows of the cells that show the truth."""
        if fold.given:
            return self._test(label, train=False)
        if fold.half_of_cells:
            return self._rows(label, fold.group, first=False)
        return self._all(label, fold.group)

    def half_of(self, fold: Fold, label: str, *, first: bool) -> Rows:
        """Give one half of all cells of a condition or the control that may show the truth, for replicates."""
        rows = self._test(label, train=False) if fold.given else self._all(label, fold.group)
        return np.asarray(rows[self.first[rows] == first])

    def _test(self, label: str, *, train: bool) -> Rows:
        assert self.screen.train is not None
        return np.flatnonzero((self.screen.labels == label) & (self.screen.train == train))

    def _all(self, label: str, group: str | None) -> Rows:
        inside = self.screen.labels == label
        if group is not None:
            inside &= self.screen.groups == group
        return np.flatnonzero(inside)

    def _rows(self, label: str, group: str | None, *, first: bool) -> Rows:
        rows = self._all(label, group)
        return np.asarray(rows[self.first[rows] == first])


def draw_halves(screen: Screen, rng: np.random.Generator) -> Halves:
    """Draw a halving."""
    labels = screen.labels
    for other in (screen.groups, None if screen.train is None else screen.train.astype(np.str_)):
        labels = labels if other is None else np.char.add(np.char.add(other, "\n"), labels)
    _, kind = np.unique(labels, return_inverse=True)
    shuffled = np.lexsort((rng.random(len(kind)), kind))
    sizes = np.bincount(kind)
    place = np.arange(len(kind)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # An odd cell falls to either half.
    first = np.zeros(len(kind), dtype=bool)
    extra = rng.integers(0, 2, size=len(sizes)) * (sizes % 2)
    first[shuffled] = place < np.repeat(sizes // 2 + extra, sizes)
    return Halves(first=first, screen=screen)
