"""From cells to counts: depth, batches, ambient molecules, bursts, dropout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from waddington._checks import check_in_range

__all__ = ["BatchEffects", "NoiseModel", "count_fragments", "count_messengers", "count_tags"]

Array = npt.NDArray[np.float32]

_GENE_DISPERSION = 4.0
_TAG_DISPERSION = 12.0
_UNBOUND_SPREAD = 0.5
_FRAGMENTS_PER_SITE = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class NoiseModel:
    """How a cell is counted.

    Attributes
    ----------
    rna_depth
        Median molecules (UMI) counted in a cell.
    atac_depth
        Median fragments in peaks counted in a cell; 0 takes a fifth of the number of peaks.
    protein_depth
        Median antibody tags counted in a cell, background included.
    depth_spread
        Standard deviation of the logarithm of depth over cells.
    dropout
        Chance that a gene which a cell barely expresses is lost altogether; falls as 1 / (1 + mean).
    rna_ambient
        Share of a cell's molecules that come from the soup.
    protein_background
        Share of a cell's tags that come from unbound antibody, on average.
    batch_effect
        Standard deviation of the logarithm of each feature's yield over batches.
    """

    rna_depth: float = 1000.0
    atac_depth: float = 0.0
    protein_depth: float = 2500.0
    depth_spread: float = 0.35
    dropout: float = 0.1
    rna_ambient: float = 0.02
    protein_background: float = 0.2
    batch_effect: float = 0.08

    def __post_init__(self) -> None:
        for name in ("rna_depth", "protein_depth"):
            check_in_range(name, getattr(self, name), 0.0, open_low=True)
        for name in ("atac_depth", "depth_spread", "batch_effect"):
            check_in_range(name, getattr(self, name), 0.0)
        check_in_range("dropout", self.dropout, 0.0, 1.0)
        for name in ("rna_ambient", "protein_background"):
            check_in_range(name, getattr(self, name), 0.0, 1.0, open_high=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchEffects:
    """Yield of each feature in each batch, one array of shape (features, batches) for a modality."""

    rna: Array
    atac: Array
    protein: Array

    @classmethod
    def draw(cls, sizes: tuple[int, int, int], n_batches: int, spread: float, rng: np.random.Generator) -> BatchEffects:
        """Draw log-normal yields for the three modalities' numbers of features."""
        rna, atac, protein = (rng.lognormal(0.0, spread, (size, n_batches)).astype(np.float32) for size in sizes)
        return cls(rna=rna, atac=atac, protein=protein)


def _shares(amount: Array) -> Array:
    out: Array = amount / np.maximum(amount.sum(axis=0, keepdims=True), np.float32(1e-12))
    return out


def _depths(n_cells: int, median: float, spread: float, rng: np.random.Generator) -> Array:
    return (median * rng.lognormal(0.0, spread, n_cells)).astype(np.float32)


def _overdispersed(mean: Array, size: float, rng: np.random.Generator) -> Array:
    """Draw counts with variance ``mean + mean² / size``: Poisson counts of gamma-distributed rates."""
    rate = mean * rng.standard_gamma(size, mean.shape, dtype=np.float32) / np.float32(size)
    return rng.poisson(rate).astype(np.float32)


def count_messengers(
    amount: Array, yields: Array, soup: Array, noise: NoiseModel, rng: np.random.Generator
) -> sparse.csr_matrix:
    """Count transcripts.

    Parameters
    ----------
    amount
        Noise-free messengers in any unit, shape (genes, cells).
    yields
        Batch effect of each gene in each cell, shape (genes, cells).
    soup
        Composition of the ambient molecules, shape (genes,), summing to 1.
    noise
        The count model.
    rng
        Source of noise.

    Returns
    -------
    scipy.sparse.csr_matrix
        Counts, shape (cells, genes), float32.
    """
    share = np.float32(1 - noise.rna_ambient) * _shares(amount * yields) + np.float32(noise.rna_ambient) * soup[:, None]
    mean = share * _depths(amount.shape[1], noise.rna_depth, noise.depth_spread, rng)
    counts = _overdispersed(mean, _GENE_DISPERSION, rng)
    if noise.dropout:
        counts[rng.random(mean.shape, dtype=np.float32) < noise.dropout / (1 + mean)] = 0
    return sparse.csr_matrix(counts.T)


def count_fragments(
    accessibility: Array, yields: Array, scale: Array, noise: NoiseModel, rng: np.random.Generator
) -> sparse.csr_matrix:
    """Count fragments in peaks.

    Parameters
    ----------
    accessibility
        Probability of each site to be open, shape (peaks, cells).
    yields
        Batch effect of each peak in each cell, shape (peaks, cells).
    scale
        Relative yield of each peak, shape (peaks,).
    noise, rng
        The count model and the source of noise.

    Returns
    -------
    scipy.sparse.csr_matrix
        Counts, shape (cells, peaks), float32.
    """
    median = noise.atac_depth or _FRAGMENTS_PER_SITE * accessibility.shape[0]
    share = _shares(accessibility * yields * scale[:, None])
    mean = share * _depths(accessibility.shape[1], median, noise.depth_spread, rng)
    return sparse.csr_matrix(rng.poisson(mean).astype(np.float32).T)


def count_tags(
    amount: Array, yields: Array, background: Array, noise: NoiseModel, rng: np.random.Generator
) -> sparse.csr_matrix:
    """Count antibody tags.

    Parameters
    ----------
    amount
        Noise-free tags in any unit, shape (proteins, cells).
    yields
        Batch effect of each protein in each cell, shape (proteins, cells).
    background
        Composition of unbound antibody, shape (proteins,), summing to 1.
    noise, rng
        The count model and the source of noise. Unbound antibody varies over cells by a factor of about two.

    Returns
    -------
    scipy.sparse.csr_matrix
        Counts, shape (cells, proteins), float32.
    """
    n_cells = amount.shape[1]
    depth = _depths(n_cells, noise.protein_depth, noise.depth_spread, rng)
    unbound = _depths(n_cells, noise.protein_background, _UNBOUND_SPREAD, rng)
    bound = np.float32(1 - noise.protein_background) * _shares(amount * yields)
    mean: Array = depth * (bound + background[:, None] * unbound)
    return sparse.csr_matrix(_overdispersed(mean, _TAG_DISPERSION, rng).T)
