"""Predictions against what test cells show."""

from __future__ import annotations

from typing import ClassVar, Self

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington._text import counted
from waddington.errors import ArgumentError, DataError, UnsupportedError
from waddington.twin._keys import record
from waddington.twin.data.setup import UNLABELLED, Cells, Labels, check_data, parts_of, read_labels
from waddington.twin.data.splits import Split, split_by_condition, split_by_time
from waddington.twin.evaluate.heldout import average, observe, replicate_scores, score
from waddington.twin.preprocess.cells import Profiles, profiles
from waddington.twin.respond.base import Effect, ResponseModel, Training, Values
from waddington.twin.respond.registry import MODELS, fit_model
from waddington.twin.tl._predicting import latent_of

__all__ = ["evaluate"]


def evaluate(
    data: Cells,
    predicted: ad.AnnData | None = None,
    *,
    name: str = "prediction",
    use_rep: str = "X_twin",
    seed: int = 0,
) -> pd.DataFrame:
    """Judge models, or predictions of your own, on cells and conditions that were held out.

    Every response model of the package is fitted on training cells; the replicate says what a repeat of the experiment
    would score. Features that a condition edits itself are not scored.

    Parameters
    ----------
    data
        AnnData or MuData after :func:`embed`, with ``obs["split"]`` (:func:`waddington.twin.pp.split`).
    predicted
        Predictions to judge beside the models: an observation a condition, named by its label, and features by name as
        :func:`predict` gives them; effects in ``layers["effect"]``, or mean profiles in ``X``.
    name
        What the rows of `predicted` are called.
    use_rep
        Key of ``obsm`` that models which learn in a representation use.
    seed
        Of the replicate's halves.

    Returns
    -------
    pandas.DataFrame
        Tidy metrics, averaged over conditions: protocol, predictor, optimizer, seed, modality, split, conditions,
        metric, value, n. Also kept in ``uns["waddington"]["metrics"]``.

    Raises
    ------
    DataError
        When there are no test cells, too few of them, or features are missing from `predicted`.
    """
    check_data(data)
    if predicted is not None and not isinstance(predicted, ad.AnnData):
        raise ArgumentError(
            f"cannot evaluate {type(predicted).__name__}: accepted is an AnnData, as tl.predict gives it"
        )
    labels = read_labels(data)
    known, split = _judged(labels)
    found = profiles(parts_of(data))
    values = {modality: x[known] for modality, x in found.inputs.items()}
    latent = latent_of(data, use_rep)[known]
    truth = observe(values, found.names, split)
    scores = {}
    if predicted is not None:
        scores[name] = score(truth, _Given(predicted, found, values, split))
    data_of = Training(values=values, split=split, names=found.names, representation=latent)
    for model in MODELS:
        try:
            fitted = fit_model(model, data_of)
        except (DataError, UnsupportedError):
            continue
        scores[model] = score(truth, fitted)
    scores["replicate"] = replicate_scores(values, found.names, split, seed=seed)
    tables = [average(table).assign(predictor=predictor) for predictor, table in scores.items() if len(table)]
    metrics = pd.concat(tables, ignore_index=True).assign(protocol="held-out", optimizer="none", seed=seed)
    columns = ["protocol", "predictor", "optimizer", "seed", "modality", "split", "conditions", "metric", "value", "n"]
    record(data)["metrics"] = metrics[columns]
    return metrics[columns].copy()


def _judged(labels: Labels) -> tuple[npt.NDArray[np.bool_], Split]:
    """Give the cells with a label, and what is held out of them."""
    if labels.split is None or not (labels.split == "test").any():
        raise DataError(
            "cannot evaluate: found no test cells; accepted is a column split with train and test in obs, such as "
            "twin.pp.split writes before twin.pp.preprocess"
        )
    known = labels.condition != UNLABELLED
    if labels.perturbed:
        return known, split_by_condition(labels.condition[known], split=labels.split[known])
    if labels.time is None:
        raise DataError("cannot evaluate: cells bear neither perturbations nor times; accepted is a column of either")
    return known, split_by_time(labels.time[known], unit=labels.time_unit, split=labels.split[known])


class _Given(ResponseModel):
    """Predictions that somebody made, as a model."""

    name: ClassVar[str] = "prediction"

    def __init__(self, predicted: ad.AnnData, found: Profiles, values: Values, split: Split) -> None:
        self._rows = {str(label): row for row, label in enumerate(predicted.obs_names)}
        if not set(self._rows) & set(split.split_of):
            raise DataError(
                f"cannot evaluate a prediction of {', '.join(list(self._rows)[:3])}: held out are "
                f"{', '.join(list(split.split_of)[:8])}; accepted is an observation named by one of them"
            )
        columns = predicted.var_names
        control = split.cells(split.control, train=True)
        matrix = np.asarray(predicted.layers.get("effect", predicted.X), np.float64)
        self._effects: Effect = {}
        for modality, names in found.names.items():
            wanted = [one if one in columns else f"{modality}:{one}" for one in names]
            missing = [one for one in wanted if one not in columns]
            if missing:
                raise DataError(
                    f"cannot evaluate a prediction of {modality}: {len(missing)} of "
                    f"{counted(len(names), 'feature')} are missing, the first is "
                    f"{missing[0].removeprefix(f'{modality}:')!r}; accepted are all that models see"
                )
            part = matrix[:, columns.get_indexer(wanted)]
            mean = values[modality][control].mean(axis=0, dtype=np.float64)
            self._effects[modality] = part if "effect" in predicted.layers else part - mean

    @classmethod
    def fit(cls, data: Training) -> Self:
        """Refuse: there is nothing to learn."""
        raise UnsupportedError("cannot fit a prediction that is made already")

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Give what was predicted.

        Raises
        ------
        UnsupportedError
            When the condition was not predicted.
        """
        if label not in self._rows:
            raise UnsupportedError(f"cannot predict {label}: it is not among the observations given")
        return {modality: effects[self._rows[label]] for modality, effects in self._effects.items()}
