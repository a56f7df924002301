"""Predicted cells as an AnnData: one observation a cell that was unperturbed, as it would be under a condition."""

from __future__ import annotations

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington._checks import check_choice
from waddington.errors import ArgumentError
from waddington.twin._keys import record
from waddington.twin.models.profiles import FittedResponse, feature_table
from waddington.twin.respond.base import Values

__all__ = ["predict_cell_profiles"]


def predict_cell_profiles(
    response: FittedResponse,
    perturbation: str,
    cells: Values,
    names: pd.Index,
    *,
    modality: str | None = None,
    guess: bool = False,
    groups: npt.NDArray[np.str_] | None = None,
) -> ad.AnnData:
    """Move unperturbed cells, each by its own effect where the model has one for each.

    Parameters
    ----------
    response
        Fitted.
    perturbation
        One condition.
    cells
        Profiles of unperturbed cells by modality, (cells, features).
    names
        Of the cells.
    modality
        Keep the features of this one; all by default.
    guess
        Answer from the model's prior where a perturbation was never measured, if it has one.
    groups
        Donor, cell type, line or batch of each cell, (cells,): each gets the prediction of its own. Default: none.

    Returns
    -------
    anndata.AnnData
        ``X``: predicted profiles, (cells, features), in units of the normalized profiles; ``layers["effect"]``: their
        difference from the cells given. ``obs["condition"]``: the canonical label; ``obs["group"]``, where there are
        groups. ``var["modality"]`` as in
        :func:`~waddington.twin.models.predict_profiles`. ``uns["waddington"]["prediction"]``: ``model``, ``support``,
        ``flagged``, ``missing`` and ``notes``.

    Raises
    ------
    UnsupportedError
        When a part of the condition was never measured; names it and the closest that was.
    DataError
        When a bare name was measured in several modes; names them.
    """
    if not isinstance(perturbation, str):
        raise ArgumentError(f"cannot predict cells under {perturbation!r}: accepted is one condition, as text")
    if modality is not None:
        check_choice("modality", modality, response.names)
    model, kept = response.model, list(response.names) if modality is None else [modality]
    label = model.known.canonical(perturbation)
    moved = model.predict_cells(label, cells, guess=guess, groups=groups)
    profile, first = (np.concatenate([one[name] for name in kept], axis=1) for one in (moved, cells))
    predicted = ad.AnnData(
        X=profile.astype(np.float32),
        obs=pd.DataFrame({"condition": label} | ({} if groups is None else {"group": groups}), index=names),
        var=feature_table(response.names, kept),
    )
    predicted.layers["effect"] = (profile - first).astype(np.float32)
    support = model.support(label)
    record(predicted)["prediction"] = {
        "model": model.name,
        "support": support.how,
        "flagged": support.flagged,
        "missing": "+".join(support.missing),
        "notes": [*model.notes, *response.notes],
    }
    return predicted
