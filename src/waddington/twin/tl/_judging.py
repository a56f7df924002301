"""Models, and predictions of anybody, against what hidden cells show."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anndata as ad

from waddington.errors import ArgumentError
from waddington.twin._keys import record
from waddington.twin.data.setup import Cells, check_data
from waddington.twin.evaluate.protocol import (
    Evaluation,
    evaluate_screen,
    predictions_of,
    screen_of,
)
from waddington.twin.tl._predicting import latent_of

__all__ = ["evaluate"]


def evaluate(
    data: Cells,
    predictions: ad.AnnData | Mapping[str, ad.AnnData] | None = None,
    *,
    name: str = "prediction",
    models: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    group_key: str | None = None,
    use_rep: str | None = None,
    repeats: int = 10,
    null_repeats: int = 20,
    seed: int = 0,
    callback: Callable[[float, str], None] = lambda _, __: None,
    store: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """Judge response models, and predictions of anybody, on conditions and cells that were hidden.

    Each condition is hidden in turn and predicted from all others; the truth is measured against controls that no model
    has seen, over random halvings. The replicate says what a repeat of the experiment would score, and all is judged
    once more on permuted labels, where nothing may be found. Where ``obs["split"]`` says which cells are ``train`` and
    ``test``, that split is judged instead.

    Parameters
    ----------
    data
        AnnData or MuData after :func:`~waddington.twin.pp.preprocess`, or normalized as scanpy does.
    predictions
        To judge beside the models, one or several by name: rows named by condition as :func:`predict` gives them, or
        with a column of ``obs`` (``perturbation``; GEARS' ``condition``; cell-eval's ``target_gene``), also one row a
        predicted cell. Effects in ``layers["effect"]``, else profiles in ``X``, held against predicted controls where
        there are any.
    name
        What the rows of a single prediction are called.
    models
        Names of :data:`~waddington.twin.respond.MODELS`; all that fit the data by default.
    splits
        Ways of hiding, of :data:`~waddington.twin.evaluate.protocol.WAYS`; all that the data allow by default.
    group_key
        Column of ``obs`` with donor, cell type, line or batch: each group's perturbed cells are hidden in turn, effects
        are matched by group, and intervals are over groups.
    use_rep
        Key of ``obsm`` for models that learn in a representation; without it they are left out. What it was made from
        is not known here: an embedding that saw hidden cells flatters them.
    repeats, null_repeats
        Random halvings, and times that labels are permuted.
    seed
        Of everything that is drawn.
    callback
        Called with the fraction that is done, and what is being done.
    store
        Folder in which each finished piece is kept, so that the same call goes on where it was stopped. Pieces of other
        cells, predictions or settings may lie there, too. By default nothing is kept.

    Returns
    -------
    Evaluation
        Tables of scores. Averages over conditions are also kept in ``uns["waddington"]["metrics"]``.

    Raises
    ------
    DataError
        When cells bear neither perturbations nor times, there are too few controls, or features are missing from
        `predictions`.
    UnknownNameError
        For a model or a split that is not known.
    """
    check_data(data)
    given = predictions if isinstance(predictions, Mapping) else {} if predictions is None else {name: predictions}
    for one in given.values():
        if not isinstance(one, ad.AnnData):
            raise ArgumentError(f"cannot evaluate {type(one).__name__}: accepted is an AnnData, as tl.predict gives it")
    latent = None if use_rep is None else latent_of(data, use_rep)
    screen = screen_of(data, group_key=group_key, representation=latent)
    found = evaluate_screen(
        screen,
        models=models,
        predictions=predictions_of(given, screen),
        splits=splits,
        repeats=repeats,
        null_repeats=null_repeats,
        seed=seed,
        callback=callback,
        store=None if store is None else Path(store).expanduser(),
    )
    record(data)["metrics"] = found.metrics
    return found
