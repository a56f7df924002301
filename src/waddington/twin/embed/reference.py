"""The reference: training cells whose hidden states others attend to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin._moved import names_moved_from
from waddington.twin.embed.dataset import CellDataset, IntArray, Matrix
from waddington.twin.preprocess.graph import joint_neighbors, modality_neighbors
from waddington.twin.preprocess.neighbors import present_rows

__all__ = ["Reference", "reference_rows", "representations_of"]

__getattr__ = names_moved_from(__name__)

FloatArray = npt.NDArray[np.float32]


class Reference:
    """Representations of the reference cells, in which neighbours are sought, and their hidden states.

    Parameters
    ----------
    representations
        By modality, (reference cells, dimensions), NaN rows where a cell lacks the modality.
    n_neighbors
        Neighbours of a cell, at most.
    seed
        Seed of the approximate search.
    """

    def __init__(self, representations: Mapping[str, FloatArray], *, n_neighbors: int, seed: int) -> None:
        self.representations = {name: np.ascontiguousarray(x, dtype=np.float32) for name, x in representations.items()}
        self.n_neighbors = n_neighbors
        self.seed = seed
        self.states: dict[str, Tensor] = {}
        """Hidden states by modality and, under ``"joint"``, the joint context; each (reference cells, hidden)."""
        self._own: dict[frozenset[str], dict[str, IntArray]] = {}  # what reference cells were told, by modalities

    @property
    def n_cells(self) -> int:
        """Number of reference cells."""
        return int(next(iter(self.representations.values())).shape[0])

    def attach(self, representations: Mapping[str, FloatArray]) -> dict[str, IntArray]:
        """Look up the neighbours of any cells.

        A reference cell that asks is recognized by its representation and is not its own neighbour, so that it is
        embedded in the same way as a cell never seen. What it was told is kept: training, the scale of the embeddings
        and `TwinEncoder.embed` ask for the same cells, and the search costs most where there are many.

        Parameters
        ----------
        representations
            By modality, (cells, dimensions); modalities may be left out.

        Returns
        -------
        By modality, and under ``"joint"``: indices of reference cells, (cells, `n_neighbors`), -1 where none.
        """
        known = self._recognize(representations)
        own = self._own.setdefault(frozenset(representations), {})
        if not own:
            # -2: never asked. Every row that was is -1 or more.
            unknown = np.full((self.n_cells, self.n_neighbors), -2, dtype=np.int64)
            own |= {name: unknown.copy() for name in [*representations, "joint"]}
        sought = np.flatnonzero((known < 0) | (own["joint"][known, 0] == -2))
        tables = {name: table[known] for name, table in own.items()}
        if sought.size:
            mine = sought[known[sought] >= 0]
            for name, found in self._search({name: x[sought] for name, x in representations.items()}).items():
                tables[name][sought] = -1
                tables[name][sought, : found.shape[1]] = found
                own[name][known[mine]] = tables[name][mine]
        return tables

    def _search(self, representations: Mapping[str, FloatArray]) -> dict[str, IntArray]:
        """Find neighbours as `attach` gives them, in one search for each modality."""
        wanted = self.n_neighbors + 1
        found = modality_neighbors(self.representations, n_neighbors=wanted, query=representations, seed=self.seed)
        joint, _, _ = joint_neighbors(self.representations, n_neighbors=wanted, query=representations, found=found)
        tables = {
            name: self._without_itself(near[:, :wanted], {name: representations[name]})
            for name, (near, _) in found.items()
        }
        return {**tables, "joint": self._without_itself(joint, representations)}

    def _recognize(self, representations: Mapping[str, FloatArray]) -> IntArray:
        """Which reference cell each cell is, to the bit, -1 for another; (cells,)."""
        names = sorted(representations)
        place = {row: i for i, row in enumerate(_row_bytes([self.representations[name] for name in names]))}
        return np.asarray(
            [place.get(row, -1) for row in _row_bytes([representations[name] for name in names])], dtype=np.int64
        )

    def gather(self, tables: Mapping[str, IntArray]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Hidden states of neighbours, (cells, fan-out, hidden), and where there are any, (cells, fan-out)."""
        neighbors, edges = {}, {}
        for name, table in tables.items():
            index = torch.from_numpy(np.ascontiguousarray(table))
            states = self.states[name]
            edges[name] = (index >= 0).to(states.device)
            neighbors[name] = states[index.clamp_min(0).to(states.device)]
        return neighbors, edges

    def state_dict(self) -> dict[str, Any]:
        """Give representations and hidden states as tensors, and the seed."""
        arrays = {name: torch.from_numpy(x) for name, x in self.representations.items()}
        return {"spaces": arrays, "states": dict(self.states), "seed": self.seed}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], *, n_neighbors: int) -> Reference:
        """Make a reference from what :meth:`state_dict` gave; it is on the CPU."""
        representations = {name: x.cpu().numpy() for name, x in state["spaces"].items()}
        made = cls(representations, n_neighbors=n_neighbors, seed=state["seed"])
        made.states = {name: value.cpu() for name, value in state["states"].items()}
        return made

    def _without_itself(self, table: IntArray, representations: Mapping[str, FloatArray]) -> IntArray:
        """Drop from each row the first neighbour with the same representation, or else the last one."""
        if table.size == 0:
            return table
        same = np.ones(table.shape, dtype=np.bool_)
        for name, x in representations.items():
            here = present_rows(x)
            for column in range(table.shape[1]):
                other = self.representations[name][np.maximum(table[:, column], 0)]
                # Numbers computed twice may differ in the last bits; a different cell differs by far more.
                far = np.abs(np.nan_to_num(other) - np.nan_to_num(x)).max(axis=1, initial=0.0)
                size = np.abs(np.nan_to_num(x)).max(axis=1, initial=0.0)
                same[:, column] &= ~here | ((far <= 1e-5 * size) & present_rows(other))
        same &= table >= 0
        dropped = np.where(same.any(axis=1), same.argmax(axis=1), table.shape[1] - 1)
        if table.shape[1] <= self.n_neighbors:  # a small reference: nobody has a neighbour too many
            return np.asarray(np.where(same & (np.arange(table.shape[1]) == dropped[:, None]), -1, table))
        keep = np.arange(table.shape[1]) != dropped[:, None]
        return np.asarray(table[keep].reshape(table.shape[0], table.shape[1] - 1))


def _row_bytes(tables: list[FloatArray]) -> Iterator[bytes]:
    """Give each row of some tables side by side as bytes."""
    return (row.tobytes() for row in np.concatenate(tables, axis=1, dtype=np.float32))


def reference_rows(rows: IntArray, limit: int, *, seed: int) -> IntArray:
    """Draw the cells among which neighbours are looked up: all of these rows, or `limit` of them, sorted."""
    if rows.size <= limit:
        return rows
    return np.sort(np.random.default_rng((seed, 4)).choice(rows, size=limit, replace=False))


def representations_of(
    cells: CellDataset, inputs: Mapping[str, Matrix], representations: Mapping[str, FloatArray] | None
) -> dict[str, FloatArray]:
    """Representations for the search of neighbours, NaN where a cell lacks the modality.

    Raises
    ------
    DataError
        When representations are missing or differ from the inputs in their number of cells.
    """
    found_in = {}
    for name in cells.inputs:
        found: Matrix = (representations or {}).get(name, cells.inputs[name])
        if found.shape[0] != cells.n_cells:
            raise DataError(
                f"cannot use representations[{name!r}]: found {counted(found.shape[0], 'cell')}; "
                f"accepted are {cells.n_cells}"
            )
        dense = np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=np.float32)
        found_in[name] = np.where(cells.present[name][:, None], dense, np.float32(np.nan))
    return found_in
