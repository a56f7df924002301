"""Where cells end: the attractors of the myeloid network, and how far a cell has come.

The Boolean rules have five fixed points with a gene on: erythrocyte, megakaryocyte, monocyte, neutrophil, and a
monocyte without Cebpa that is reached only when Cebpa is lost; it counts as monocyte.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from waddington.twin.simulate.dynamics import MYELOID_KINETICS
from waddington.twin.simulate.network import MYELOID

__all__ = ["FATES", "FATE_STATES", "STATES", "STATE_NAMES", "classify", "progress"]

Array = npt.NDArray[np.float32]

FATES = {
    "Erythrocyte": ("Gata1", "Fog1", "EKLF", "SCL"),
    "Megakaryocyte": ("Gata1", "Fog1", "Fli1", "SCL"),
    "Monocyte": ("Cebpa", "Pu.1", "cJun", "EgrNab"),
    "Neutrophil": ("Cebpa", "Pu.1", "Gfi1"),
}
"""The genes that are on in each fate (Krumsiek et al. 2011)."""

FATE_STATES: Array = np.stack([MYELOID.state(*genes) for genes in FATES.values()], axis=1)
"""Attractors, shape (genes, 4), in the order of :data:`FATES`."""

STATE_NAMES = (*FATES, "Progenitor")
"""Every value of ``obs["cell_type"]``."""

STATES: Array = np.concatenate([FATE_STATES, MYELOID_KINETICS.start[:, None]], axis=1)
"""Attractors and the progenitor, shape (genes, 5), in the order of :data:`STATE_NAMES`."""


def classify(x: Array, touched: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.int64]:
    """Give each cell the nearest of the five states.

    Parameters
    ----------
    x
        Concentrations, shape (genes, cells).
    touched
        True for genes that are edited and therefore don't count, shape (genes, cells).

    Returns
    -------
    numpy.ndarray
        Indices into :data:`STATE_NAMES`, shape (cells,).
    """
    counted = np.ones(x.shape, dtype=np.float32) if touched is None else (~touched).astype(np.float32)
    distance = np.stack([(counted * (x - state[:, None]) ** 2).sum(axis=0) for state in STATES.T])
    nearest: npt.NDArray[np.int64] = distance.argmin(axis=0)
    return nearest


def progress(x: Array) -> Array:
    """Measure how far cells have come from the progenitor towards the fate they are closest to reaching.

    Parameters
    ----------
    x
        Concentrations, shape (genes, cells).

    Returns
    -------
    numpy.ndarray
        Projection on the line from the progenitor to a fate as a share of its length, the largest over the fates,
        clipped to [0, 1], shape (cells,).
    """
    axes = FATE_STATES - MYELOID_KINETICS.start[:, None]
    share = (axes.T @ (x - MYELOID_KINETICS.start[:, None])) / (axes**2).sum(axis=0)[:, None]
    out: Array = np.clip(share.max(axis=0), 0, 1).astype(np.float32)
    return out
