"""Predicted responses to perturbations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anndata as ad
import pandas as pd

from waddington.twin.data.setup import Cells
from waddington.twin.models.inputs import latent_of, split_of
from waddington.twin.models.response import Response
from waddington.twin.respond.calibration import LEVEL
from waddington.twin.respond.priors import GenePrior

__all__ = ["latent_of", "predict", "split_of"]


def predict(
    data: Cells,
    perturbations: str | Sequence[str],
    model: str | None = None,
    *,
    cells: Cells | None = None,
    use_rep: str | None = None,
    group_key: str | None = None,
    prior: GenePrior | pd.DataFrame | str | Path | None = None,
    guess: bool = False,
    level: float = LEVEL,
    modality: str | None = None,
) -> ad.AnnData:
    """Predict the mean profile of each condition from the training cells, with an interval of its effect.

    Parameters
    ----------
    data
        AnnData or MuData after :func:`waddington.twin.pp.preprocess`, or normalized by scanpy; not changed.
    perturbations
        ``"Cebpa:knockout+Gata1:knockout"``, or a list of conditions; a bare name stands for its one measured mode.
    model
        A name of :data:`~waddington.twin.respond.MODELS`. By default ``"hierarchical additive"``, on the features
        themselves; with `use_rep` ``"latent additive"``.
    cells
        Unperturbed cells to start from, normalized as `data`; its training controls by default.
    use_rep
        Key of ``obsm``. A model that learns in a representation learns in this one and predicts features; any other
        predicts the effect on the representation itself.
    group_key
        Column of ``obs`` within whose groups (donors, lines, batches) effects are measured.
    prior
        Links between genes, for those that were never perturbed; see :class:`waddington.twin.Response`.
    guess
        Answer from the model's prior where a perturbation was never measured, if it has one, and flag the answer.
    level
        Share of truths that an interval is to hold.
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
        When a bare name was measured in several modes, by name; when the data are not normalized, or bear neither
        perturbations nor times.
    UnknownNameError
        When there is no such model; names the closest.

    See Also
    --------
    waddington.twin.Response : The same as an object that is trained once, asked often, saved and loaded.
    """
    made = Response(data, model, use_rep=use_rep, group_key=group_key, prior=prior)
    made.train()
    return made.predict(perturbations, cells, guess=guess, level=level, modality=modality)
