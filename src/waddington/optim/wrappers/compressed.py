"""Quantized or sparsified updates (:mod:`waddington.optim.compression`) of any optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from waddington.optim.compression import (
    Method,
    Norm,
    check_compression,
    kept_count,
    quantize,
    quantized_bits,
    top_k_bits,
)
from waddington.optim.engine.noise import coordinates, frame_of, make_salt, uniform, uniform_at
from waddington.optim.engine.params import ParamSlot, is_sharded, moves_at, stack, sum_over_shards
from waddington.optim.engine.settings import NonfiniteUnmasked, settings_of
from waddington.optim.kernels.foreach import Columns
from waddington.optim.rule import Settings, Tensors
from waddington.optim.wrappers.columns import column_of
from waddington.optim.wrappers.update import Observed, Pending, UpdateWrapper

__all__ = ["Compressed"]

_QUANTIZATION = 2  # the stream of random numbers that quantization draws from
_INTEGERS: dict[torch.dtype, tuple[torch.dtype, int]] = {
    torch.float32: (torch.int32, 31),
    torch.float64: (torch.int64, 63),
}


class Compressed(UpdateWrapper):
    """Compress the updates of any optimizer before they are applied.

    Decay that the optimizer applies to the parameters themselves is not compressed: every worker can do that alone.

    Parameters
    ----------
    optimizer
        What is wrapped; its groups may override any setting.
    method
        ``"top_k"`` or ``"quantize"``.
    fraction
        Share of a tensor's coordinates that top-k sends, in (0, 1]; at least one coordinate is.
    levels
        Levels s of the quantization, from 1 to 32768; 127 fit a byte with their sign.
    norm
        ``"l2"`` as QSGD, or ``"max"``, which loses less and is QSGD's own practical choice.
    error_feedback
        Add what was lost to the next update. Costs a buffer of the parameter's size; without it top-k is biased.
    nonfinite
        See :class:`~.state.WrapperState`.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    UnsupportedError
        The optimizer compresses already.

    Notes
    -----
    ``diagnostics()`` has ``bits_per_coordinate`` always, and after ``record()`` ``compression_error``, ‖lost‖²/‖given‖²
    of the last step. The random numbers of the quantization depend on coordinate and
    step alone: replicas stay equal, and shards and restarts change nothing.
    """

    _own = ("method", "fraction", "levels", "norm", "error_feedback")
    _sets_decay_aside = True

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        method: Method = "top_k",
        fraction: float = 0.1,
        levels: int = 127,
        norm: Norm = "max",
        error_feedback: bool = True,
        nonfinite: NonfiniteUnmasked = "skip",
    ) -> None:
        super().__init__(optimizer, settings_of(locals(), "optimizer", "nonfinite"), nonfinite=nonfinite)

    def _check_own(self, settings: Settings) -> None:
        check_compression(settings)

    def _buffer_names(self) -> tuple[str, ...]:
        return ("compression_error",)

    def _entries(self) -> dict[str, float]:
        return super()._entries() | {"compression_steps": 0.0}

    def _after(self, slots: list[ParamSlot], pending: list[Pending], before: list[Any]) -> Observed:
        steps = self._model_state()["compression_steps"]
        steps.add_(1.0 if self._finite is None else self._finite.to(steps))
        changes = {slot.index: change for slot, change in zip(slots, pending, strict=True)}
        kinds: dict[tuple[str, bool], list[ParamSlot]] = {}
        for slot in slots:
            kinds.setdefault((slot.group["method"], bool(slot.group["error_feedback"])), []).append(slot)
        found: dict[int, Tensors] = {}
        for (method, owes), chosen in kinds.items():
            of = [changes[slot.index] for slot in chosen]
            columns = {
                "given": [
                    self._scratch.like("given", slot, change.old.dtype) for slot, change in zip(chosen, of, strict=True)
                ],
                "value": [change.target for change in of],
                "old": [change.old for change in of],
            }
            if owes:
                columns["owed"] = [self._buffer(slot, "compression_error") for slot in chosen]
            squares = self._passes(_to_send, chosen, columns)["given_sq"]
            # Nothing moves at rate 0 either: what is owed is paid when there is a rate again.
            moves = [moves_at(slot.group["lr"], squares.device) for slot in chosen]
            moves = moves if self._finite is None else [moving & self._finite.to(moving.device) for moving in moves]
            scalars = {
                "moves": torch.stack(moves).to(squares),
                "decay": column_of([change.decay for change in of], squares),
            }
            if method == "quantize":
                lost = self._send_quantized(chosen, columns, scalars, squares, steps)
            else:
                lost = self._send_largest(chosen, columns, scalars, squares)
            for row, slot in enumerate(chosen):
                found[slot.index] = {"lost_sq": lost[row], "given_sq": squares[row]}
        reported = [found[slot.index] for slot in slots] if self._recording_on else []
        return Observed(reported=reported, ratios={"compression_error": ("lost_sq", "given_sq")} if reported else {})

    def _send_largest(
        self, slots: list[ParamSlot], columns: Columns, scalars: Tensors, squares: torch.Tensor
    ) -> torch.Tensor:
        """Apply the largest of what is given, and owe the rest; give the squares of that."""
        given = {slot.index: one for slot, one in zip(slots, columns["given"], strict=True)}
        shards = [slot for slot in slots if is_sharded(slot.param) and slot.size]
        thresholds = dict(zip((slot.index for slot in shards), _thresholds(shards, given), strict=True))
        for slot in slots:
            if slot.index not in thresholds:
                x = given[slot.index]
                thresholds[slot.index] = _threshold(x, kept_count(slot.size, slot.group["fraction"]))
        found = torch.stack([thresholds[slot.index].to(squares) for slot in slots])
        scalars = {**scalars, "threshold": found}
        return self._passes(_write_largest, slots, columns, scalars, writes=_written(columns))["lost_sq"]

    def _send_quantized(
        self, slots: list[ParamSlot], columns: Columns, scalars: Tensors, squares: torch.Tensor, steps: torch.Tensor
    ) -> torch.Tensor:
        """Apply what is given in few levels, and owe the rest; give the squares of that."""
        given = {slot.index: one for slot, one in zip(slots, columns["given"], strict=True)}
        norms = torch.stack([norm.to(squares) for norm in _norms(slots, given, squares)])
        salts = [make_salt(steps, slot.index, _QUANTIZATION) for slot in slots]
        frames = [frame_of(slot.param) for slot in slots]
        noise: torch.Tensor | None = None
        if None in frames:  # cut along several dimensions
            drawn = [
                uniform(slot.param, salt, given[slot.index].dtype) for slot, salt in zip(slots, salts, strict=True)
            ]
            columns = {**columns, "noise": drawn}
        else:
            places = torch.tensor(frames, device=steps.device)
            noise = torch.cat([torch.stack(salts)[:, None], places], dim=1)
        scalars = {**scalars, "norm": norms}
        found = self._passes(_write_quantized, slots, columns, scalars, ("levels",), _written(columns), noise)
        return found["lost_sq"]

    def _figures(self) -> dict[str, float]:
        bits = coordinates = 0
        for group in self.param_groups:
            for param in group["params"]:
                size = param.numel() * (2 if param.is_complex() else 1)
                coordinates += size
                if group["method"] == "quantize":
                    bits += quantized_bits(size, int(group["levels"]))
                else:
                    bits += top_k_bits(size, kept_count(size, group["fraction"]))
        return super()._figures() | {"bits_per_coordinate": bits / max(coordinates, 1)}


def _written(columns: Columns) -> tuple[str, ...]:
    """Name the columns that others have, too, and that are written to."""
    return ("value", "owed") if "owed" in columns else ("value",)


def _to_send(given: torch.Tensor, value: torch.Tensor, old: torch.Tensor, owed: torch.Tensor | None = None) -> Tensors:
    """Write down what is to be sent: the update, and what is owed of earlier ones."""
    update = old - value.to(old.dtype)
    whole = update if owed is None else update + owed
    given.copy_(whole)
    return {"given_sq": whole.square().sum()}


def _write_sent(
    sent: torch.Tensor,
    given: torch.Tensor,
    value: torch.Tensor,
    old: torch.Tensor,
    owed: torch.Tensor | None,
    moves: torch.Tensor,
    decay: torch.Tensor,
) -> Tensors:
    """Apply what is sent, and the decay, which every worker knows, and keep what is not."""
    lost = given - sent
    moved = old - sent
    value.copy_(torch.where(moves > 0.0, torch.where(decay != 0.0, moved - old * decay, moved), old))
    if owed is not None:
        owed.copy_(torch.where(moves > 0.0, lost, owed))
    return {"lost_sq": lost.square().sum()}


def _write_largest(
    given: torch.Tensor,
    value: torch.Tensor,
    old: torch.Tensor,
    moves: torch.Tensor,
    decay: torch.Tensor,
    threshold: torch.Tensor,
    owed: torch.Tensor | None = None,
) -> Tensors:
    sent = torch.where(given.abs() < threshold.to(given.dtype), 0.0, given)
    return _write_sent(sent, given, value, old, owed, moves, decay)


def _write_quantized(
    given: torch.Tensor,
    value: torch.Tensor,
    old: torch.Tensor,
    moves: torch.Tensor,
    decay: torch.Tensor,
    norm: torch.Tensor,
    noise: torch.Tensor | Sequence[torch.Tensor],
    owed: torch.Tensor | None = None,
    *,
    levels: int,
) -> Tensors:
    if not isinstance(noise, torch.Tensor):
        salt, *frame = noise
        index = torch.arange(given.numel(), device=given.device).view(given.shape)
        noise = uniform_at(coordinates(index, frame), salt, given.dtype)
    sent = quantize(given, norm.to(given.dtype), levels, noise)
    return _write_sent(sent, given, value, old, owed, moves, decay)


def _norms(slots: Sequence[ParamSlot], given: dict[int, torch.Tensor], squares: torch.Tensor) -> list[torch.Tensor]:
    """Give each whole tensor's norm, with its squares; a maximum over shards is found as `_thresholds` does it."""
    norms = list(squares.sqrt().unbind())
    maxima = [row for row, slot in enumerate(slots) if slot.group["norm"] == "max"]
    shards = [row for row in maxima if is_sharded(slots[row].param)]
    for row in maxima:
        if row not in shards and slots[row].size:
            norms[row] = torch.linalg.vector_norm(given[slots[row].index], torch.inf)
    found = _thresholds([slots[row] for row in shards], given, largest=True)
    for row, value in zip(shards, found, strict=True):
        norms[row] = value
    return norms


def _threshold(x: torch.Tensor, kept: int) -> torch.Tensor:
    """Give the `kept`-th largest magnitude in a tensor, 0-d; 0 where it is empty."""
    magnitudes = x.abs().flatten()
    if not len(magnitudes):
        return magnitudes.new_zeros(())
    if x.device.type == "cpu":  # ten times as fast as torch's own there
        at = len(magnitudes) - kept
        return torch.as_tensor(np.partition(magnitudes.numpy(), at)[at], device="cpu")  # whatever the default is
    return magnitudes.topk(kept).values[-1]


def _thresholds(
    slots: Sequence[ParamSlot], given: dict[int, torch.Tensor], *, largest: bool = False
) -> list[torch.Tensor]:
    """Give the k-th largest magnitude of each sharded tensor, exactly, by bisection over the bits of the number.

    Positive floating-point numbers are ordered as the integers of the same bits, so that as many counts as a number has
    bits suffice, and each is one collective for all tensors.
    """
    if not slots:
        return []
    dtype = torch.float64 if any(given[slot.index].dtype == torch.float64 for slot in slots) else torch.float32
    integer, digits = _INTEGERS[dtype]
    device = slots[0].value.device
    magnitudes = [given[slot.index].abs().to(dtype).view(integer) for slot in slots]
    scalars = [1 if largest else kept_count(slot.size, slot.group["fraction"]) for slot in slots]
    update = torch.tensor(scalars, device=device)
    found = torch.zeros(len(slots), dtype=integer, device=device)
    for digit in range(digits - 1, -1, -1):
        tried = found | (1 << digit)
        rows = [[(bits >= candidate).sum()] for bits, candidate in zip(magnitudes, tried.unbind(), strict=True)]
        counts = sum_over_shards(stack([[cell.to(torch.float64) for cell in row] for row in rows]), slots)[:, 0]
        found = torch.where(counts >= update, tried, found)
    values = found.view(dtype).unbind()
    return [value.to(given[slot.index]) for slot, value in zip(slots, values, strict=True)]
