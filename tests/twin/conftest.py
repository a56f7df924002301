"""Small three-modality cells that differentiate along two branches, for the tests of the encoder."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import mudata as md
import numpy as np
import pytest
from scipy import sparse
from tests.twin.user_cells import one_modality, prepared, simulated

from waddington import twin


@dataclass(frozen=True)
class Cells:
    inputs: dict[str, np.ndarray]
    counts: dict[str, sparse.csr_matrix]
    spaces: dict[str, np.ndarray]
    time: np.ndarray
    branch: np.ndarray

    def part(self, rows) -> Cells:
        return Cells(
            inputs={name: x[rows] for name, x in self.inputs.items()},
            counts={name: x[rows] for name, x in self.counts.items()},
            spaces={name: x[rows] for name, x in self.spaces.items()},
            time=self.time[rows],
            branch=self.branch[rows],
        )

    @property
    def sizes(self) -> dict[str, int]:
        return {name: x.shape[1] for name, x in self.inputs.items()}


def make_cells(n: int = 240, seed: int = 0) -> Cells:
    rng = np.random.default_rng(seed)
    time, branch = rng.random(n), rng.integers(0, 2, n)
    latent = np.stack([time, branch * time, (1 - branch) * time, rng.normal(size=n) * 0.1], axis=1)
    inputs, counts, spaces = {}, {}, {}
    for name, width, depth in (("rna", 40, 400), ("atac", 60, 60), ("protein", 8, 300)):
        rate = np.exp(latent @ rng.normal(size=(4, width)) * 1.5 + rng.normal(size=width))
        rate *= depth * np.exp(rng.normal(size=(n, 1)) * 0.2) / rate.sum(axis=1, keepdims=True)
        drawn = rng.poisson(rate).astype(np.float32)
        x = np.log1p(100.0 * drawn / np.maximum(drawn.sum(axis=1, keepdims=True), 1.0)).astype(np.float32)
        axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:6]
        inputs[name], counts[name] = x, sparse.csr_matrix(drawn)
        spaces[name] = ((x - x.mean(axis=0)) @ axes.T).astype(np.float32)
    return Cells(inputs=inputs, counts=counts, spaces=spaces, time=time, branch=branch)


@pytest.fixture(scope="session")
def toy() -> Cells:
    return make_cells()


@pytest.fixture(scope="session")
def screen() -> md.MuData:
    """Give a screen after preprocessing, neighbours, embedding and order; not to be changed."""
    return prepared(simulated())


@pytest.fixture(scope="session")
def rna_screen() -> ad.AnnData:
    """Give the RNA alone after the same; not to be changed."""
    return prepared(one_modality(simulated()))


@pytest.fixture(scope="session")
def response(screen: md.MuData) -> twin.Response:
    """Give what `twin.tl.predict` trains on the screen for every call; not to be trained again."""
    made = twin.Response(screen)
    made.train()
    return made
