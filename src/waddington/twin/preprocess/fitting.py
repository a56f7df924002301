"""What is learned from the training cells of one modality, as a record, and how it is learned and applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
import torch

from waddington._errors import DataError
from waddington.twin.preprocess.components import leading_axes, project
from waddington.twin.preprocess.selection import normalized_dispersion, top_features
from waddington.twin.preprocess.transforms import (
    centered_log_ratio,
    column_moments,
    inverse_document_frequency,
    log_normalize,
    tf_idf,
)

__all__ = ["FittedModality", "Options", "fit_modality", "normalize"]

_DEPTH_CORRELATION: Final = 0.75
"""A component that follows log depth closer than this measures depth, not the cell (ArchR's cut-off)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Parameters of preprocessing; their meaning is documented at :class:`Preprocessor`."""

    target_sum: float
    n_top_genes: int
    n_pcs: int
    n_top_peaks: int
    n_lsi: int
    clr: str
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FittedModality:
    """What one modality's training cells taught.

    Attributes
    ----------
    modality
        Which one.
    names
        All features, in their order.
    selected
        Boolean, one for each feature: what models see.
    mean, std
        Of the normalized values over training cells, for each feature, float32.
    axes
        Selected features x components, float32.
    centre
        What the axes were fitted around, for each selected feature, float32.
    weights
        For each feature, float64: inverse document frequency (ATAC), mean log count (protein with ``clr="feature"``),
        else empty.
    """

    modality: str
    names: list[str]
    selected: npt.NDArray[np.bool_]
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]
    axes: npt.NDArray[np.float32]
    centre: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float64]

    def state_dict(self) -> dict[str, Any]:
        """Give the record as strings and tensors."""
        arrays = ("selected", "mean", "std", "axes", "centre", "weights")
        tensors = {name: torch.from_numpy(getattr(self, name).copy()) for name in arrays}
        return {"modality": self.modality, "names": list(self.names), **tensors}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make a record from what :meth:`state_dict` gave."""
        values: dict[str, Any] = {
            key: value.numpy().copy() if isinstance(value, torch.Tensor) else value for key, value in state.items()
        }
        return cls(**values)


def normalize(counts: sp.csr_matrix, fitted: FittedModality, options: Options) -> Any:
    """Normalize counts of any cells with what was fitted.

    Returns
    -------
    scipy.sparse.csr_matrix | numpy.ndarray
        float32, cells x all features; dense for protein.
    """
    return _normalize(counts, fitted.modality, fitted.weights, options)


def fit_modality(counts: sp.csr_matrix, names: pd.Index, modality: str, options: Options) -> FittedModality:
    """Learn from the training cells of one modality.

    Parameters
    ----------
    counts
        Training cells x features.
    names
        Of the features.
    modality
        ``"rna"``, ``"atac"`` or ``"protein"``.
    options
        Parameters of preprocessing.

    Raises
    ------
    DataError
        When the training cells have no counts at all.
    """
    if not counts.nnz:
        raise DataError(
            f"cannot fit {modality}: found {counts.shape[0]} training cells without a single count; "
            "accepted are training cells that were measured"
        )
    weights = _learn_weights(counts, modality, options)
    values = _normalize(counts, modality, weights, options)
    mean, variance = column_moments(values)
    selected = _select(counts, values, modality, options)
    chosen = values[:, selected]
    if modality == "atac":
        centre = np.zeros(chosen.shape[1])
        axes = _lsi_axes(chosen, counts, options)
    else:
        centre = mean[selected]
        axes = leading_axes(chosen, options.n_pcs, centre=centre, seed=options.seed)
    return FittedModality(
        modality=modality,
        names=[str(name) for name in names],
        selected=selected,
        mean=mean.astype(np.float32),
        std=np.sqrt(variance).astype(np.float32),
        axes=np.ascontiguousarray(axes, dtype=np.float32),
        centre=centre.astype(np.float32),
        weights=weights,
    )


def _learn_weights(counts: sp.csr_matrix, modality: str, options: Options) -> npt.NDArray[np.float64]:
    if modality == "atac":
        return inverse_document_frequency(counts)
    if modality == "protein" and options.clr == "feature":
        return column_moments(counts.log1p())[0]
    return np.zeros(0)


def _normalize(counts: sp.csr_matrix, modality: str, weights: npt.NDArray[np.float64], options: Options) -> Any:
    if modality == "rna":
        return log_normalize(counts, target_sum=options.target_sum)
    if modality == "atac":
        return tf_idf(counts, weights)
    return centered_log_ratio(counts, log_mean=weights if options.clr == "feature" else None)


def _select(counts: sp.csr_matrix, values: Any, modality: str, options: Options) -> npt.NDArray[np.bool_]:
    """Choose features: never one that no training cell shows, for nothing can be learned about it."""
    n_detected = np.bincount(counts.indices[counts.data > 0], minlength=counts.shape[1])
    scores = np.where(n_detected > 0, n_detected.astype(np.float64), -np.inf)
    if modality == "protein":
        return top_features(scores, counts.shape[1])
    if modality == "atac":
        return top_features(scores, options.n_top_peaks)
    if int((n_detected > 0).sum()) > options.n_top_genes:
        scores = normalized_dispersion(values)
    return top_features(scores, options.n_top_genes)


def _lsi_axes(chosen: sp.csr_matrix, counts: sp.csr_matrix, options: Options) -> npt.NDArray[np.float64]:
    """Find the axes of LSI and leave out those along which cells merely differ in depth."""
    axes = leading_axes(chosen, options.n_lsi + 1, centre=np.zeros(chosen.shape[1]), seed=options.seed)
    if axes.shape[1] == 1:
        return axes
    depth = np.log1p(np.asarray(counts.sum(axis=1), dtype=np.float64).ravel())
    scores = project(chosen, axes.astype(np.float32), np.zeros(axes.shape[0], np.float32)).astype(np.float64)
    deviations, depth = scores - scores.mean(axis=0), depth - depth.mean()
    norms = np.linalg.norm(deviations, axis=0) * np.linalg.norm(depth)
    correlation = np.divide(np.abs(depth @ deviations), norms, out=np.zeros_like(norms), where=norms > 0)
    kept = correlation <= _DEPTH_CORRELATION
    # Where depth is all there is, one component is better than none.
    return axes[:, kept][:, : options.n_lsi] if kept.any() else axes[:, :1]
