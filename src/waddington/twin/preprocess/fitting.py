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

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.preprocess.components import leading_axes, project
from waddington.twin.preprocess.selection import normalized_dispersion, top_features
from waddington.twin.preprocess.transforms import (
    cell_totals,
    centered_log_ratio,
    column_moments,
    inverse_document_frequency,
    log_normalize,
    median_depth,
    tf_idf,
)

__all__ = ["FittedModality", "Options", "fit_as_given", "fit_modality", "normalize"]

Floats = npt.NDArray[np.float64]

_DEPTH_CORRELATION: Final = 0.75
"""A component that follows log depth closer than this measures depth, not the cell (ArchR's cut-off)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Parameters of preprocessing; their meaning is documented at :class:`Preprocessor`."""

    target_sum: float | None
    size_factor_key: str | None
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
    target_sum
        What the depth of every cell is scaled to (counts of RNA), else 0.
    as_given
        Whether values are taken as they are.
    """

    modality: str
    names: list[str]
    selected: npt.NDArray[np.bool_]
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]
    axes: npt.NDArray[np.float32]
    centre: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float64]
    target_sum: float
    as_given: bool

    def state_dict(self) -> dict[str, Any]:
        """Give the record as strings and tensors."""
        arrays = ("selected", "mean", "std", "axes", "centre", "weights")
        tensors = {name: torch.from_numpy(getattr(self, name).copy()) for name in arrays}
        facts = {"modality": self.modality, "target_sum": self.target_sum, "as_given": self.as_given}
        return {**facts, "names": list(self.names), **tensors}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make a record from what :meth:`state_dict` gave."""
        values: dict[str, Any] = {
            key: value.numpy().copy() if isinstance(value, torch.Tensor) else value for key, value in state.items()
        }
        return cls(**values)


def normalize(matrix: Any, fitted: FittedModality, options: Options, *, depth: Floats | None = None) -> Any:
    """Normalize any cells with what was fitted.

    Parameters
    ----------
    matrix
        Cells x features: counts, or the values of a modality that is taken as given.
    fitted
        What training cells taught.
    options
        Parameters of preprocessing.
    depth
        Depth of each cell (RNA), where it is not the total of its counts.

    Returns
    -------
    scipy.sparse.csr_matrix | numpy.ndarray
        float32, cells x all features; dense for protein, and where values were given dense.
    """
    if fitted.as_given:
        return matrix.astype(np.float32)
    return _normalize(matrix, fitted.modality, fitted.weights, fitted.target_sum, options, depth)


def fit_modality(
    counts: sp.csr_matrix, names: pd.Index, modality: str, options: Options, *, depth: Floats | None = None
) -> FittedModality:
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
    depth
        Depth of each training cell (RNA), where it is not the total of its counts.

    Raises
    ------
    DataError
        When the training cells have no counts at all.
    """
    if not counts.nnz:
        raise DataError(
            f"cannot fit {modality}: found {counted(counts.shape[0], 'training cell')} without a single count; "
            "accepted are training cells that were measured"
        )
    weights = _learn_weights(counts, modality, options)
    target_sum = 0.0
    if modality == "rna":
        target_sum = options.target_sum or median_depth(cell_totals(counts) if depth is None else depth)
    values = _normalize(counts, modality, weights, target_sum, options, depth)
    selected = _select(counts, values, modality, options)
    return _record(
        values,
        selected,
        names,
        modality,
        options,
        axes=_lsi_axes(values[:, selected], counts, options) if modality == "atac" else None,
        weights=weights,
        target_sum=target_sum,
    )


def fit_as_given(values: Any, names: pd.Index, modality: str, options: Options) -> FittedModality:
    """Learn from training cells whose values are taken as they are: what varies most, and its principal components.

    Parameters
    ----------
    values
        Training cells x features, dense or CSR.
    names, modality, options
        As in :func:`fit_modality`.

    Raises
    ------
    DataError
        When no feature varies between the training cells.
    """
    _, variance = column_moments(values)
    if not variance.any():
        raise DataError(
            f"cannot fit {modality}: found {counted(values.shape[0], 'training cell')} without a difference in any "
            "feature; "
            "accepted are values that vary"
        )
    most = {"rna": options.n_top_genes, "atac": options.n_top_peaks}.get(modality, len(names))
    selected = top_features(np.where(variance > 0, variance, -np.inf), most)
    return _record(values, selected, names, modality, options, as_given=True)


def _record(
    values: Any,
    selected: npt.NDArray[np.bool_],
    names: pd.Index,
    modality: str,
    options: Options,
    *,
    axes: Floats | None = None,
    weights: Floats | None = None,
    target_sum: float = 0.0,
    as_given: bool = False,
) -> FittedModality:
    """Measure moments, and find principal components around the mean where no axes are given (those go through 0)."""
    mean, variance = column_moments(values)
    if axes is None:
        centre = mean[selected]
        axes = leading_axes(values[:, selected], options.n_pcs, centred=True, seed=options.seed)
    else:
        centre = np.zeros(axes.shape[0])
    return FittedModality(
        modality=modality,
        names=[str(name) for name in names],
        selected=selected,
        mean=mean.astype(np.float32),
        std=np.sqrt(variance).astype(np.float32),
        axes=np.ascontiguousarray(axes, dtype=np.float32),
        centre=centre.astype(np.float32),
        weights=np.zeros(0) if weights is None else weights,
        target_sum=target_sum,
        as_given=as_given,
    )


def _learn_weights(counts: sp.csr_matrix, modality: str, options: Options) -> npt.NDArray[np.float64]:
    if modality == "atac":
        return inverse_document_frequency(counts)
    if modality == "protein" and options.clr == "feature":
        return column_moments(counts.log1p())[0]
    return np.zeros(0)


def _normalize(
    counts: sp.csr_matrix, modality: str, weights: Floats, target_sum: float, options: Options, depth: Floats | None
) -> Any:
    if modality == "rna":
        return log_normalize(counts, target_sum=target_sum, depth=depth)
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
    axes = leading_axes(chosen, options.n_lsi + 1, centred=False, seed=options.seed)
    if axes.shape[1] == 1:
        return axes
    depth = np.log1p(cell_totals(counts))
    scores = project(chosen, axes.astype(np.float32), np.zeros(axes.shape[0], np.float32)).astype(np.float64)
    deviations, depth = scores - scores.mean(axis=0), depth - depth.mean()
    norms = np.linalg.norm(deviations, axis=0) * np.linalg.norm(depth)
    correlation = np.divide(np.abs(depth @ deviations), norms, out=np.zeros_like(norms), where=norms > 0)
    kept = correlation <= _DEPTH_CORRELATION
    # Where depth is all there is, one component is better than none.
    return axes[:, kept][:, : options.n_lsi] if kept.any() else axes[:, :1]
