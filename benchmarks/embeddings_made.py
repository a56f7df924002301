"""The representations that the embedding benchmarks compare, all of the same width, all learned from training cells.

Each is a mapping of modality, and ``"joint"``, to coordinates; `Representation.again` gives those of other cells, or of
some modalities of the same cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from embeddings_cells import Cells
from waddington.twin.embed import TwinEncoder
from waddington.twin.embed.likelihoods import GAUSSIAN
from waddington.twin.preprocess.cells import ModelCells, model_cells

__all__ = ["AS_IT_WAS", "WIDTH", "Representation", "encoder_of", "made", "parts_of"]

WIDTH = 32
AS_IT_WAS: dict[str, Any] = {"start": "random", "balanced": False, "agreement": 0.1}
"""The encoder before its embeddings began at components and its modalities were balanced."""
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Representation:
    """A way to give cells coordinates."""

    spaces: Arrays
    """Of all cells, by modality and under "joint"."""
    again: Callable[[ModelCells], Arrays]
    """Of cells that were preprocessed alike, of all or some modalities."""
    encoder: TwinEncoder | None = None


def parts_of(cells: Cells, modalities: Sequence[str] | None = None, *, mdata: Any = None) -> ModelCells:
    """Take what models see."""
    mdata = cells.mdata if mdata is None else mdata
    return model_cells({name: part for name, part in mdata.mod.items() if modalities is None or name in modalities})


def encoder_of(given: ModelCells, train: np.ndarray, *, seed: int, epochs: int, **fields: Any) -> TwinEncoder:
    """Train an encoder; 0 epochs leave its weights as they were drawn."""
    sizes = {name: x.shape[1] for name, x in given.inputs.items()}
    encoder = TwinEncoder(
        sizes, embedding_dim=WIDTH, joint_dim=WIDTH, seed=seed,
        likelihoods=dict.fromkeys(given.as_given, GAUSSIAN), **fields,
    )  # fmt: skip
    encoder.fit(given.inputs, given.counts, given.representations, train=train, epochs=epochs)
    return encoder


def made(
    cells: Cells,
    *,
    seed: int,
    epochs: int,
    modalities: Sequence[str] | None = None,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
) -> dict[str, Representation]:
    """Make every representation of a data set, or of some of its modalities."""
    given = parts_of(cells, modalities)
    makers: Mapping[str, Callable[[], Representation]] = {
        "PCA/LSI": lambda: _components(given, cells.train),
        "trained encoder": lambda: _encoded(given, cells.train, seed, epochs),
        "as it was": lambda: _encoded(given, cells.train, seed, epochs, **AS_IT_WAS),
        "untrained encoder": lambda: _encoded(given, cells.train, seed, 0, start="random"),
        "random projection": lambda: _projected(given, cells.train, seed),
        "noise": lambda: _noise(given, seed),
    }
    return {name: make() for name, make in makers.items() if (not only or name in only) and name not in without}


def _encoded(given: ModelCells, train: np.ndarray, seed: int, epochs: int, **fields: Any) -> Representation:
    torch.set_num_threads(1)
    encoder = encoder_of(given, train, seed=seed, epochs=epochs, **fields)

    def again(other: ModelCells) -> Arrays:
        return encoder.embed(other.inputs, other.representations)

    return Representation(spaces=_full(again(given)), again=lambda other: _full(again(other)), encoder=encoder)


def _components(given: ModelCells, train: np.ndarray) -> Representation:
    """Leading components of each modality, and of all at equal variance side by side."""
    spread = {name: np.sqrt(np.nanvar(x[train], axis=0).sum()) for name, x in given.representations.items()}

    def joined(other: ModelCells) -> np.ndarray:
        blocks = [
            np.nan_to_num(other.representations[name]) / spread[name]
            if name in other.representations
            else np.zeros((len(next(iter(other.representations.values()))), x.shape[1]))
            for name, x in given.representations.items()
        ]
        return np.concatenate(blocks, axis=1)

    together = joined(given)
    centre = together[train].mean(axis=0)
    axes = np.linalg.svd(together[train] - centre, full_matrices=False)[2][:WIDTH].T

    def again(other: ModelCells) -> Arrays:
        own = {name: np.nan_to_num(x[:, :WIDTH]) for name, x in other.representations.items()}
        return {**own, "joint": (joined(other) - centre) @ axes}

    return Representation(spaces=again(given), again=again)


def _projected(given: ModelCells, train: np.ndarray, seed: int) -> Representation:
    """Random directions of the standardized features."""
    rng = np.random.default_rng((seed, 21))
    centre = {name: x[train].mean(axis=0) for name, x in given.inputs.items()}
    scale = {name: x[train].std(axis=0) + 1e-6 for name, x in given.inputs.items()}
    axes = {name: rng.standard_normal((x.shape[1], WIDTH)) / np.sqrt(x.shape[1]) for name, x in given.inputs.items()}

    def again(other: ModelCells) -> Arrays:
        own = {
            name: np.clip((x - centre[name]) / scale[name], -10, 10) @ axes[name] for name, x in other.inputs.items()
        }
        return {**own, "joint": np.sum(list(own.values()), axis=0)}

    return Representation(spaces=again(given), again=again)


def _noise(given: ModelCells, seed: int) -> Representation:
    rng = np.random.default_rng((seed, 22))

    def again(other: ModelCells) -> Arrays:
        return {
            name: rng.standard_normal((len(next(iter(other.inputs.values()))), WIDTH))
            for name in (*other.inputs, "joint")
        }

    return Representation(spaces=again(given), again=again)


def _full(spaces: Mapping[str, np.ndarray]) -> Arrays:
    return {name: np.nan_to_num(x) for name, x in spaces.items()}
