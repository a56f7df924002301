"""The same checks for data that are in memory already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anndata as ad
import mudata as md

from waddington.twin.data.io.reading import read
from waddington.twin.data.io.refusals import fitting_in_memory
from waddington.twin.data.io.structure import check_structure
from waddington.twin.data.io.validation import (
    MIN_CELLS,
    as_csr,
    check_columns,
    check_counts,
    check_names,
    check_size,
    check_values,
)
from waddington.twin.data.modalities import COUNTS_LAYER, MODALITIES, VALUES_LAYER

__all__ = ["validate"]


@fitting_in_memory()
def validate(
    data: ad.AnnData | md.MuData,
    *,
    label_keys: Sequence[str] = (),
    min_cells: int = MIN_CELLS,
    **read_options: Any,
) -> md.MuData:
    """Check data in memory before work begins, and bring them into the form that :func:`read` gives if they are not.

    Parameters
    ----------
    data
        A MuData, or an AnnData (which is taken as :func:`read` takes an ``.h5ad``).
    label_keys
        Columns of ``obs`` that must exist.
    min_cells
        Fewest cells that are accepted.
    **read_options
        Passed to :func:`read`, such as ``perturbation_key`` and ``counts_layer``; giving any has the data read anew.

    Returns
    -------
    mudata.MuData
        ``data`` itself where it has the form already, preprocessed or not; otherwise a new object.

    Raises
    ------
    DataError
        When something is missing or wrong; says what was found, where, and what is accepted.
    """
    if read_options or not _has_form(data):
        return read(data, label_keys=label_keys, min_cells=min_cells, **read_options)
    source = "the MuData given"
    check_structure(data, source=source)
    for modality, adata in data.mod.items():
        check_size(adata.n_obs, adata.n_vars, modality=modality, source=source, min_cells=min_cells)
        check_names(adata.obs_names, kind="barcodes", modality=modality, source=source)
        check_names(adata.var_names, kind="features", modality=modality, source=source)
        layer, check = (VALUES_LAYER, check_values) if VALUES_LAYER in adata.layers else (COUNTS_LAYER, check_counts)
        what = f"layers[{layer!r}] of {modality} in {source}"
        matrix = as_csr(adata.layers[layer], what=what)
        check(matrix, what=what, obs_names=adata.obs_names, var_names=adata.var_names)
    check_columns(label_keys, data.obs, source=source)
    return data


def _has_form(data: Any) -> bool:
    """Say whether this is a MuData as :func:`read` gives it: known modalities, equal cells, counts in their layer."""
    return isinstance(data, md.MuData) and all(
        name in MODALITIES
        and isinstance(adata, ad.AnnData)
        and (COUNTS_LAYER in adata.layers or VALUES_LAYER in adata.layers)
        and adata.obs_names.equals(data.obs_names)
        for name, adata in data.mod.items()
    )
