"""Raw counts of one modality, found where biologists keep them, or values that are taken as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import anndata as ad
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from waddington.errors import ArgumentError, DataError
from waddington.twin.data.io.validation import as_csr, check_counts, check_values
from waddington.twin.data.modalities import COUNTS_LAYER, MODALITIES

__all__ = ["COUNT_LAYERS", "find_counts", "find_values", "given_modalities"]

COUNT_LAYERS: Final = (COUNTS_LAYER, "raw_counts", "counts_raw", "umi", "UMI", "raw")
"""Layers that are looked for, in this order, when none is named."""


def find_counts(
    adata: ad.AnnData, *, modality: str, source: str, counts_layer: str | None = None
) -> tuple[sp.csr_matrix, str]:
    """Find the raw counts of a modality and check them.

    Parameters
    ----------
    adata
        One modality.
    modality, source
        Where it stands, for messages.
    counts_layer
        A layer that must hold them. None looks in :data:`COUNT_LAYERS`, then in ``X``, then in ``raw.X``: a layer named
        for counts must hold counts, while ``X`` may be normalized if ``raw.X`` is not.

    Returns
    -------
    counts : scipy.sparse.csr_matrix
        Cells x features, float32, sorted, without stored zeros; the caller's own.
    place : str
        Where they were: ``"layers['counts']"``, ``"X"`` or ``"raw.X"``.

    Raises
    ------
    DataError
        When the named layer does not exist, or no place holds counts; says what the first place holds instead.
    """
    if counts_layer is not None and counts_layer not in adata.layers:
        layers = ", ".join(map(repr, adata.layers)) or "none"
        raise DataError(
            f"cannot use counts_layer={counts_layer!r} for {modality} of {source}: it does not exist; "
            f"layers found: {layers}"
        )
    named = counts_layer or next((name for name in COUNT_LAYERS if name in adata.layers), None)
    places = [(f"layers[{named!r}]", adata.layers[named])] if named else _unnamed_places(adata)
    first_error: DataError | None = None
    for place, matrix in places:
        what = f"{place} of {modality} in {source}"
        try:
            csr = as_csr(matrix, what=what)
            check_counts(csr, what=what, obs_names=adata.obs_names, var_names=adata.var_names)
        except DataError as error:
            first_error = first_error or error
        else:
            return _own(csr), place
    if first_error is None:
        raise DataError(
            f"cannot use {modality} of {source}: found no matrix in it; accepted are raw counts in X or a layer"
        )
    raise first_error


def find_values(
    adata: ad.AnnData, *, modality: str, source: str, layer: str | None = None
) -> tuple[sp.csr_matrix | npt.NDArray[np.float32], str]:
    """Take the values of a modality as they are: normalized expression, mass cytometry, qPCR.

    Parameters
    ----------
    adata
        One modality.
    modality, source
        Where it stands, for messages.
    layer
        The layer that holds them; None takes ``X``.

    Returns
    -------
    values : scipy.sparse.csr_matrix | numpy.ndarray
        Cells x features, float32, the caller's own; CSR where the file is sparse.
    place : str
        Where they were: ``"layers['lognorm']"`` or ``"X"``.

    Raises
    ------
    DataError
        When there is no such place, a value is not finite, or all are equal.
    """
    place = "X" if layer is None else f"layers[{layer!r}]"
    matrix = adata.X if layer is None else adata.layers.get(layer)
    if matrix is None:
        layers = ", ".join(map(repr, adata.layers)) or "none"
        raise DataError(f"cannot use {place} of {modality} in {source}: it does not exist; layers found: {layers}")
    what = f"{place} of {modality} in {source}"
    values = as_csr(matrix, what=what).astype(np.float32)
    values.sum_duplicates()
    check_values(values, what=what, obs_names=adata.obs_names, var_names=adata.var_names)
    return (values if sp.issparse(matrix) else values.toarray()), place


def given_modalities(normalization: str, *, layer: str | None = None) -> tuple[str, ...]:
    """Give the modalities whose values a normalization takes as they are.

    Parameters
    ----------
    normalization
        ``"total"``, ``"none"``, or ``"none:"`` and modalities with commas between them.
    layer
        The layer named beside it.

    Raises
    ------
    ArgumentError
        For any other word, an unknown modality, or a layer where nothing is taken as it is.
    """
    word, colon, listed = normalization.partition(":")
    names = tuple(name.strip() for name in listed.split(",")) if colon else MODALITIES
    if word not in ("total", "none") or (colon and (word == "total" or not set(names) <= set(MODALITIES))):
        raise ArgumentError(
            f"cannot use normalization={normalization!r}: accepted are 'total', 'none' (values are taken as they are), "
            f"or 'none:' and some of {', '.join(MODALITIES)}, as in 'none:rna,protein'"
        )
    if word == "total" and layer is not None:
        raise ArgumentError(
            f"cannot use layer={layer!r} with normalization='total': it names values that are taken as they are; "
            "accepted: normalization='none' with it, or counts_layer= for raw counts"
        )
    return names if word == "none" else ()


def _unnamed_places(adata: ad.AnnData) -> Iterator[tuple[str, Any]]:
    """Give ``X`` and, for the same features, ``raw.X``."""
    if adata.X is not None:
        yield "X", adata.X
    if adata.raw is not None and adata.var_names.isin(adata.raw.var_names).all():
        yield "raw.X", adata.raw[:, adata.var_names].X


def _own(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Copy counts into canonical float32 CSR, with rounding noise removed."""
    counts = sp.csr_matrix(matrix, dtype=np.float32, copy=True)
    np.rint(counts.data, out=counts.data)
    counts.sum_duplicates()
    counts.eliminate_zeros()
    return counts
