"""What models are given of preprocessed data: selected features, normalized or as counts."""

from __future__ import annotations

from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from waddington.errors import DataError
from waddington.twin._keys import recorded
from waddington.twin.data.modalities import COUNTS_LAYER, VALUES_LAYER

__all__ = ["is_as_given", "measured", "model_counts", "model_input"]


def model_input(
    mdata: md.MuData, modality: str, *, rows: npt.ArrayLike | None = None, scaled: bool = False
) -> npt.NDArray[np.float32]:
    """Give what an encoder sees of a modality: normalized values of the selected features.

    Parameters
    ----------
    mdata
        After :meth:`Preprocessor.transform`.
    modality
        Which one.
    rows
        Cells, as indices or a mask; None takes all. A mini-batch of a large file is made dense without the rest.
    scaled
        Whether to subtract the training mean and divide by the training standard deviation of each feature.

    Returns
    -------
    numpy.ndarray
        Cells x selected features.

    Raises
    ------
    DataError
        When the modality is missing or was not preprocessed.
    """
    adata, selected = _selected(mdata, modality)
    values = adata.X if rows is None else adata.X[np.asarray(rows)]
    values = values[:, selected]
    dense = np.ascontiguousarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float32)
    if not scaled:
        return dense
    mean, std = (adata.var[name].to_numpy(np.float32)[selected] for name in ("train_mean", "train_std"))
    return np.asarray((dense - mean) / np.where(std > 0, std, 1), dtype=np.float32)


def model_counts(mdata: md.MuData, modality: str, *, rows: npt.ArrayLike | None = None) -> Any:
    """Give what was measured of the features that :func:`model_input` gives: counts or values as given, CSR float32.

    Raises
    ------
    DataError
        When the modality is missing or was not preprocessed.
    """
    adata, selected = _selected(mdata, modality)
    matrix = measured(adata, modality)
    return sp.csr_matrix((matrix if rows is None else matrix[np.asarray(rows)])[:, selected])


def _selected(mdata: md.MuData, modality: str) -> tuple[ad.AnnData, npt.NDArray[np.bool_]]:
    if modality not in mdata.mod:
        raise DataError(f"cannot take modality {modality!r}: found {', '.join(mdata.mod) or 'none'}")
    adata = mdata.mod[modality]
    if "preprocess" not in recorded(adata):
        raise DataError(
            f"cannot take model input of {modality}: it was not preprocessed; "
            "accepted is data after Preprocessor.transform"
        )
    return adata, adata.var["highly_variable"].to_numpy(dtype=bool)


def is_as_given(adata: ad.AnnData) -> bool:
    """Say whether a modality was read as values that are taken as they are, not as counts."""
    return VALUES_LAYER in adata.layers


def measured(adata: ad.AnnData, modality: str) -> Any:
    """Give what was measured of all features: raw counts (CSR, float32), or values that are taken as they are.

    Raises
    ------
    DataError
        When the modality has neither where :func:`waddington.twin.data.io.read` puts them.
    """
    for layer in (VALUES_LAYER, COUNTS_LAYER):
        if layer in adata.layers:
            return adata.layers[layer]
    layers = ", ".join(adata.layers) or "none"
    raise DataError(
        f"cannot preprocess {modality}: layers found: {layers}; accepted are raw counts in layers[{COUNTS_LAYER!r}] "
        f"or values in layers[{VALUES_LAYER!r}], where io.read puts them"
    )
