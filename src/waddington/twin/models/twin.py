"""The twin as one object: set up on an AnnData or MuData, trained, asked, saved and loaded."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import anndata as ad
import numpy as np
import numpy.typing as npt

from waddington._checks import check_choice, check_known
from waddington._text import counted
from waddington.errors import ArgumentError, DataError
from waddington.optim.registry import OptimizerLike
from waddington.twin._keys import recorded
from waddington.twin.data.setup import (
    Cells,
    Setup,
    check_data,
    check_kind,
    gather,
    read_labels,
    registered,
)
from waddington.twin.dynamics.latent import Dynamics
from waddington.twin.embed.config import EncoderConfig
from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.embed.history import History
from waddington.twin.embed.scaling import Standardization
from waddington.twin.models.folder import read_model, write_model
from waddington.twin.models.learning import learn
from waddington.twin.models.profiles import FittedResponse, predict_profiles
from waddington.twin.models.registration import CellModel
from waddington.twin.models.saved_agent import SavedAgent
from waddington.twin.preprocess import Preprocessor
from waddington.twin.preprocess.alignment import align_features
from waddington.twin.preprocess.cells import ModelCells, model_cells
from waddington.twin.preprocess.fitting import Options
from waddington.twin.respond.calibration import LEVEL
from waddington.twin.respond.registry import DEFAULT_MODEL, MODELS

__all__ = ["Twin"]

Float = npt.NDArray[np.float32]

_PREPROCESSING = frozenset(field.name for field in dataclasses.fields(Options))
_ENCODING = frozenset(field.name for field in dataclasses.fields(EncoderConfig)) - {"modalities", "likelihoods"}


class Twin(CellModel):
    """Preprocessor, encoder, response and dynamics of one data set, and a policy where one was trained.

    Parameters
    ----------
    data
        AnnData of one modality, or MuData, with raw counts (or values that were registered as they are); not changed.
        Columns and layers are those that :meth:`setup_anndata` or :meth:`setup_mudata` registered, or have their usual
        names. Models learn from the cells that a column ``split`` calls ``train``, or from all where there is none.
    root
        Where the order of cells begins: a cell, a value of the cell types, a marker gene, ``"time"`` or ``"control"``;
        times, where there are any, or a guess when not given.
    response
        The model of responses, a name of :data:`~waddington.twin.respond.MODELS`. One that learns in a representation,
        as ``"latent additive"``, learns in the joint embedding.
    **config
        Parameters of :class:`~waddington.twin.preprocess.Preprocessor` (``n_top_genes``, ``n_pcs``, …) and fields of
        :class:`~waddington.twin.embed.EncoderConfig` (``embedding_dim``, ``joint_dim``, ``seed``, …).

    Raises
    ------
    UnknownNameError
        For a parameter that neither has, or a model of responses that there is not.
    DataError
        When the data cannot be used; says what was found and what is accepted.

    Examples
    --------
    >>> Twin.setup_anndata(adata, perturbation_key="guide")  # doctest: +SKIP
    >>> model = Twin(adata)  # doctest: +SKIP
    >>> model.train(max_epochs=20)  # doctest: +SKIP
    >>> adata.obsm["X_twin"] = model.get_latent_representation()  # doctest: +SKIP
    >>> model.predict(["Cebpa:knockout+Gata1:knockout"])  # doctest: +SKIP
    """

    def __init__(self, data: Cells, *, root: str | None = None, response: str = DEFAULT_MODEL, **config: Any) -> None:
        for name in config:
            check_known("parameter of Twin", name, sorted(_PREPROCESSING | _ENCODING | {"root", "response"}))
        self._response_model = check_known("response model", response, MODELS)
        check_data(data)
        self.setup = registered(data)
        read_labels(data, self.setup)  # refused now rather than in training
        self._data: Cells | None = data
        self._root = root
        self._encoding = {name: value for name, value in config.items() if name in _ENCODING}
        self.preprocessor = Preprocessor(**{name: config[name] for name in config if name in _PREPROCESSING})
        """Learns in :meth:`train` how to normalize."""
        self.history: History | None = None
        """Losses of the last training."""
        self._encoder: TwinEncoder | None = None
        self._standardization: Standardization | None = None
        self._response: FittedResponse | None = None
        self.dynamics: Dynamics | None = None
        """How cells move in the latent space; None before training, and where no condition was measured."""
        self.agent: SavedAgent | None = None
        """A trained agent, where one was kept (:meth:`keep_agent`)."""

    @classmethod
    def assemble(
        cls,
        *,
        preprocessor: Preprocessor,
        encoder: TwinEncoder,
        standardization: Standardization,
        response: FittedResponse | None = None,
        dynamics: Dynamics | None = None,
        agent: SavedAgent | None = None,
        setup: Setup | None = None,
    ) -> Self:
        """Make a trained model from its parts, as a run does."""
        made = cls.__new__(cls)
        made.setup = Setup() if setup is None else setup
        made._data, made._root, made._encoding, made.history = None, None, {}, None
        made._response_model = DEFAULT_MODEL if response is None else response.model.name
        made.preprocessor, made._encoder, made._standardization = preprocessor, encoder, standardization
        made._response, made.dynamics, made.agent = response, dynamics, agent
        return made

    # ------------------------------------------------------------------------------------------------- learning

    def train(
        self,
        max_epochs: int = 50,
        *,
        optimizer: OptimizerLike | None = None,
        batch_size: int = 128,
        validation: float = 0.1,
        n_neighbors: int = 15,
        progress: Callable[[dict[str, Any]], None] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str = "cpu",
    ) -> History:
        """Learn everything from the training cells: preprocessing, embedding, response and dynamics.

        Parameters
        ----------
        max_epochs
            Passes of the encoder over the training cells.
        optimizer
            Of the encoder: a registered name, a class or a factory; AdamW by default.
        batch_size
            Cells in a step.
        validation
            Share of the training cells on which the loss is watched.
        n_neighbors
            Neighbours in the graph on which cells are ordered.
        progress
            Called after each epoch with epoch, epochs, train, validation and seconds.
        checkpoint
            File rewritten after each epoch, from which training goes on.
        device
            Of the encoder.

        Returns
        -------
        History
            Losses per epoch, also kept in ``history``.

        Raises
        ------
        ArgumentError
            When the model was loaded without data.
        DataError
            When the data cannot be used.
        """
        if self._data is None:
            raise ArgumentError("cannot train: this model was loaded without data; accepted: Twin(data)")
        found = learn(
            self._data, self.setup, self.preprocessor, fields=self._encoding, model=self._response_model,
            root=self._root, n_neighbors=n_neighbors, optimizer=optimizer, epochs=max_epochs, batch_size=batch_size,
            validation=validation, progress=progress, device=device, checkpoint=checkpoint,
        )  # fmt: skip
        self._encoder, self._standardization, self.history = found.encoder, found.standardization, found.history
        self._response, self.dynamics, self.agent = found.response, found.dynamics, None
        return found.history

    # ------------------------------------------------------------------------------------------------- asking

    @property
    def encoder(self) -> TwinEncoder:
        """The trained encoder.

        Raises
        ------
        ArgumentError
            Before training.
        """
        return self._trained()[0]

    def get_latent_representation(self, data: Cells | None = None, *, modality: str | None = None) -> Float:
        """Embed cells, seen in training or not.

        Parameters
        ----------
        data
            AnnData or MuData with the features of the training data, in any order and with any others beside them; the
            data that the model was made with by default. Not changed.
        modality
            Give the embedding of this modality alone; the joint one by default.

        Returns
        -------
        numpy.ndarray
            (cells, dimensions), float32. Joint: in standard deviations of the training cells.

        Raises
        ------
        DataError
            When features are missing; names the first.
        ArgumentError
            Before training, without data, or for an unknown modality.
        """
        encoder, standardization = self._trained()
        if modality is not None:
            check_choice("modality", modality, encoder.config.modalities)
        cells = self.prepared(self._given(data))
        found = encoder.embed(cells.inputs, cells.representations)
        return found[modality] if modality is not None else standardization.apply(found["joint"])

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
            Unperturbed cells that the effect is added to; the training controls by default.
        guess
            Answer from the response model's prior where a perturbation was never measured, if it has one, and flag the
            answer.
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
            When a part of a condition was never measured, by name; or no condition was.
        DataError
            When a bare name was measured in several modes, by name.
        """
        self._trained()
        if self._response is None:
            raise DataError(
                "cannot predict: the training cells bear neither perturbations nor times; accepted is a model of cells "
                "with either, see Twin.setup_anndata"
            )
        start = None
        if cells is not None:
            profiles = self.prepared(self._given(cells)).inputs
            start = {name: x.mean(axis=0, dtype=np.float64) for name, x in profiles.items()}
            if missing := [name for name in self._response.names if name not in start]:
                raise DataError(f"cannot predict from cells without {', '.join(missing)}: accepted are all modalities")
        return predict_profiles(self._response, perturbations, start=start, modality=modality, guess=guess, level=level)

    def keep_agent(self, agent: SavedAgent) -> None:
        """Keep a trained agent in ``agent``, so that it is saved and loaded with the model.

        Raises
        ------
        DataError
            When it acts in another space than this model's.
        """
        if self.dynamics is None or agent.task.dynamics.n_features != self.dynamics.n_features:
            raise DataError("cannot keep an agent of another space: accepted is one trained in this model's dynamics")
        self.dynamics, self.agent = agent.task.dynamics, agent

    # ------------------------------------------------------------------------------------------------- keeping it

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the model to a folder, whole or not at all (:mod:`waddington.twin.models.folder` says what is in it).

        Raises
        ------
        OutputError
            When something is there already, or the place cannot be written.
        ArgumentError
            Before training.
        """
        encoder, standardization = self._trained()
        parts = {
            "preprocessor": self.preprocessor.state_dict(),
            "encoder": {"encoder": encoder.state_dict(), "standardization": standardization.state_dict()},
            "response": None if self._response is None else self._response.state_dict(),
            "dynamics": None if self.dynamics is None else self.dynamics.state_dict(),
            "agent": None if self.agent is None else self.agent.state_dict(),
        }
        features = {name: len(fitted.names) for name, fitted in self.preprocessor.fitted.items()}
        return write_model(
            folder, parts, {"setup": dataclasses.asdict(self.setup), "features": features}, overwrite=overwrite
        )

    @classmethod
    def load(cls, folder: str | os.PathLike[str], data: Cells | None = None) -> Self:
        """Read what :meth:`save` or a run wrote.

        Parameters
        ----------
        folder
            The model's folder.
        data
            Cells that :meth:`get_latent_representation` embeds by default; their features are checked now.

        Raises
        ------
        DataError
            When the folder holds no model, or features of `data` are missing.
        """
        parts, facts = read_model(folder)
        dynamics = Dynamics.from_state_dict(parts["dynamics"]) if "dynamics" in parts else None
        made = cls.assemble(
            preprocessor=Preprocessor.from_state_dict(parts["preprocessor"]),
            encoder=TwinEncoder.from_state_dict(parts["encoder"]["encoder"]),
            standardization=Standardization.from_state_dict(parts["encoder"]["standardization"]),
            response=FittedResponse.from_state_dict(parts["response"]) if "response" in parts else None,
            dynamics=dynamics,
            agent=SavedAgent.from_state_dict(parts["agent"], dynamics) if "agent" in parts and dynamics else None,
            setup=facts["setup"],
        )
        if data is not None:
            made.prepared(made._given(data))
            made._data = data
        return made

    def __repr__(self) -> str:
        if self._encoder is None:
            return "Twin (not trained)"
        modalities = ", ".join(
            f"{name}: {counted(n, 'feature')}" for name, n in self._encoder.config.modalities.items()
        )
        known = 0 if self._response is None else len(self._response.model.known.conditions)
        return f"Twin ({modalities}; {known} measured conditions{'; with an agent' if self.agent else ''})"

    # ------------------------------------------------------------------------------------------------- inside

    def _trained(self) -> tuple[TwinEncoder, Standardization]:
        if self._encoder is None or self._standardization is None:
            raise ArgumentError("cannot use a Twin before train(): accepted is one that was trained or loaded")
        return self._encoder, self._standardization

    def _given(self, data: Cells | None) -> Cells:
        if data is not None:
            check_kind(data)
            return data
        if self._data is None:
            raise ArgumentError("cannot embed without cells: this model was loaded without data; accepted: data=")
        return self._data

    def prepared(self, data: Cells) -> ModelCells:
        """Bring any cells into the form that was learned: features by name, normalization of the training cells.

        Raises
        ------
        DataError
            When features are missing; names the first.
        """
        work = gather(data, registered(data) if "setup" in recorded(data) else self.setup, min_cells=1)
        known = {name: fitted.names for name, fitted in self.preprocessor.fitted.items()}
        work = align_features(work, known)
        factor = self.preprocessor.options.size_factor_key
        if factor is not None and factor in data.obs:
            work.obs[factor] = data.obs[factor].to_numpy()
        self.preprocessor.transform(work)
        return model_cells(work.mod)
