"""Surface proteins: made from their gene's messenger, lost slowly, so that they lag behind it by a day or so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from waddington.twin.simulate.genes import MARKERS, GeneTable

__all__ = ["ProteinTable", "wire_proteins"]

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProteinTable:
    """Proteins and where they come from.

    Attributes
    ----------
    names
        ``"CD34"``; beyond the markers ``"Protein025"``. Length (proteins,).
    genes
        Row of the coding gene in the gene table, shape (proteins,).
    lifetime
        Time constants in hours, shape (proteins,).
    scale
        Relative yield of antibody tags, shape (proteins,).
    leak
        Amount that is there when the gene is off, in units of the level, shape (proteins,).
    background
        Share of each antibody in the ambient tags, shape (proteins,), summing to 1.
    """

    names: tuple[str, ...]
    genes: npt.NDArray[np.int64]
    lifetime: Array
    scale: Array
    leak: Array
    background: Array

    def abundance(self, levels: Array) -> Array:
        """Turn protein levels (proteins, cells) into relative amounts of tags without background."""
        amount: Array = self.scale[:, None] * (self.leak[:, None] + levels)
        return amount


def wire_proteins(n_proteins: int, genes: GeneTable, rng: np.random.Generator) -> ProteinTable:
    """Draw a panel of antibodies against the products of the markers, then of further targets.

    Parameters
    ----------
    n_proteins
        Proteins in all, at most the number of genes that are not regulators.
    genes
        The genes that code for them: their first targets, in order.
    rng
        Source of everything drawn.
    """
    names = [protein for protein, _, _ in MARKERS[:n_proteins]]
    names += [f"Protein{number:03d}" for number in range(len(names) + 1, n_proteins + 1)]
    ambient = rng.gamma(2.0, 1.0, n_proteins)
    return ProteinTable(
        names=tuple(names),
        genes=np.arange(genes.n_regulators, genes.n_regulators + n_proteins),
        lifetime=rng.uniform(12.0, 36.0, n_proteins).astype(np.float32),
        scale=rng.lognormal(0.0, 0.5, n_proteins).astype(np.float32),
        leak=rng.uniform(0.01, 0.04, n_proteins).astype(np.float32),
        background=(ambient / max(ambient.sum(), 1e-12)).astype(np.float32),
    )
