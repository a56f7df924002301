"""The encoder that a user holds: arrays in, trained embeddings out.

Training reconstructs masked counts, per modality and jointly, and makes the modalities of a cell agree. Every cell, in
training or after, is embedded in the same way: its neighbours are looked up among the *reference* (training cells; at
most `max_reference` of them), whose hidden states are kept. So the encoder is inductive, no cell outside the training
set ever shapes it, and a cell costs the same however many there are. During training the reference's hidden states are
refreshed once an epoch (and every 500 steps of a long one) instead of being recomputed for each batch; gradients reach
the projection through the cell's own path. This is the idea of historical embeddings.

References
----------
Fey et al., *GNNAutoScale: scalable and expressive graph neural networks via historical embeddings*, ICML 2021.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch

from waddington._checks import check_choice, check_count, check_in_range
from waddington._text import counted
from waddington.errors import ArgumentError, DataError, UnsupportedError
from waddington.optim import registry
from waddington.optim.registry import OptimizerLike
from waddington.twin._arrays import check_arrays
from waddington.twin._moved import renamed_arguments
from waddington.twin.data.device import check_device
from waddington.twin.embed.batches import encode, evaluate, refresh, start
from waddington.twin.embed.config import EncoderConfig
from waddington.twin.embed.dataset import CellDataset, IntArray, Matrix, hold_out
from waddington.twin.embed.decoders import Decoder
from waddington.twin.embed.history import History
from waddington.twin.embed.module import TwinModule
from waddington.twin.embed.reference import Reference, reference_rows, representations_of
from waddington.twin.embed.scaling import EmbeddingScale
from waddington.twin.embed.training import TrainingData, default_optimizer, save_atomically
from waddington.twin.embed.training import train as train_module

__all__ = ["TwinEncoder"]

FloatArray = npt.NDArray[np.float32]

_FORMAT = 2
_AS_IT_WAS = {"start": "random", "balanced": False}  # format 1 knew neither


class TwinEncoder:
    """Graph-attention encoder of one, two or three modalities, with a joint embedding.

    Parameters
    ----------
    modalities
        Number of features by modality.
    **fields
        Fields of :class:`~waddington.twin.embed.config.EncoderConfig`: sizes of the networks, weights of the loss, seed
        of the initial weights.
    """

    def __init__(self, modalities: Mapping[str, int], **fields: Any) -> None:
        check_arrays(modalities, "build an encoder from", instead="waddington.twin.Twin")
        self.config = EncoderConfig(modalities=dict(modalities), **fields)
        # The layers draw their initial weights from torch's global generator; the fork keeps that to ourselves.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            self.module = TwinModule(
                self.config.modalities,
                likelihoods=self.config.likelihoods or {},
                hidden=self.config.hidden,
                embedding_dim=self.config.embedding_dim,
                joint_dim=self.config.joint_dim,
                heads=self.config.heads,
            )
        self.fitted = False
        """Whether `fit` has trained the encoder."""
        self._reference: Reference | None = None
        self._scale = EmbeddingScale({}, {})

    @staticmethod
    def setup_anndata(*args: Any, **keys: Any) -> None:
        """Refuse, by name: an encoder takes arrays, and :class:`waddington.twin.Twin` is what is set up on cells."""
        raise UnsupportedError(
            "cannot set up a TwinEncoder: it takes arrays; accepted: waddington.twin.Twin.setup_anndata(adata)"
        )

    @renamed_arguments(spaces="representations")
    def fit(
        self,
        inputs: Mapping[str, Matrix],
        counts: Mapping[str, Matrix] | None = None,
        representations: Mapping[str, FloatArray] | None = None,
        *,
        train: npt.NDArray[np.bool_] | None = None,
        optimizer: OptimizerLike | None = None,
        epochs: int = 50,
        batch_size: int = 128,
        seed: int | None = None,
        validation: float = 0.1,
        schedule: Literal["cosine", "constant"] = "cosine",
        progress: Callable[[dict[str, Any]], None] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str = "cpu",
    ) -> History:
        """Train on some of the cells.

        The order of the data, the masks and the sampled neighbours follow from `seed` alone, the initial weights from
        the encoder's own seed: two optimizers see exactly the same batches. With ``epochs=0`` nothing is trained, but
        the cells become the reference: components, or with ``start="random"`` the untrained encoder to compare with.

        Parameters
        ----------
        inputs
            Normalized profiles by modality, dense or CSR, (cells, features). A row of NaN: the cell lacks that
            modality.
        counts
            Raw counts of the same features, or the values as given under the Gaussian likelihood, (cells, features).
        representations
            By modality, that in which neighbours are sought, (cells, dimensions): principal components, LSI, CLR. The
            inputs themselves by default.
        train
            Which cells may be used, (cells,); all by default. The others are not looked at.
        optimizer
            A name, a class or a factory of the parameters, as everywhere (:mod:`waddington.optim.registry`);
            ``AdamW(lr=3e-3)`` by default.
        epochs
            Passes over the training cells.
        batch_size
            Cells per step.
        seed
            Seed of order, masks and sampling; the encoder's own by default.
        validation
            Share of the training cells kept from the gradient and from the reference, to watch the loss on.
        schedule
            ``"cosine"``: each group's rate rises over the first 5% of the steps and falls to 2% of itself along a
            cosine; ``"constant"``.
        progress
            Called after each epoch with epoch, epochs, train, validation (loss terms) and seconds.
        checkpoint
            File rewritten after each epoch. If it exists, training goes on from it, to the bit.
        device
            Where to train, and to embed afterwards.

        Returns
        -------
        Losses per epoch. Terms: ``"own/<modality>"`` and ``"joint/<modality>"`` in nats per entry, ``"agreement"``,
        ``"total"``.

        Raises
        ------
        ArgumentError
            For a number outside its range, an unknown schedule, or what is no optimizer.
        DataError
            When tables do not fit each other or the encoder, or fewer than two cells are left to train on.
        OutputError
            When the checkpoint was written for other data or settings.
        """
        check_arrays(inputs, "train on", instead="waddington.twin.tl.embed")
        if counts is None:
            raise ArgumentError("cannot train without counts: accepted are raw counts, or values as given, by modality")
        check_count("epochs", epochs, 0)
        check_count("batch_size", batch_size, 2)
        check_device(device)
        check_in_range("validation", validation, 0.0, 0.9)
        check_choice("schedule", schedule, ("cosine", "constant"))
        if optimizer is not None:
            registry.get(optimizer)  # refused before long work
        cells = CellDataset(inputs, counts, n_features=self.config.modalities)
        sought = representations_of(cells, inputs, representations)
        seed = self.config.seed if seed is None else seed
        if train is not None and np.shape(train) != (cells.n_cells,):
            raise DataError(f"cannot use train: found shape {np.shape(train)}; accepted is ({cells.n_cells},)")
        usable = np.arange(cells.n_cells) if train is None else np.flatnonzero(train)
        train_rows, validation_rows = hold_out(usable, validation, seed=seed)
        if train_rows.size < 2:
            raise DataError(f"cannot train: {counted(train_rows.size, 'cell')} besides validation; accepted: 2 or more")
        self.module.to(device)
        reference_rows = self._prepare(cells, sought, train_rows, seed=seed)
        history = History()
        if epochs > 0:
            data = TrainingData.of(
                cells,
                sought,
                train_rows,
                validation_rows,
                reference=self._known_reference(),
                reference_rows=reference_rows,
            )
            history = train_module(
                self.module,
                data,
                self.config,
                optimizer=default_optimizer if optimizer is None else optimizer,
                epochs=epochs,
                batch_size=batch_size,
                schedule=schedule,
                seed=seed,
                checkpoint=None if checkpoint is None else Path(checkpoint),
                progress=progress,
                settings={
                    "config": self.config.state_dict(),
                    "epochs": epochs,
                    "batch_size": batch_size,
                    "seed": seed,
                    "validation": validation,
                    "schedule": schedule,
                    "cells": int(train_rows.size),
                    "data": cells.fingerprint(),
                },
            )
        self._finish(cells, sought, reference_rows)
        self.fitted = epochs > 0
        return history

    @renamed_arguments(spaces="representations")
    def embed(
        self, inputs: Mapping[str, Matrix], representations: Mapping[str, FloatArray] | None = None
    ) -> dict[str, FloatArray]:
        """Embed any cells, seen in training or not.

        Embeddings are centred and scaled to unit mean square over the reference, one factor for all dimensions. An
        encoder that was never fitted takes the given cells as its reference.

        Parameters
        ----------
        inputs
            Normalized profiles, as in `fit`; modalities may be left out.
        representations
            For the search of neighbours, as in `fit`.

        Returns
        -------
        By modality (cells, embedding_dim), NaN rows where a cell lacks it; under ``"joint"`` (cells, joint_dim).

        Raises
        ------
        DataError
            When tables do not fit the encoder.
        """
        cells = CellDataset(inputs, None, n_features=self.config.modalities)
        sought = representations_of(cells, inputs, representations)
        if self._reference is None:
            untrained = copy.deepcopy(self)
            everyone = untrained._prepare(cells, sought, np.arange(cells.n_cells), seed=self.config.seed)
            untrained._finish(cells, sought, everyone)
            return untrained.embed(inputs, representations)
        tables = self._reference.attach(sought)
        return self._scale.apply(encode(self.module, cells, tables, self._reference))

    def decode(self, embedding: FloatArray, modality: str, *, source: str = "joint") -> FloatArray:
        """Say what an embedding means in features.

        Parameters
        ----------
        embedding
            As `embed` returns it, (cells, dimensions).
        modality
            What to decode to.
        source
            ``"joint"`` for joint embeddings, ``"own"`` for those of the modality itself.

        Returns
        -------
        Expected share of each feature in the cell's counts, (cells, features); rows sum to 1. Under the Gaussian
        likelihood, expected values.

        Raises
        ------
        ArgumentError
            For an unknown modality or source.
        DataError
            When the encoder was never given cells, or the embedding has another width.
        """
        check_choice("modality", modality, self.config.modalities)
        check_choice("source", source, ("joint", "own"))
        key = "joint" if source == "joint" else modality
        if key not in self._scale.center:
            raise DataError("cannot decode: found an encoder without cells; accepted is one after fit")
        width = self._scale.center[key].size
        if embedding.ndim != 2 or embedding.shape[1] != width:
            raise DataError(f"cannot decode shape {embedding.shape}: accepted is (cells, {width})")
        decoder = cast(Decoder, self.module.decoders[modality])
        with torch.no_grad():
            expected = decoder.expect(torch.from_numpy(self._scale.undo(embedding, key)).to(self._device), source)
        return np.asarray(expected.cpu().numpy(), dtype=np.float32)

    @renamed_arguments(spaces="representations")
    def reconstruction(
        self,
        inputs: Mapping[str, Matrix],
        counts: Mapping[str, Matrix],
        representations: Mapping[str, FloatArray] | None = None,
        *,
        seed: int = 0,
    ) -> dict[str, float]:
        """Measure how well hidden counts of any cells are reconstructed.

        Parameters
        ----------
        inputs, counts, representations
            As in `fit`.
        seed
            Seed of the masks.

        Returns
        -------
        Loss terms as in `fit`, over hidden entries only.

        Raises
        ------
        DataError
            When the encoder was never given cells, or tables do not fit it.
        """
        cells = CellDataset(inputs, counts, n_features=self.config.modalities)
        reference = self._known_reference()
        tables = reference.attach(representations_of(cells, inputs, representations))
        hidden_only = replace(self.config, seen_weight=0.0)
        return evaluate(self.module, cells, np.arange(cells.n_cells), tables, reference, hidden_only, seed=seed)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to embed new cells: plain tensors, numbers, strings and mappings."""
        return {
            "format": _FORMAT,
            "config": self.config.state_dict(),
            "module": self.module.state_dict(),
            "fitted": self.fitted,
            "reference": None if self._reference is None else self._reference.state_dict(),
            **self._scale.state_dict(),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> TwinEncoder:
        """Inverse of `state_dict`; the encoder is on the CPU.

        Raises
        ------
        DataError
            When the state has another format.
        """
        if state.get("format") not in (1, _FORMAT):
            raise DataError(f"cannot load an encoder of format {state.get('format')!r}: accepted is {_FORMAT}")
        encoder = cls(**(_AS_IT_WAS | state["config"]) if state["format"] == 1 else state["config"])
        encoder.module.load_state_dict(state["module"], strict=state["format"] != 1)  # format 1 had no axes
        encoder.fitted = bool(state["fitted"])
        encoder._scale = EmbeddingScale.from_state_dict(state)
        if state["reference"] is not None:
            encoder._reference = Reference.from_state_dict(state["reference"], n_neighbors=encoder.config.n_neighbors)
        return encoder

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the encoder to a file that ``torch.load(weights_only=True)`` reads; all of it or nothing."""
        save_atomically(self.state_dict(), Path(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TwinEncoder:
        """Read what `save` wrote."""
        return cls.from_state_dict(torch.load(path, weights_only=True, map_location="cpu"))

    @property
    def _device(self) -> torch.device:
        return next(self.module.parameters()).device

    def _known_reference(self) -> Reference:
        if self._reference is None:
            raise DataError("cannot look up neighbours: found an encoder without cells; accepted is one after fit")
        return self._reference

    def _prepare(self, cells: CellDataset, sought: Mapping[str, FloatArray], rows: IntArray, *, seed: int) -> IntArray:
        """Take what the data fix before training: reference, standardization, the decoders' baseline and dispersion."""
        absent = [name for name in self.config.modalities if name not in cells.inputs]
        if absent:
            raise DataError(f"cannot fit without {absent}: accepted are all of {list(self.config.modalities)}")
        kept = reference_rows(rows, self.config.max_reference, seed=seed)
        self._reference = Reference(
            {name: x[kept] for name, x in sought.items()}, n_neighbors=self.config.n_neighbors, seed=seed
        )
        start(self.module, cells, rows, at=self.config.start)
        return kept

    def _finish(self, cells: CellDataset, sought: Mapping[str, FloatArray], rows: IntArray) -> None:
        """Fix the hidden states of the reference, and the centre and scale of the embeddings over it."""
        reference = self._known_reference()
        refresh(self.module, cells, rows, reference)
        kept = cells.subset(rows)
        tables = reference.attach({name: x[rows] for name, x in sought.items()})
        self._scale = EmbeddingScale.of(encode(self.module, kept, tables, reference), kept.present)
