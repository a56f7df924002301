"""The simulated cells that objectives are made of, once for each process."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from waddington.twin.data.setup import read_labels
from waddington.twin.datasets import simulate
from waddington.twin.embed.dataset import CellDataset, IntArray, hold_out
from waddington.twin.embed.reference import representations_of
from waddington.twin.preprocess import Preprocessor
from waddington.twin.preprocess.cells import model_cells

__all__ = ["Screen", "simulated_screen"]

_SEED = 0
_APART = 0.15


@dataclass(frozen=True, kw_only=True, eq=False)
class Screen:
    """Preprocessed cells of three modalities, and the part that each plays. Nothing of it is changed."""

    inputs: dict[str, npt.NDArray[np.float32]]
    """Normalized profiles by modality, (cells, features)."""
    counts: dict[str, Any]
    """Raw counts of the same features."""
    representations: dict[str, npt.NDArray[np.float32]]
    """Where neighbours are sought, (cells, components)."""
    conditions: npt.NDArray[np.str_]
    """Label of each cell's condition."""
    pseudotime: npt.NDArray[np.float64]
    """True pseudotime of each cell."""
    rows: dict[str, IntArray]
    """Rows of the cells by part, ascending: ``train``, ``validation``, ``test``."""

    @property
    def sizes(self) -> dict[str, int]:
        """Features by modality."""
        return {name: x.shape[1] for name, x in self.inputs.items()}

    @property
    def train(self) -> npt.NDArray[np.bool_]:
        """Marks the training cells, (cells,)."""
        return np.isin(np.arange(len(self.conditions)), self.rows["train"])


@functools.cache
def simulated_screen(n_cells: int) -> Screen:
    """Simulate cells, divide them, and preprocess them as the training cells say.

    Parameters
    ----------
    n_cells
        Cells in all: 70% to train on, 15% each for validation and test.
    """
    data = simulate(n_cells=n_cells, n_genes=100, n_peaks=150, n_proteins=16, n_truth_cells=0, seed=_SEED)
    seen, test = hold_out(np.arange(n_cells), _APART, seed=_SEED)
    train, validation = hold_out(seen, test.size / seen.size, seed=_SEED)
    mask = np.isin(np.arange(n_cells), train)
    conditions = read_labels(data).condition
    Preprocessor().fit(data, mask).transform(data)
    cells = model_cells(data.mod)
    dataset = CellDataset(cells.inputs, cells.counts, n_features={name: x.shape[1] for name, x in cells.inputs.items()})
    return Screen(
        inputs=cells.inputs,
        counts=cells.counts,
        representations=representations_of(dataset, cells.inputs, cells.representations),
        conditions=conditions,
        pseudotime=data.obs["true_pseudotime"].to_numpy(np.float64),
        rows={"train": train, "validation": validation, "test": test},
    )
