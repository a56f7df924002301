"""A model of responses as one object: set up on an AnnData or MuData, trained, asked, saved and loaded."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import anndata as ad
import numpy as np
import pandas as pd

from waddington._checks import check_in_range, check_known
from waddington._text import counted
from waddington.errors import ArgumentError, DataError
from waddington.twin.data.setup import UNLABELLED, Cells, check_data, check_kind, parts_of, registered
from waddington.twin.models.folder import read_model, write_model
from waddington.twin.models.inputs import ResponseInputs, default_model, groups_of, latent_of, response_inputs, split_of
from waddington.twin.models.predicted_cells import predict_cell_profiles
from waddington.twin.models.profiles import FittedResponse, fit_response, predict_profiles
from waddington.twin.models.registration import CellModel
from waddington.twin.preprocess.cells import profiles
from waddington.twin.respond.base import ResponseModel, Values
from waddington.twin.respond.calibration import LEVEL, Calibration, coverage, expressed_features
from waddington.twin.respond.measured import Measured
from waddington.twin.respond.priors import GenePrior, PriorInformed
from waddington.twin.respond.registry import DEFAULT_MODEL, MODELS

__all__ = ["Response"]


class Response(CellModel):
    """What perturbations do to the mean profile of cells, learned from those that were measured. It needs no encoder.

    Parameters
    ----------
    data
        AnnData of one modality, or MuData, after :func:`waddington.twin.pp.preprocess` or normalized by scanpy; not
        changed. Columns are those that :meth:`setup_anndata` or :meth:`setup_mudata` registered, or have their usual
        names. The model learns from the cells that a column ``split`` calls ``train``, or from all where there is none.
    model
        A name of :data:`~waddington.twin.respond.MODELS`. By default ``"hierarchical additive"``; with `use_rep`
        ``"latent additive"``, which learns in a representation.
    use_rep
        Key of ``obsm``. A model that learns in a representation learns in this one, and predicts features. Any other
        model predicts the effect on the representation itself.
    group_key
        Column of ``obs`` with donors, cell types, lines or batches: effects are measured within each and averaged.
    prior
        Links between genes, with which the hierarchical additive model answers for genes that were never perturbed: a
        :class:`~waddington.twin.respond.GenePrior`, a table, or a file such as CollecTRI's or TRRUST's. What it gains,
        beside graphs with permuted genes, is a note of every prediction. Default: none.

    Raises
    ------
    UnknownNameError
        When there is no such model; names the closest.
    ArgumentError
        When the model learns in a representation and none is named, or a prior is given to another model.
    UnsupportedError
        When groups are named for a model that passes over them.
    DataError
        When data or prior cannot be used; says what was found and what is accepted.

    Examples
    --------
    >>> Response.setup_anndata(adata, perturbation_key="guide", control="NT")  # doctest: +SKIP
    >>> model = Response(adata)  # doctest: +SKIP
    >>> model.train()  # doctest: +SKIP
    >>> predicted = model.predict(["KLF1:activation+BAK1:activation"])  # doctest: +SKIP
    >>> predicted.layers["low"], predicted.layers["high"]  # doctest: +SKIP
    """

    def __init__(
        self,
        data: Cells,
        model: str | None = None,
        *,
        use_rep: str | None = None,
        group_key: str | None = None,
        prior: GenePrior | pd.DataFrame | str | Path | None = None,
    ) -> None:
        check_data(data)
        self.name = check_known("response model", default_model(use_rep) if model is None else model, MODELS)
        """Of the model, as :data:`~waddington.twin.respond.MODELS` spells it."""
        self.setup = registered(data)
        self.use_rep = use_rep
        self.group_key = group_key
        if prior is not None and self.name != DEFAULT_MODEL:
            raise ArgumentError(
                f"cannot use prior= with the response model {self.name!r}: accepted is {DEFAULT_MODEL!r}"
            )
        self.prior = prior if prior is None or isinstance(prior, GenePrior) else GenePrior.of(prior)
        """Links between genes."""
        self._data: Cells | None = data
        self._fitted: FittedResponse | None = None
        self._inputs()  # refused now rather than in training

    def train(self) -> None:
        """Learn what the training cells show, and how wide intervals have to be (:mod:`.respond.calibration`).

        Raises
        ------
        ArgumentError
            When the model was loaded without data.
        DataError
            When the training cells hold no control or no condition, or nothing that the model can learn from.
        UnsupportedError
            When the model is not made for such data, as one that needs groups.
        """
        found = self._inputs()
        self._fitted = fit_response(
            found.representation, found.values, found.names, found.split, model=self.name, groups=found.groups,
            prior=self.prior,
        )  # fmt: skip
        self._fitted = dataclasses.replace(self._fitted, notes=(*found.notes, *self._fitted.notes))

    def predict(
        self,
        perturbations: str | Sequence[str],
        cells: Cells | None = None,
        *,
        guess: bool = False,
        level: float = LEVEL,
        modality: str | None = None,
    ) -> ad.AnnData:
        """Predict the mean profile of each condition, with an interval of its effect.

        Parameters
        ----------
        perturbations
            ``"Cebpa:knockout+Gata1:knockout"``, or a list of conditions; a bare name stands for its one measured mode.
        cells
            Unperturbed cells to start from, normalized as the training cells; the training controls by default.
        guess
            Answer from the model's prior where a perturbation was never measured, if it has one, and flag the answer.
        level
            Share of truths that an interval is to hold.
        modality
            Keep the features of this one; all by default.

        Returns
        -------
        anndata.AnnData
            See :func:`~waddington.twin.models.predict_profiles`.

        Raises
        ------
        UnsupportedError
            When a part of a condition was never measured; names it and the closest that was.
        DataError
            When a bare name was measured in several modes, by name; or features are missing from `cells`.
        ArgumentError
            Before training.
        """
        start = None
        if cells is not None:
            check_kind(cells)
            start = {name: x.mean(axis=0, dtype=np.float64) for name, x in self._values(cells).items()}
        return predict_profiles(
            self._trained(), perturbations, start=start, modality=modality, guess=guess, level=level
        )

    def predict_cells(
        self, perturbation: str, cells: Cells | None = None, *, guess: bool = False, modality: str | None = None
    ) -> ad.AnnData:
        """Predict unperturbed cells under one condition, one by one.

        All move alike unless the model says more, as ``"state-dependent"`` may. With `group_key`, each cell gets the
        prediction of its own group from the models that tell groups apart, ``"state-dependent"`` and
        ``"similarity-weighted"``; the others know one effect, averaged over groups.

        Parameters
        ----------
        perturbation
            ``"Cebpa:knockout+Gata1:knockout"``; a bare name stands for its one measured mode.
        cells
            Unperturbed cells, normalized as the training cells, with the column `group_key` if the model has one; the
            training controls by default.
        guess
            Answer from the model's prior where a perturbation was never measured, if it has one.
        modality
            Keep the features of this one; all by default.

        Returns
        -------
        anndata.AnnData
            The same cells; see :func:`~waddington.twin.models.predict_cell_profiles`.

        Raises
        ------
        UnsupportedError, DataError
            As :meth:`predict`.
        ArgumentError
            Before training, or without cells.
        """
        fitted = self._trained()
        data = self._given() if cells is None else cells
        check_kind(data)
        values, rows = self._values(data), np.arange(data.n_obs)
        if cells is None:
            split = split_of(data, self.setup)
            rows = split.cells(split.control, train=True)
        return predict_cell_profiles(
            fitted,
            perturbation,
            {name: x[rows].astype(np.float64) for name, x in values.items()},
            data.obs_names[rows],
            modality=modality,
            guess=guess,
            groups=None if self.group_key is None else groups_of(data, self.group_key)[rows],
        )

    def coverage(self, cells: Cells | None = None, *, level: float = LEVEL) -> pd.DataFrame:
        """Count how many means of test cells lie in their intervals.

        Parameters
        ----------
        cells
            Cells with labels that the model did not learn from; by default those of its data that are not of training.
        level
            Share that the intervals are to hold.

        Returns
        -------
        pandas.DataFrame
            See :func:`~waddington.twin.respond.calibration.coverage`: by modality and support, over expressed features
            and over changed ones.

        Raises
        ------
        DataError
            When there are no such cells of the control and of another condition.
        """
        fitted = self._trained()
        check_in_range("level", level, 0.0, 1.0, open_low=True, open_high=True)
        data = self._given() if cells is None else cells
        check_kind(data)
        split, values = split_of(data, self.setup), self._values(data)
        seen = ~split.train if cells is None else np.ones(len(split.labels), dtype=bool)
        there = set(split.labels[seen].tolist()) - {UNLABELLED}
        if split.control not in there or len(there) < 2:
            raise DataError(
                f"cannot count coverage: found {counted(len(there), 'condition')} among cells that were not learned "
                f"from; accepted are cells of {split.control!r} and of another, of which obs['split'] says 'test' as "
                "twin.pp.split does, or cells="
            )
        names = {modality: np.asarray(features, dtype=np.str_) for modality, features in fitted.names.items()}
        return coverage(
            fitted.model,
            Measured.of(values, dataclasses.replace(split, train=seen), names=names),
            control=fitted.control,
            spread=fitted.spread,
            calibration=fitted.calibration,
            scored=expressed_features(values, seen),
            level=level,
        )

    @property
    def model(self) -> ResponseModel:
        """The fitted model itself, on arrays."""
        return self._trained().model

    @property
    def calibration(self) -> Calibration:
        """What its standard deviations are multiplied with, and why."""
        return self._trained().calibration

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the model to a folder, whole or not at all (:mod:`waddington.twin.models.folder` says what is in it).

        Raises
        ------
        OutputError
            When something is there already, or the place cannot be written.
        ArgumentError
            Before training.
        """
        facts = {
            "setup": dataclasses.asdict(self.setup),
            "model": self.name,
            "use_rep": self.use_rep,
            "group_key": self.group_key,
        }
        parts = {"response": self._trained().state_dict()}
        return write_model(folder, parts, facts, owner="Response", overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], data: Cells | None = None) -> Self:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        folder
            The model's folder.
        data
            Cells that :meth:`train` and :meth:`coverage` use; their features are checked now.

        Raises
        ------
        DataError
            When the folder holds no such model, or features of `data` are missing.
        """
        parts, facts = read_model(folder, owner="Response")
        made = cls.__new__(cls)
        made.setup, made.name = facts["setup"], facts["model"]
        made.use_rep, made.group_key = facts["use_rep"], facts["group_key"]
        made._data, made._fitted = None, FittedResponse.from_state_dict(parts["response"])
        made.prior = made._fitted.model.prior if isinstance(made._fitted.model, PriorInformed) else None
        if data is not None:
            check_data(data)
            made._values(data)
            made._data = data
        return made

    def __repr__(self) -> str:
        name = self.name + (f", prior {self.prior.name}" if self.prior is not None else "")
        if self._fitted is None:
            return f"Response ({name}; not trained)"
        sizes = ", ".join(
            f"{modality}: {counted(len(found), 'feature')}" for modality, found in self._fitted.names.items()
        )
        known = counted(len(self._fitted.model.known.conditions), "measured condition")
        return f"Response ({name}; {sizes}; {known}; {self._fitted.calibration.why})"

    def _trained(self) -> FittedResponse:
        if self._fitted is None:
            raise ArgumentError("cannot use a Response before train(): accepted is one that was trained or loaded")
        return self._fitted

    def _given(self) -> Cells:
        if self._data is None:
            raise ArgumentError("cannot use this Response without cells: it was loaded without data; accepted: data=")
        return self._data

    def _inputs(self) -> ResponseInputs:
        return response_inputs(
            self._given(), MODELS[self.name], use_rep=self.use_rep, group_key=self.group_key, setup=self.setup
        )

    def _values(self, data: Cells) -> Values:
        """Give normalized profiles of any cells, of the features that were learned, in their order."""
        if not data.n_obs:
            raise DataError("cannot use 0 cells: accepted is at least one")
        names = self._trained().names
        if self.use_rep is not None and self.use_rep in names:  # effects are on the representation itself
            found = latent_of(data, self.use_rep)
            if found.shape[1] != len(names[self.use_rep]):
                raise DataError(
                    f"cannot use obsm[{self.use_rep!r}]: found {counted(found.shape[1], 'dimension')}; accepted are "
                    f"the {len(names[self.use_rep])} that were learned"
                )
            return {self.use_rep: found}
        return profiles(parts_of(data), names=names).inputs
