"""Feeding cells to the networks: batches with their neighbours, losses, hidden states of the reference, embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from waddington.twin.embed.config import EncoderConfig
from waddington.twin.embed.dataset import CellDataset, IntArray, drop_modalities, moments, random_masks
from waddington.twin.embed.decoders import Decoder
from waddington.twin.embed.layers import ModalityEncoder, joint_context
from waddington.twin.embed.module import Batch, TwinModule
from waddington.twin.embed.reference import Reference
from waddington.twin.preprocess.components import leading_axes

__all__ = ["encode", "evaluate", "make_batch", "refresh", "start", "weighted_losses"]

_BLOCK = 1024  # cells handled at once where no gradient is needed


def make_batch(
    cells: CellDataset,
    rows: IntArray,
    near: Mapping[str, IntArray],
    reference: Reference,
    *,
    device: torch.device,
    mask_fraction: float = 0.0,
    modality_dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Batch:
    """Bring some cells and the hidden states of their neighbours together.

    Parameters
    ----------
    cells
        All cells.
    rows
        Which of them, (batch,).
    near
        Their neighbours in the reference, (batch, fan-out) by modality and under ``"joint"``.
    reference
        The reference.
    device
        Where the networks are.
    mask_fraction, modality_dropout
        As in `EncoderConfig`; used only with `rng`.
    rng
        Source of masks and dropped modalities; None hides nothing.

    Returns
    -------
    The batch, with counts where the table has them.
    """
    profiles, present = cells.profiles(rows), cells.measured(rows)
    hide = None
    usable = present
    if rng is not None:
        shapes = {name: (rows.size, profile.shape[1]) for name, profile in profiles.items()}
        hide = random_masks(shapes, mask_fraction, rng)
        usable = drop_modalities(present, modality_dropout, rng)
    neighbors, edges = reference.gather(near)
    counts = cells.observed(rows)
    return Batch(
        profiles=_moved(profiles, device),
        hide=None if hide is None else _moved(hide, device),
        present=_moved(present, device),
        usable=_moved(usable, device),
        neighbors=neighbors,
        edges=edges,
        counts=_moved(counts, device) if counts else None,
    )


def weighted_losses(module: TwinModule, batch: Batch, config: EncoderConfig) -> dict[str, Tensor]:
    """All terms of the loss and, under ``"total"``, their sum with the configured weight of the agreement."""
    terms = module.losses(batch, seen_weight=config.seen_weight, temperature=config.temperature)
    weights = {name: config.agreement if name == "agreement" else 1.0 for name in terms}
    terms["total"] = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    return terms


@torch.no_grad()
def start(module: TwinModule, cells: CellDataset, rows: IntArray, *, at: str = "random") -> None:
    """Set what the data fix before training: each feature's location and scale, baseline and dispersion.

    Parameters
    ----------
    module
        The networks, changed in place.
    cells
        All cells.
    rows
        Which of them may be looked at.
    at
        ``"components"``: embeddings begin at leading components too; ``"random"``: at the weights as they are.
    """
    for name, matrix in cells.inputs.items():
        here = rows[cells.present[name][rows]]
        location, scale = moments(matrix, here)
        encoder = cast(ModalityEncoder, module.encoders[name])
        encoder.location.copy_(torch.from_numpy(location))
        # A feature that never varies carries nothing; dividing by a tiny deviation would only magnify rounding.
        encoder.scale.copy_(torch.from_numpy(np.where(scale > 1e-6, scale, 1.0)))
        if cells.counts is not None:
            mean, deviation = (torch.from_numpy(moment) for moment in moments(cells.counts[name], here))
            cast(Decoder, module.decoders[name]).start(mean, deviation**2)
    if at == "components":
        _start_at_components(module, cells, rows)


@torch.no_grad()
def _start_at_components(module: TwinModule, cells: CellDataset, rows: IntArray) -> None:
    """Let embeddings begin at the leading components of each modality, and of all side by side.

    Parameters
    ----------
    module
        The networks, changed in place.
    cells
        All cells.
    rows
        Which of them may be looked at.
    """
    own: dict[str, npt.NDArray[np.float64]] = {}
    for name, matrix in cells.inputs.items():
        encoder = cast(ModalityEncoder, module.encoders[name])
        here = rows[cells.present[name][rows]]
        width = encoder.axes.shape[1]
        axes = _padded(leading_axes(matrix[here], width, centred=True), width)
        place = np.zeros((rows.size, width))
        place[cells.present[name][rows]] = matrix[here] @ axes - encoder.location.cpu().numpy() @ axes
        spread = max(float(np.sqrt(np.mean(place**2))), 1e-6)
        encoder.start(torch.from_numpy(axes / spread) * encoder.scale[:, None].cpu())
        own[name] = place / spread
    width = next(iter(module.joint.axes.values())).shape[1]
    together = np.concatenate(list(own.values()), axis=1)
    axes = _padded(leading_axes(together.astype(np.float32), width, centred=True), width)
    axes /= max(float(np.sqrt(np.mean((together @ axes) ** 2))), 1e-6)
    parts = np.split(axes, np.cumsum([x.shape[1] for x in own.values()])[:-1])
    module.joint.start({name: torch.from_numpy(part) for name, part in zip(own, parts, strict=True)})


def _padded(axes: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """Add empty axes where there are fewer components than dimensions."""
    return np.pad(axes, ((0, 0), (0, width - axes.shape[1])))


@torch.no_grad()
def evaluate(
    module: TwinModule,
    cells: CellDataset,
    rows: IntArray,
    tables: Mapping[str, IntArray],
    reference: Reference,
    config: EncoderConfig,
    *,
    seed: int,
) -> dict[str, float]:
    """Loss terms on cells that are not trained on, all modalities at hand; the masks depend on `seed` alone.

    Parameters
    ----------
    module
        The networks.
    cells
        All cells.
    rows
        Which of them, (n,).
    tables
        Their neighbours, (n, neighbours) by modality and under ``"joint"``.
    reference
        The reference.
    config
        Weights of the loss.
    seed
        Seed of the masks.

    Returns
    -------
    Mean of each term over the cells; empty without cells.
    """
    rng = np.random.default_rng((seed, 3))
    device = next(module.parameters()).device
    sums: dict[str, Tensor] = {}
    for start in range(0, rows.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        near = {name: table[part] for name, table in tables.items()}
        batch = make_batch(
            cells, rows[part], near, reference, device=device, mask_fraction=config.mask_fraction, rng=rng
        )
        share = rows[part].size / rows.size
        for name, term in weighted_losses(module, batch, config).items():
            sums[name] = sums[name] + share * term if name in sums else share * term
    return {name: float(value) for name, value in sums.items()}


@torch.no_grad()
def refresh(module: TwinModule, cells: CellDataset, rows: IntArray, reference: Reference) -> None:
    """Compute the hidden states of the reference cells with the present weights.

    Parameters
    ----------
    module
        The networks.
    cells
        All cells.
    rows
        Which of them are the reference, in its order.
    reference
        Its ``states`` are replaced.
    """
    device = next(module.parameters()).device
    parts: dict[str, list[Tensor]] = {}
    for start in range(0, rows.size, _BLOCK):
        some = rows[start : start + _BLOCK]
        states = {}
        for name, profile in cells.profiles(some).items():
            encoder = cast(ModalityEncoder, module.encoders[name])
            states[name] = encoder.project(encoder.standardize(profile.to(device)))
        states["joint"] = joint_context(states, _moved(cells.measured(some), device))
        for name, state in states.items():
            parts.setdefault(name, []).append(state)
    reference.states = {name: torch.cat(states) for name, states in parts.items()}


@torch.no_grad()
def encode(
    module: TwinModule, cells: CellDataset, tables: Mapping[str, IntArray], reference: Reference
) -> dict[str, npt.NDArray[np.float32]]:
    """Embed all cells of a table, with all of their neighbours and nothing hidden.

    Parameters
    ----------
    module
        The networks.
    cells
        The cells.
    tables
        Their neighbours, (cells, neighbours) by modality and under ``"joint"``.
    reference
        The reference.

    Returns
    -------
    Embeddings by modality and under ``"joint"``; NaN rows where a cell lacks the modality (``"joint"``: every
    modality).
    """
    device = next(module.parameters()).device
    parts: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in tables}
    for start in range(0, cells.n_cells, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, cells.n_cells))
        near = {name: table[rows] for name, table in tables.items()}
        embeddings = module(make_batch(cells, rows, near, reference, device=device))
        here = {name: present[rows] for name, present in cells.present.items()}
        here["joint"] = np.any(list(here.values()), axis=0)
        for name, embedding in embeddings.items():
            parts[name].append(np.where(here[name][:, None], embedding.cpu().numpy(), np.float32(np.nan)))
    return {name: np.concatenate(blocks) for name, blocks in parts.items()}


def _moved(tensors: Mapping[str, Any], device: torch.device) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in tensors.items()}
