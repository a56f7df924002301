"""The encoder's training, step by step as :mod:`waddington.twin.embed.training` runs it, as a problem."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from waddington.twin.embed.batches import evaluate, refresh, start, weighted_losses
from waddington.twin.embed.config import EncoderConfig
from waddington.twin.embed.dataset import CellDataset, IntArray, shuffled_batches
from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.embed.module import Batch, TwinModule
from waddington.twin.embed.reference import Reference
from waddington.twin.embed.training import (
    REFRESH_STEPS,
    TrainingData,
    balanced_total,
    draw_batch,
    first_losses,
    modality_weights,
)
from waddington.twin.objectives.screen import simulated_screen

__all__ = ["encoder_problem"]

_Apart: TypeAlias = tuple[IntArray, Mapping[str, IntArray]]
"""Rows of cells, and their neighbours by modality and under ``"joint"``."""
_DATA_SEED = 0
"""Of the reference's search, and of the masks of cells that are not trained on: the same for every run."""


def encoder_problem(seed: int, *, cells: int, batch_size: int, **config: Any) -> dict[str, Any]:
    """Make the problem.

    Parameters
    ----------
    seed
        Of the initial weights.
    cells
        Simulated cells.
    batch_size
        Cells of a step, at most: an epoch is cut into nearly equal batches.
    **config
        Fields of :class:`~waddington.twin.embed.EncoderConfig`.

    Returns
    -------
    ``model``, ``batch``, ``loss``, ``evaluate``, ``parameters``, ``state``, ``load``.
    """
    encoder = TwinEncoder(simulated_screen(cells).sizes, seed=seed, **config)
    shared, apart = _neighbors(cells, encoder.config.n_neighbors)
    data = _with_own_states(shared)
    start(encoder.module, data.cells, data.train, at=encoder.config.start)
    epochs = _Epochs(encoder.module, data, encoder.config, batch_size)
    return {
        "model": encoder.module,
        "batch": epochs.draw,
        "loss": functools.partial(_loss, config=encoder.config),
        "evaluate": functools.partial(_evaluate, data=data, apart=apart, config=encoder.config),
        "parameters": lambda model: [one for one in model.parameters() if one.requires_grad],
        "state": epochs.state,
        "load": epochs.load,
    }


@dataclass(kw_only=True)
class _Step:
    """Some cells, what weighs their loss, and, once it was computed, its terms."""

    batch: Batch
    weights: dict[str, float]
    share: float
    terms: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class _Epochs:
    """Draws batches, epoch after epoch, and keeps what the encoder's training keeps between them."""

    module: TwinModule
    data: TrainingData
    config: EncoderConfig
    batch_size: int
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    order: list[IntArray] = field(default_factory=list)
    first: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    sums: dict[str, Tensor] = field(default_factory=dict)
    last: _Step | None = None

    def draw(self, generator: torch.Generator, step: int) -> _Step:
        """Give the batch of a step; at the start of an epoch the order, and the generator of all its draws."""
        self._add_last()
        at = step % -(-self.data.train.size // self.batch_size)
        if at % REFRESH_STEPS == 0:
            refresh(self.module, self.data.cells, self.data.reference_rows, self.data.reference)
        if at == 0 or not self.order:
            self._begin_epoch(generator, step)
        rows = self.order[at]
        device = next(self.module.parameters()).device
        batch = draw_batch(self.data, rows, self.config, device=device, rng=self.rng)
        self.last = _Step(batch=batch, weights=self.weights, share=rows.size / self.data.train.size)
        return self.last

    def _begin_epoch(self, generator: torch.Generator, step: int) -> None:
        if self.config.balanced:
            if step == 0:
                self.first = first_losses(self.module, self.data, self.config, seed=_DATA_SEED)
                self.weights = {}
            elif self.sums:
                means = {name: float(total) for name, total in self.sums.items()}
                self.weights = modality_weights(self.first, means)
        self.sums = {}
        self.rng = _epoch_generator(generator)
        self.order = list(shuffled_batches(self.data.train, self.batch_size, self.rng))

    def _add_last(self) -> None:
        """Add the terms of the last step to the epoch's means, by which modalities are balanced."""
        if self.last is not None:
            for name, term in self.last.terms.items():
                part = term * self.last.share
                self.sums[name] = self.sums[name] + part if name in self.sums else part
        self.last = None

    def state(self) -> dict[str, Any]:
        """Give all that the next batch depends on but the generator and the weights of the nets."""
        self._add_last()
        return {
            "rng": json.dumps(self.rng.bit_generator.state),
            "order": [torch.from_numpy(rows) for rows in self.order],
            "first": self.first,
            "weights": self.weights,
            "sums": self.sums,
            "reference": self.data.reference.states,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Bring back what `state` gave."""
        self.rng.bit_generator.state = json.loads(state["rng"])
        self.order = [rows.cpu().numpy() for rows in state["order"]]
        self.first, self.weights, self.sums = state["first"], state["weights"], state["sums"]
        self.data.reference.states = state["reference"]


def _epoch_generator(generator: torch.Generator) -> np.random.Generator:
    """Give the generator of an epoch's order, neighbours, masks and dropped modalities."""
    return np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))


def _loss(model: nn.Module, step: _Step, *, config: EncoderConfig) -> Tensor:
    """Give the total of the loss's terms, or the balanced one, and leave the terms in the step."""
    terms = weighted_losses(cast(TwinModule, model), step.batch, config)
    step.terms = step.terms or {name: term.detach() for name, term in terms.items()}
    return balanced_total(terms, step.weights)


def _evaluate(
    model: nn.Module, split: str, *, data: TrainingData, apart: Mapping[str, _Apart], config: EncoderConfig
) -> dict[str, float]:
    """Give the loss's terms on cells apart, with hidden states of the reference as the model computes them now."""
    module = cast(TwinModule, model)
    seen = _with_own_states(data)  # training goes on with the states that it had
    refresh(module, seen.cells, seen.reference_rows, seen.reference)
    rows, tables = apart[split]
    terms = evaluate(module, seen.cells, rows, tables, seen.reference, config, seed=_DATA_SEED)
    return {"loss": terms.pop("total"), **terms}


@functools.cache
def _neighbors(cells: int, n_neighbors: int) -> tuple[TrainingData, dict[str, _Apart]]:
    """Look all neighbours up, once for each process; give also rows and tables of validation and test cells."""
    screen = simulated_screen(cells)
    train, validation, test = (screen.rows[part] for part in ("train", "validation", "test"))
    reference = Reference(
        {name: x[train] for name, x in screen.representations.items()}, n_neighbors=n_neighbors, seed=_DATA_SEED
    )
    data = TrainingData.of(
        CellDataset(screen.inputs, screen.counts, n_features=screen.sizes),
        screen.representations,
        train,
        validation,
        reference=reference,
        reference_rows=train,
    )
    test_tables = reference.attach({name: x[test] for name, x in screen.representations.items()})
    return data, {"validation": (validation, data.validation_tables), "test": (test, test_tables)}


def _with_own_states(data: TrainingData) -> TrainingData:
    return dataclasses.replace(data, reference=copy.copy(data.reference))
