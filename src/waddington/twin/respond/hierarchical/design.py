"""Which perturbations each condition holds, cut into blocks that share none.

The joint covariance of the conditions' means falls apart where conditions share no perturbation, so a screen of single
perturbations costs time in proportion to their number. Blocks of one form are kept in one stack, and all of a stack is
computed at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

__all__ = ["Design", "Stack", "cut"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """Blocks of as many conditions and as many perturbations each."""

    conditions: npt.NDArray[np.intp]
    """Rows of the design, (blocks, conditions of each)."""
    perturbations: npt.NDArray[np.intp]
    """Columns of the design, (blocks, perturbations of each); without any for the control."""
    member: npt.NDArray[np.float64]
    """1 where a condition holds a perturbation, (blocks, conditions, perturbations)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """All conditions of a table by their perturbations."""

    perturbations: tuple[str, ...]
    """Names of the columns: the perturbations, and what doses of one drug share."""
    parts: tuple[tuple[str, ...], ...]
    """Perturbations of each condition; none of the control."""
    member: sparse.csr_array
    """1 where a condition holds a perturbation, (conditions, perturbations)."""
    stacks: tuple[Stack, ...]
    shared: Mapping[str, str] = field(default_factory=dict)
    """Column that a dose shares with the other doses of its drug, by dose."""

    @cached_property
    def size(self) -> npt.NDArray[np.intp]:
        """How many perturbations each condition holds, (conditions,)."""
        return np.array([len(one) for one in self.parts], dtype=np.intp)

    @cached_property
    def combined(self) -> npt.NDArray[np.bool_]:
        """Conditions of more than one perturbation, (conditions,)."""
        return np.asarray(self.size > 1)

    @cached_property
    def column(self) -> dict[str, int]:
        """Place of each perturbation."""
        return {name: i for i, name in enumerate(self.perturbations)}

    @cached_property
    def combinations(self) -> dict[frozenset[str], int]:
        """Row of each combination, by its perturbations."""
        return {frozenset(self.parts[row]): int(row) for row in np.flatnonzero(self.combined)}

    @cached_property
    def alone(self) -> dict[str, int]:
        """Row of each perturbation that was measured alone."""
        return {self.parts[row][0]: int(row) for row in np.flatnonzero(self.size == 1)}

    @cached_property
    def block_of(self) -> npt.NDArray[np.intp]:
        """Stack, and place in it, of the block that holds each perturbation, (perturbations, 2)."""
        found = np.zeros((len(self.perturbations), 2), dtype=np.intp)
        for at, stack in enumerate(self.stacks):
            found[stack.perturbations, 0] = at
            found[stack.perturbations, 1] = np.arange(len(stack.perturbations))[:, None]
        return found


def cut(
    perturbations: Sequence[str],
    parts: Sequence[Sequence[str]],
    *,
    pairs_together: bool = False,
    shared: Mapping[str, str] | None = None,
) -> Design:
    """Cut a table of conditions into blocks.

    Parameters
    ----------
    perturbations
        All that occur.
    parts
        Those of each condition.
    pairs_together
        Keep all combinations in one block, because a kernel couples them.
    shared
        Column that a dose shares with the other doses of its drug, by dose. Default: none.
    """
    shared = shared or {}
    perturbations = tuple(dict.fromkeys((*perturbations, *shared.values())))
    column = {name: i for i, name in enumerate(perturbations)}
    held = [[*one, *(shared[name] for name in one if name in shared)] for one in parts]
    rows = np.repeat(np.arange(len(parts)), [len(one) for one in held])
    columns = np.array([column[name] for one in held for name in one], dtype=np.intp)
    member = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(parts), len(perturbations)))
    size = np.array([len(one) for one in parts])
    # A graph of conditions and perturbations; a chain through all combinations keeps them together.
    combined = np.flatnonzero(size > 1) if pairs_together else np.zeros(0, dtype=np.intp)
    ends = (np.concatenate([rows, combined[:-1]]), np.concatenate([columns + len(parts), combined[1:]]))
    nodes = len(parts) + len(perturbations)
    links = sparse.coo_array((np.ones(len(ends[0])), ends), shape=(nodes, nodes))
    _, block = sparse.csgraph.connected_components(links, directed=False)
    by_form: dict[tuple[int, int], list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]] = {}
    order = np.argsort(block, kind="stable")
    for together in np.split(order, np.flatnonzero(np.diff(block[order])) + 1):
        inside = together < len(parts)
        block_of_both = (together[inside], together[~inside] - len(parts))
        if len(block_of_both[0]):
            by_form.setdefault((len(block_of_both[0]), len(block_of_both[1])), []).append(block_of_both)
    return Design(
        perturbations=perturbations,
        parts=tuple(tuple(one) for one in parts),
        member=member,
        stacks=tuple(_stack(member, blocks) for blocks in by_form.values()),
        shared=shared,
    )


def _stack(member: sparse.csr_array, blocks: Sequence[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]) -> Stack:
    conditions = np.stack([rows for rows, _ in blocks])
    perturbations = np.stack([columns for _, columns in blocks])
    within = np.zeros((*conditions.shape, perturbations.shape[1]))
    place = np.empty(member.shape[1], dtype=np.intp)
    for at, (rows, columns) in enumerate(blocks):
        place[columns] = np.arange(len(columns))
        picked = member[rows].tocoo()
        within[at, picked.row, place[picked.col]] = 1.0
    return Stack(conditions=conditions, perturbations=perturbations, member=within)
