"""Predicted responses to perturbations."""

from __future__ import annotations

from collections.abc import Sequence

import anndata as ad
import numpy as np
import numpy.typing as npt

from waddington.errors import DataError
from waddington.twin.data.setup import Cells, check_data, parts_of, read_labels
from waddington.twin.data.splits import Split
from waddington.twin.models.profiles import fit_response, predict_profiles
from waddington.twin.preprocess.cells import profiles

__all__ = ["latent_of", "predict", "split_of"]


def predict(
    data: Cells, perturbations: str | Sequence[str], *, use_rep: str = "X_twin", modality: str | None = None
) -> ad.AnnData:
    """Predict the mean profile of each condition from the training cells.

    Parameters
    ----------
    data
        AnnData or MuData after :func:`embed`; not changed.
    perturbations
        ``"Cebpa:knockout+Gata1:knockout"``, or a list of conditions; a bare name stands for its one measured mode.
    use_rep
        Key of ``obsm`` in which effects are measured and added.
    modality
        Keep the features of this one; all by default.

    Returns
    -------
    anndata.AnnData
        One observation a condition; see :func:`waddington.twin.models.predict_profiles`.

    Raises
    ------
    UnsupportedError
        When a part of a condition was never measured; names it and the closest that was.
    DataError
        When a bare name was measured in several modes, by name; when the data have no embedding or no perturbations.
    """
    check_data(data)
    latent = latent_of(data, use_rep)
    found = profiles(parts_of(data))
    response = fit_response(latent, found.inputs, found.names, split_of(data))
    return predict_profiles(response, perturbations, modality=modality)


def latent_of(data: Cells, use_rep: str) -> npt.NDArray[np.float32]:
    """Give the representation that responses and dynamics live in.

    Raises
    ------
    DataError
        When it is missing, or holds NaN.
    """
    if use_rep not in data.obsm:
        have = ", ".join(map(repr, data.obsm)) or "none"
        raise DataError(
            f"cannot use use_rep={use_rep!r}: found no such key of obsm (keys found: {have}); accepted is data after "
            "twin.tl.embed, or another key"
        )
    latent = np.asarray(data.obsm[use_rep], dtype=np.float32)
    if not np.isfinite(latent).all():
        raise DataError(f"cannot use obsm[{use_rep!r}]: found NaN or infinity; accepted are finite numbers")
    return latent


def split_of(data: Cells) -> Split:
    """Give conditions and training cells.

    Raises
    ------
    DataError
        When cells bear neither perturbations nor times.
    """
    found = read_labels(data).to_split()
    if found is None:
        have = ", ".join(map(repr, data.obs.columns)) or "none"
        raise DataError(
            f"cannot use this data: cells bear neither perturbations nor times (columns of obs: {have}); accepted is a "
            "column of either under a usual name, or registered by "
            f"twin.Twin.{'setup_anndata' if isinstance(data, ad.AnnData) else 'setup_mudata'}"
            "(data, perturbation_key=, control=, time_key=)"
        )
    return found
