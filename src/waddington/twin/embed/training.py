"""The training loop of the encoder: schedule, epochs, and a checkpoint from which it goes on to the bit."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from waddington._files import replacing
from waddington.errors import OutputError
from waddington.optim import registry
from waddington.optim.registry import OptimizerLike
from waddington.twin.embed.batches import evaluate, make_batch, refresh, weighted_losses
from waddington.twin.embed.config import EncoderConfig
from waddington.twin.embed.dataset import CellDataset, IntArray, sample_neighbors, shuffled_batches
from waddington.twin.embed.history import History
from waddington.twin.embed.module import Batch, TwinModule
from waddington.twin.embed.reference import Reference

__all__ = [
    "REFRESH_STEPS",
    "TrainingData",
    "balanced_total",
    "default_optimizer",
    "draw_batch",
    "first_losses",
    "modality_weights",
    "save_atomically",
    "schedule_factor",
    "train",
]

REFRESH_STEPS = 500
"""Steps of an epoch after which the reference's hidden states are computed anew, beside its start."""
_WARM_UP = 0.05
_FLOOR = 0.02
_MOST_WEIGHT = 20.0
_FIRST_CELLS = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingData:
    """Cells by the part they play."""

    cells: CellDataset
    """All cells."""
    train: IntArray
    """Rows that are trained on, ascending."""
    validation: IntArray
    """Rows of the validation cells."""
    reference_rows: IntArray
    """Rows of the reference cells, in the order of the reference."""
    reference: Reference
    """The reference."""
    train_tables: Mapping[str, IntArray]
    """Neighbours of the training cells, (cells, neighbours) by modality and under ``"joint"``."""
    validation_tables: Mapping[str, IntArray]
    """Neighbours of the validation cells, likewise."""

    @classmethod
    def of(
        cls,
        cells: CellDataset,
        representations: Mapping[str, npt.NDArray[np.float32]],
        train: IntArray,
        validation: IntArray,
        *,
        reference: Reference,
        reference_rows: IntArray,
    ) -> TrainingData:
        """Look the neighbours of training and validation cells up; `representations` are those of all cells."""
        return cls(
            cells=cells,
            train=train,
            validation=validation,
            reference_rows=reference_rows,
            reference=reference,
            train_tables=reference.attach({name: x[train] for name, x in representations.items()}),
            validation_tables=reference.attach({name: x[validation] for name, x in representations.items()}),
        )


def default_optimizer(parameters: Iterable[nn.Parameter]) -> Optimizer:
    """AdamW at 3e-3, decay 1e-4."""
    return AdamW(parameters, lr=3e-3, weight_decay=1e-4, foreach=True)


def schedule_factor(schedule: str, step: int, n_steps: int) -> float:
    """Give the factor on the learning rate at a step.

    Parameters
    ----------
    schedule
        ``"cosine"``: up over the first 5% of the steps, then down to 2% along a cosine. ``"constant"``: 1.
    step
        Step, from 0.
    n_steps
        Steps in all.

    Returns
    -------
    A factor in (0, 1].
    """
    if schedule == "constant":
        return 1.0
    warm = max(1, round(_WARM_UP * n_steps))
    if step < warm:
        return (step + 1) / warm
    done = min(1.0, (step - warm) / max(1, n_steps - warm))
    return _FLOOR + (1.0 - _FLOOR) * 0.5 * (1.0 + math.cos(math.pi * done))


def train(
    module: TwinModule,
    data: TrainingData,
    config: EncoderConfig,
    *,
    optimizer: OptimizerLike,
    epochs: int,
    batch_size: int,
    schedule: str,
    seed: int,
    checkpoint: Path | None,
    progress: Callable[[dict[str, Any]], None] | None,
    settings: Mapping[str, Any],
) -> History:
    """Minimize the loss over the training cells.

    Every epoch draws from its own generator, made from the seed and the epoch, so that an epoch does not depend on how
    the ones before it were run: in one go or after an interruption.

    Parameters
    ----------
    module
        The networks, changed in place.
    data
        The cells.
    config
        Weights of the loss, fan-out.
    optimizer
        Built from the parameters by :func:`waddington.optim.registry.build`: a name, a class or a factory.
    epochs, batch_size, schedule, seed, checkpoint, progress
        As in :meth:`~waddington.twin.embed.encoder.TwinEncoder.fit`.
    settings
        What a checkpoint must have been written for, plain values.

    Returns
    -------
    Losses per epoch.

    Raises
    ------
    OutputError
        When the checkpoint was written for other data or settings, or cannot be read.
    """
    n_batches = -(-data.train.size // batch_size)
    stepper = registry.build(optimizer, [parameter for parameter in module.parameters() if parameter.requires_grad])
    rate = LambdaLR(stepper, lambda step: schedule_factor(schedule, step, epochs * n_batches))
    written_for = {**settings, "optimizer": _described(stepper)}
    history = History()
    refresh(module, data.cells, data.reference_rows, data.reference)
    first = first_losses(module, data, config, seed=seed) if config.balanced and epochs else {}
    if checkpoint is not None and checkpoint.exists():
        history = _resume(checkpoint, written_for, module, stepper, rate)
        refresh(module, data.cells, data.reference_rows, data.reference)
        if progress is not None and len(history):  # who keeps something of an epoch may have been killed before that
            progress(_news(history, epochs))
    for epoch in range(len(history), epochs):
        started = time.perf_counter()
        losses = _epoch(
            module,
            data,
            config,
            stepper,
            rate,
            weights=modality_weights(first, history.train[-1]) if first and len(history) else {},
            rng=np.random.default_rng((seed, 2, epoch)),
            batch_size=batch_size,
        )
        refresh(module, data.cells, data.reference_rows, data.reference)
        seen = evaluate(module, data.cells, data.validation, data.validation_tables, data.reference, config, seed=seed)
        history.append(train=losses, validation=seen, seconds=time.perf_counter() - started)
        if checkpoint is not None:
            state = {"module": module.state_dict(), "optimizer": stepper.state_dict(), "rate": rate.state_dict()}
            save_atomically({**state, "settings": written_for, "history": history.state_dict()}, checkpoint)
        if progress is not None:
            progress(_news(history, epochs))
    return history


def _news(history: History, epochs: int) -> dict[str, Any]:
    """Give what is told of the last epoch."""
    report = {"epoch": len(history), "epochs": epochs, "train": history.train[-1], "validation": history.validation[-1]}
    return {**report, "seconds": history.seconds[-1]}


def modality_weights(first: Mapping[str, float], last: Mapping[str, float]) -> dict[str, float]:
    """Weigh modalities by the inverse of what their joint reconstruction has gained since the start.

    Losses are nats per entry, and an entry of a rich modality holds more of them: unweighted, the joint embedding
    serves the richest and forgets the others (docs/embeddings.md). The gradient of the weighted sum is that of the sum
    of the logarithms of the gains.

    Parameters
    ----------
    first, last
        Terms of the loss before training and in the last epoch.

    Returns
    -------
    dict[str, float]
        By modality, of mean 1; none weighs more than twenty times another.
    """
    gains = {name.split("/")[1]: first[name] - last[name] for name in last if name.startswith("joint/")}
    most = max(gains.values())
    if most <= 0.0 or not all(map(math.isfinite, gains.values())):
        return dict.fromkeys(gains, 1.0)
    inverse = {name: 1.0 / max(gain, most / _MOST_WEIGHT) for name, gain in gains.items()}
    return {name: value * len(inverse) / sum(inverse.values()) for name, value in inverse.items()}


def first_losses(module: TwinModule, data: TrainingData, config: EncoderConfig, *, seed: int) -> dict[str, float]:
    """Give the terms before training, of training cells drawn at random: files stand in order of batch or type."""
    some = np.sort(np.random.default_rng((seed, 3)).permutation(len(data.train))[:_FIRST_CELLS])
    tables = {name: table[some] for name, table in data.train_tables.items()}
    return evaluate(module, data.cells, data.train[some], tables, data.reference, config, seed=seed)


def balanced_total(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Give the total with every modality's terms times its weight."""
    extra = [
        (weights[name.split("/")[1]] - 1.0) * term
        for name, term in terms.items()
        if "/" in name and name.split("/")[1] in weights
    ]
    return terms["total"] + torch.stack(extra).sum() if extra else terms["total"]


def draw_batch(
    data: TrainingData, rows: IntArray, config: EncoderConfig, *, device: torch.device, rng: np.random.Generator
) -> Batch:
    """Give some of the training cells with neighbours, masks and dropped modalities drawn for them."""
    place = np.searchsorted(data.train, rows)
    near = {name: sample_neighbors(table[place], config.fanout, rng) for name, table in data.train_tables.items()}
    return make_batch(
        data.cells,
        rows,
        near,
        data.reference,
        device=device,
        mask_fraction=config.mask_fraction,
        modality_dropout=config.modality_dropout,
        rng=rng,
    )


def save_atomically(state: Mapping[str, Any], path: Path) -> None:
    """Write a file that ``torch.load(weights_only=True)`` reads, beside its place and then into it.

    Parameters
    ----------
    state
        Tensors, numbers, strings, lists and mappings.
    path
        Place of the file; its folder must exist.

    Raises
    ------
    OutputError
        When the place cannot be written.
    """
    with replacing(path) as beside:
        torch.save(dict(state), beside)


def _epoch(
    module: TwinModule,
    data: TrainingData,
    config: EncoderConfig,
    stepper: Optimizer,
    rate: LambdaLR,
    *,
    weights: Mapping[str, float],
    rng: np.random.Generator,
    batch_size: int,
) -> dict[str, float]:
    """One pass over the training cells; mean of each loss term over them."""
    device = next(module.parameters()).device
    sums: dict[str, Tensor] = {}
    for step, rows in enumerate(shuffled_batches(data.train, batch_size, rng)):
        if step > 0 and step % REFRESH_STEPS == 0:
            refresh(module, data.cells, data.reference_rows, data.reference)
        batch = draw_batch(data, rows, config, device=device, rng=rng)
        terms = weighted_losses(module, batch, config)
        stepper.zero_grad()
        torch.autograd.backward(balanced_total(terms, weights))
        stepper.step()
        rate.step()
        # Kept as tensors until the epoch ends: reading each one would make a GPU wait in every step.
        for name, term in terms.items():
            part = term.detach() * (rows.size / data.train.size)
            sums[name] = sums[name] + part if name in sums else part
    return {name: float(value) for name, value in sums.items()}


def _described(optimizer: Optimizer) -> str:
    """Name of an optimizer and its settings at the start, as a checkpoint remembers them."""
    plain = {k: v for k, v in sorted(optimizer.defaults.items()) if isinstance(v, (bool, int, float, str, tuple))}
    return f"{type(optimizer).__name__} {plain}"


def _resume(
    path: Path, written_for: Mapping[str, Any], module: TwinModule, optimizer: Optimizer, rate: LambdaLR
) -> History:
    """Load a checkpoint into the networks, the optimizer and the schedule, if it is one of this training."""
    device = next(module.parameters()).device
    try:
        state = torch.load(path, weights_only=True, map_location=device)
        found = dict(state["settings"])
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise OutputError(
            f"cannot resume from {path}: it is no checkpoint of an encoder ({error}); remove it to start anew"
        ) from error
    differing = [name for name, value in written_for.items() if found.get(name) != value]
    if differing:
        raise OutputError(
            f"cannot resume from {path}: it was written with another {', '.join(differing)}; remove it to start anew"
        )
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    rate.load_state_dict(state["rate"])
    return History.from_state_dict(state["history"])
