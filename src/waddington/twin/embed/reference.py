"""The reference: training cells whose hidden states others attend to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from waddington._errors import DataError
from waddington._text import counted
from waddington.twin.embed.dataset import CellDataset, IntArray, Matrix
from waddington.twin.preprocess.graph import joint_neighbors, modality_neighbors
from waddington.twin.preprocess.neighbors import present_rows

__all__ = ["Reference", "coordinates"]

FloatArray = npt.NDArray[np.float32]


class Reference:
    """Coordinates of the reference cells, in which neighbours are sought, and their hidden states.

    Parameters
    ----------
    spaces
        Coordinates by modality, (reference cells, dimensions), NaN rows where a cell lacks the modality.
    n_neighbors
        Neighbours of a cell, at most.
    seed
        Seed of the approximate search.
    """

    def __init__(self, spaces: Mapping[str, FloatArray], *, n_neighbors: int, seed: int) -> None:
        self.spaces = {name: np.ascontiguousarray(space, dtype=np.float32) for name, space in spaces.items()}
        self.n_neighbors = n_neighbors
        self.seed = seed
        self.states: dict[str, Tensor] = {}
        """Hidden states by modality and, under ``"joint"``, the joint context; each (reference cells, hidden)."""
        self._own: dict[frozenset[str], dict[str, IntArray]] = {}  # what reference cells were told, by modalities

    @property
    def n_cells(self) -> int:
        """Number of reference cells."""
        return int(next(iter(self.spaces.values())).shape[0])

    def attach(self, spaces: Mapping[str, FloatArray]) -> dict[str, IntArray]:
        """Look up the neighbours of any cells.

        A reference cell that asks is recognized by its coordinates and is not its own neighbour, so that it is embedded
        in the same way as a cell never seen. What it was told is kept: training, the scale of the embeddings and
        `TwinEncoder.embed` ask for the same cells, and the search costs most where there are many.

        Parameters
        ----------
        spaces
            Coordinates by modality, (cells, dimensions); modalities may be left out.

        Returns
        -------
        By modality, and under ``"joint"``: indices of reference cells, (cells, `n_neighbors`), -1 where none.
        """
        known = self._recognize(spaces)
        own = self._own.setdefault(frozenset(spaces), {})
        if not own:
            # -2: never asked. Every row that was is -1 or more.
            own |= {name: np.full((self.n_cells, self.n_neighbors), -2, dtype=np.int64) for name in [*spaces, "joint"]}
        sought = np.flatnonzero((known < 0) | (own["joint"][known, 0] == -2))
        tables = {name: table[known] for name, table in own.items()}
        if sought.size:
            mine = sought[known[sought] >= 0]
            for name, found in self._search({name: space[sought] for name, space in spaces.items()}).items():
                tables[name][sought] = -1
                tables[name][sought, : found.shape[1]] = found
                own[name][known[mine]] = tables[name][mine]
        return tables

    def _search(self, spaces: Mapping[str, FloatArray]) -> dict[str, IntArray]:
        """Find neighbours as `attach` gives them, in one search for each modality."""
        wanted = self.n_neighbors + 1
        found = modality_neighbors(self.spaces, n_neighbors=wanted, query=spaces, seed=self.seed)
        joint, _, _ = joint_neighbors(self.spaces, n_neighbors=wanted, query=spaces, found=found)
        tables = {
            name: self._without_itself(near[:, :wanted], {name: spaces[name]}) for name, (near, _) in found.items()
        }
        return {**tables, "joint": self._without_itself(joint, spaces)}

    def _recognize(self, spaces: Mapping[str, FloatArray]) -> IntArray:
        """Which reference cell each cell is, to the bit, -1 for another; (cells,)."""
        names = sorted(spaces)
        place = {row: i for i, row in enumerate(_row_bytes([self.spaces[name] for name in names]))}
        return np.asarray([place.get(row, -1) for row in _row_bytes([spaces[name] for name in names])], dtype=np.int64)

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
        """Give coordinates and hidden states as tensors, and the seed."""
        spaces = {name: torch.from_numpy(space) for name, space in self.spaces.items()}
        return {"spaces": spaces, "states": dict(self.states), "seed": self.seed}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], *, n_neighbors: int) -> Reference:
        """Make a reference from what :meth:`state_dict` gave; it is on the CPU."""
        spaces = {name: space.cpu().numpy() for name, space in state["spaces"].items()}
        made = cls(spaces, n_neighbors=n_neighbors, seed=state["seed"])
        made.states = {name: value.cpu() for name, value in state["states"].items()}
        return made

    def _without_itself(self, table: IntArray, spaces: Mapping[str, FloatArray]) -> IntArray:
        """Drop from each row the first neighbour with the same coordinates, or else the last one."""
        if table.size == 0:
            return table
        same = np.ones(table.shape, dtype=np.bool_)
        for name, space in spaces.items():
            here = present_rows(space)
            for column in range(table.shape[1]):
                other = self.spaces[name][np.maximum(table[:, column], 0)]
                # Coordinates computed twice may differ in the last bits; a different cell differs by far more.
                far = np.abs(np.nan_to_num(other) - np.nan_to_num(space)).max(axis=1, initial=0.0)
                size = np.abs(np.nan_to_num(space)).max(axis=1, initial=0.0)
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


def coordinates(
    cells: CellDataset, inputs: Mapping[str, Matrix], spaces: Mapping[str, FloatArray] | None
) -> dict[str, FloatArray]:
    """Coordinates for the search of neighbours, NaN where a cell lacks the modality.

    Raises
    ------
    DataError
        When coordinates are missing or differ from the inputs in their number of cells.
    """
    places = {}
    for name in cells.inputs:
        found: Matrix = cells.inputs[name] if spaces is None or name not in spaces else spaces[name]
        if found.shape[0] != cells.n_cells:
            raise DataError(
                f"cannot use spaces[{name!r}]: found {counted(found.shape[0], 'cell')}; accepted are {cells.n_cells}"
            )
        dense = np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=np.float32)
        places[name] = np.where(cells.present[name][:, None], dense, np.float32(np.nan))
    return places
