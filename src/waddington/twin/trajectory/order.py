"""Order cells on their graph: from which root, how that root is known, and which cells no path reaches.

A graph of cells may fall into parts that no path joins: islands of mature types, cells without a single count. An order
runs within one part. Cells of the others are not ordered, or have an order of their own, as the caller chooses; they
never get a number that would place them beside cells they cannot be compared with.

A root is known from a time, from the controls, or because the user named it. Where none of these is at hand it is
guessed: an end of one of the longest axes of the graph. A guess carries the other ends along, with the rank correlation
between its order and the one that would begin there, so that a reader sees what hangs on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.stats import spearmanr

from waddington._checks import check_choice
from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.trajectory.pseudotime import central_cell, diffusion_components, find_tips, guess_root

__all__ = ["MIN_PART", "PARTS", "Order", "Parts", "Root", "RootHint", "describe_parts", "order_cells", "order_notes"]

Parts: TypeAlias = Literal["main", "each", "refuse"]
PARTS = get_args(Parts)
"""What is done with cells that no path joins to the root: no order, an order of their own, or a refusal."""

MIN_PART = 20
"""Fewest cells of a part that gets an order of its own."""

_NAMED = 6  # parts that are described one by one

Float = npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, eq=False)
class RootHint:
    """What is known of the root before cells are ordered; either `cells` or `score`."""

    words: str
    """How the root is known, to follow "root: "."""
    cells: npt.NDArray[np.bool_] | None = None
    """The root is the most central of these cells, (cells,)."""
    score: Float | None = None
    """The root is where this is highest, averaged over a cell and its neighbours, (cells,)."""


@dataclass(frozen=True, kw_only=True)
class Root:
    """Where an order begins, and how that is known."""

    cell: int
    """Index of the cell."""
    words: str
    """How it was chosen."""
    is_guess: bool
    """Whether nothing but the shape of the graph speaks for it."""
    others: tuple[int, ...] = ()
    """The other ends of the graph, where the root is a guess."""
    agreement: tuple[float, ...] = ()
    """Spearman correlation of the order with the one from each of the others."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Order:
    """An order of cells.

    Attributes
    ----------
    pseudotime
        In [0, 1], (cells,): 0 at the root of a cell's part; NaN where a cell has no order.
    part
        Part of the graph that each cell belongs to, (cells,); 0 is the largest.
    roots
        By part; parts that are not ordered have none.
    """

    pseudotime: npt.NDArray[np.float32]
    part: npt.NDArray[np.int64]
    roots: dict[int, Root] = field(default_factory=dict)

    @property
    def is_guess(self) -> bool:
        """Whether a root is a guess."""
        return any(root.is_guess for root in self.roots.values())

    @property
    def is_descent(self) -> bool:
        """Whether something says which way cells go: one order, with a root that is known."""
        return len(self.roots) == 1 and not self.is_guess


def order_cells(
    graph: sparse.csr_matrix,
    *,
    hint: RootHint | None = None,
    candidates: npt.NDArray[np.bool_] | None = None,
    parts: Parts = "main",
    groups: npt.NDArray[np.str_] | None = None,
) -> Order:
    """Order cells by diffusion pseudotime, within the parts of their graph.

    Parameters
    ----------
    graph
        Symmetric connectivities, (cells, cells).
    hint
        What is known of the root; None: it is guessed.
    candidates
        Cells among which a root is guessed, (cells,); all where None.
    parts
        One of :data:`PARTS`: ``"main"`` orders the part of the root only, ``"each"`` every part of at least
        :data:`MIN_PART` cells on its own, ``"refuse"`` raises where there is more than one part.
    groups
        What each cell is, (cells,), for the message of a refusal.

    Raises
    ------
    ArgumentError
        When `parts` is none of :data:`PARTS`.
    DataError
        When there are fewer than three cells that a path joins, or several parts and `parts` is ``"refuse"``.
    """
    check_choice("parts", parts, PARTS)
    part, sizes = _parts(graph)
    if parts == "refuse" and len(sizes) > 1:
        raise DataError(
            f"cannot order cells: no path joins the {len(sizes)} parts of their graph "
            f"({describe_parts(part, groups)}); accepted: one connected part, or `parts` as main or each"
        )
    smooth = None if hint is None or hint.score is None else _smoothed(graph, hint.score)
    home = _home(part, sizes, hint, smooth, candidates)
    ordered = [home, *(p for p in range(len(sizes)) if p != home and parts == "each" and sizes[p] >= MIN_PART)]
    if sizes[home] < 3:
        raise DataError(f"cannot order cells: the root's part of their graph has {sizes[home]}; accepted: 3 or more")
    pseudotime, roots = np.full(len(part), np.nan, dtype=np.float32), {}
    for which in ordered:
        inside = np.flatnonzero(part == which)
        components = diffusion_components(graph[inside][:, inside])
        roots[which] = _root(components, inside, hint, smooth, candidates)
        pseudotime[inside] = _distances(components, int(np.searchsorted(inside, roots[which].cell)))
    return Order(pseudotime=pseudotime, part=part, roots=roots)


def _parts(graph: sparse.csr_matrix) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give every cell's part, the largest first, and the sizes of the parts."""
    _, found = connected_components(graph, directed=False)
    sizes = np.bincount(found)
    rank = np.empty(len(sizes), dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    rank[order] = np.arange(len(sizes))
    return rank[found], sizes[order].astype(np.int64)


def _smoothed(graph: sparse.csr_matrix, score: Float) -> npt.NDArray[np.float64]:
    """Average a score over each cell and its neighbours, so that no single cell decides."""
    weights = graph.astype(np.float64) + sparse.identity(graph.shape[0], format="csr")
    return np.asarray((weights @ np.asarray(score, np.float64)) / np.asarray(weights.sum(axis=1)).ravel())


def _home(
    part: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    hint: RootHint | None,
    smooth: npt.NDArray[np.float64] | None,
    candidates: npt.NDArray[np.bool_] | None,
) -> int:
    """Choose the part that the root lies in: most of the cells that may be it, or the highest score."""
    if smooth is not None:
        large = sizes[part] >= min(MIN_PART, sizes[0])
        return int(part[np.where(large, smooth, -np.inf).argmax()])
    allowed = hint.cells if hint is not None else candidates
    chosen = part if allowed is None or not allowed.any() else part[allowed]
    return int(np.bincount(chosen).argmax())


def _root(
    components: Float,
    inside: npt.NDArray[np.intp],
    hint: RootHint | None,
    smooth: npt.NDArray[np.float64] | None,
    candidates: npt.NDArray[np.bool_] | None,
) -> Root:
    """Find the root of one part."""
    if hint is not None and smooth is not None:
        return Root(cell=int(inside[smooth[inside].argmax()]), words=hint.words, is_guess=False)
    if hint is not None and hint.cells is not None and hint.cells[inside].any():
        return Root(cell=int(inside[central_cell(components, hint.cells[inside])]), words=hint.words, is_guess=False)
    allowed = None if candidates is None else candidates[inside]
    start = guess_root(components, candidates=allowed)
    others = [int(tip) for tip in find_tips(components, candidates=allowed) if tip != start]
    own = _distances(components, start)
    return Root(
        cell=int(inside[start]),
        words="a guess, the end of the graph that lies farthest out; nothing says that cells begin there",
        is_guess=True,
        others=tuple(int(inside[tip]) for tip in others),
        agreement=tuple(float(spearmanr(own, _distances(components, tip)).statistic) for tip in others),
    )


def _distances(components: Float, start: int) -> npt.NDArray[np.float32]:
    """Diffusion distances to a cell, scaled to [0, 1]."""
    away = np.linalg.norm(components - components[start], axis=1)
    return np.asarray(away / max(float(away.max()), 1e-300), dtype=np.float32)


def describe_parts(part: npt.NDArray[np.int64], groups: npt.NDArray[np.str_] | None = None) -> str:
    """Say how many cells each part has, and what most of them are."""
    sizes = np.bincount(part)
    large = [p for p in range(len(sizes)) if sizes[p] >= MIN_PART][:_NAMED]
    said = [f"{counted(sizes[p], 'cell')}{_kinds(groups, part == p)}" for p in large]
    rest = sizes.sum() - sizes[large].sum()
    if rest:
        n_rest = len(sizes) - len(large)
        said.append(f"{counted(rest, 'cell')} in {counted(n_rest, 'smaller part')}")
    return "; ".join(said)


def _kinds(groups: npt.NDArray[np.str_] | None, chosen: npt.NDArray[np.bool_]) -> str:
    if groups is None:
        return ""
    names, counts = np.unique(groups[chosen], return_counts=True)
    top = np.argsort(-counts, kind="stable")[:3]
    return f" ({', '.join(f'{names[i]} {counts[i] / counts.sum():.0%}' for i in top)})"


def order_notes(
    order: Order,
    *,
    names: npt.NDArray[np.str_],
    groups: npt.NDArray[np.str_] | None = None,
    settled_by: str = "A cell or a marker gene",
) -> tuple[str, ...]:
    """Say what a reader must know of an order: guessed roots with their alternatives, and cells without an order.

    Parameters
    ----------
    order
        From :func:`order_cells`.
    names
        Barcode of each cell, (cells,).
    groups
        What each cell is, (cells,), where that is known.
    settled_by
        What these cells have that a guessed root could be named by.
    """

    def called(cell: int) -> str:
        return f"{str(names[cell])!r}" + ("" if groups is None else f" ({groups[cell]})")

    notes = []
    for which, root in order.roots.items():
        where = f" of part {which + 1}" if len(order.roots) > 1 else ""
        text = f"The root{where} is {root.words}: {called(root.cell)}."
        if root.is_guess and root.others:
            ends = ", ".join(
                f"{called(cell)} at {rho:+.2f}" for cell, rho in zip(root.others, root.agreement, strict=True)
            )
            text += (
                f" It may as well be another end (rank correlation of the two orders: {ends}). "
                f"{settled_by} named as `root` settles it."
            )
        notes.append(text)
    if order.part.max() > 0:
        missing = int((~np.isfinite(order.pseudotime)).sum())
        outcome = (
            f"{counted(missing, 'cell')} without an order: no pseudotime, no stage."
            if len(order.roots) == 1
            else "Each part has an order of its own, and orders are not compared; "
            f"{counted(missing, 'cell')} without one."
        )
        parts = describe_parts(order.part, groups)
        notes.append(f"No path joins the {order.part.max() + 1} parts of the cells' graph: {parts}. {outcome}")
    return tuple(notes)
