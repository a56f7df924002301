"""Peaks of open chromatin: promoters that open with their gene, enhancers that open with regulators, constant sites.

Chromatin reads the regulators of the last few hours, before the messengers have followed, so that accessibility runs
ahead of expression as it does in differentiating cells (Ma et al. 2020).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from waddington.twin.simulate.genes import GeneTable

__all__ = ["PeakTable", "wire_peaks"]

Array = npt.NDArray[np.float32]

_KINDS = ("promoter", "enhancer", "constant")
_KIND_SHARES = (0.35, 0.5, 0.15)
_CHROMOSOMES = tuple(f"chr{number}" for number in range(1, 20))
_CHROMOSOME_LENGTH = 100_000_000
_WIDTH = 500
_STEEPNESS = 7.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PeakTable:
    """Peaks in genomic order.

    Attributes
    ----------
    names
        ``"chr1:1000-1500"``, length (peaks,).
    kinds
        ``"promoter"``, ``"enhancer"`` or ``"constant"``.
    genes
        Row of the linked gene in the gene table, -1 for none, shape (peaks,).
    weights
        Effect of regulators, shape (peaks, regulators); zero for promoters of targets, which follow their gene.
    bias
        Shape (peaks,).
    closed
        Accessibility that is left when a site is shut, shape (peaks,).
    scale
        Relative yield of fragments, shape (peaks,).
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    genes: npt.NDArray[np.int64]
    weights: Array
    bias: Array
    closed: Array
    scale: Array

    def accessibility(self, regulators: Array, production: Array) -> Array:
        """Give the probability of each site to be open.

        Parameters
        ----------
        regulators
            Recent concentrations, shape (regulators, cells).
        production
            Rates at which all genes are made at present, regulators first, shape (genes, cells).

        Returns
        -------
        numpy.ndarray
            Values in [0, 1], shape (peaks, cells).
        """
        driven = 1 / (1 + np.exp(-(self.weights @ regulators + self.bias[:, None])))
        promoters = np.array([kind == "promoter" for kind in self.kinds], dtype=bool)
        driven[promoters] = np.minimum(production[self.genes[promoters]], 1)
        opened: Array = self.closed[:, None] + (1 - self.closed[:, None]) * driven.astype(np.float32)
        return opened


def wire_peaks(n_peaks: int, genes: GeneTable, rng: np.random.Generator) -> PeakTable:
    """Draw the peaks around a transcriptome.

    Parameters
    ----------
    n_peaks
        Peaks in all.
    genes
        The genes that peaks are linked to.
    rng
        Source of everything drawn.

    Returns
    -------
    PeakTable
        Sorted by place; every site is a place of its own.
    """
    n_genes, n_regulators = len(genes.names), genes.n_regulators
    drawn = rng.choice(len(_KINDS), size=n_peaks, p=_KIND_SHARES)
    # A gene has one promoter: the surplus of a small transcriptome becomes enhancers.
    promoters = np.flatnonzero(drawn == 0)
    drawn[promoters[n_genes:]] = 1
    linked = np.full(n_peaks, -1, dtype=np.int64)
    linked[promoters[:n_genes]] = rng.permutation(n_genes)[: len(promoters)]
    linked[drawn == 1] = rng.integers(n_genes, size=int((drawn == 1).sum()))

    weights = np.zeros((n_peaks, n_regulators), dtype=np.float32)
    bias = np.zeros(n_peaks, dtype=np.float32)
    for peak in np.flatnonzero(drawn == 1):
        gene = int(linked[peak])
        program = np.eye(n_regulators)[gene] * _STEEPNESS if gene < n_regulators else genes.weights[gene - n_regulators]
        bound = np.flatnonzero(program)
        if not len(bound):
            bound = rng.integers(n_regulators, size=1)
            program = np.eye(n_regulators)[bound[0]] * _STEEPNESS
        # An enhancer holds the motif of one of its gene's regulators and reads that one alone.
        motif = int(rng.choice(bound))
        weights[peak, motif] = np.copysign(_STEEPNESS, program[motif])
        bias[peak] = -0.5 * weights[peak, motif] + rng.normal(0.0, 0.7)

    home = rng.integers(len(_CHROMOSOMES), size=n_genes)
    start_site = rng.choice(_CHROMOSOME_LENGTH // 1_000, size=n_genes, replace=False) * 1_000 + 500
    near = np.where(linked < 0, 0, linked)
    slots = rng.choice(200_000 // _WIDTH, size=n_peaks, replace=n_peaks > 200_000 // _WIDTH)
    offset = np.where(drawn == 0, -_WIDTH // 2, (slots - 200) * _WIDTH + _WIDTH // 2 + 250)
    chromosome = np.where(linked < 0, rng.integers(len(_CHROMOSOMES), size=n_peaks), home[near])
    place = np.where(
        linked < 0, rng.integers(1, _CHROMOSOME_LENGTH // _WIDTH, n_peaks) * _WIDTH, start_site[near] + offset
    )
    place = _separate(chromosome, np.maximum(place, 1))
    order = np.lexsort((place, chromosome))
    return PeakTable(
        names=tuple(f"{_CHROMOSOMES[chromosome[row]]}:{place[row]}-{place[row] + _WIDTH}" for row in order),
        kinds=tuple(_KINDS[drawn[row]] for row in order),
        genes=linked[order],
        weights=weights[order],
        bias=bias[order],
        closed=np.where(drawn == 2, 0.5, rng.uniform(0.02, 0.15, n_peaks))[order].astype(np.float32),
        scale=rng.lognormal(0.0, 0.5, n_peaks).astype(np.float32),
    )


def _separate(chromosome: npt.NDArray[np.int64], place: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Push sites that would overlap to the right until each has its own bases."""
    moved = place.copy()
    order = np.lexsort((place, chromosome))
    for left, right in itertools.pairwise(order):
        if chromosome[left] == chromosome[right]:
            moved[right] = max(moved[right], moved[left] + _WIDTH)
    return moved
