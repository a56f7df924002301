"""Quantized or sparsified updates (:mod:`waddington.optim.compression`) of any optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from waddington.optim.engine.noise import make_salt, uniform
from waddington.optim.engine.params import ParamSlot, is_sharded, moves_at, stack, sum_over_shards
from waddington.optim.engine.settings import NonfiniteUnmasked, settings_of
from waddington.optim.rule import Settings, Tensors
from waddington.optim.wrappers.columns import square_sum
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
        given = {
            slot.index: change.update + self._buffer(slot, "compression_error")
            if slot.group["error_feedback"]
            else change.update
            for slot, change in zip(slots, pending, strict=True)
        }
        sent = self._quantized(slots, given, steps) | self._largest(slots, given)
        sums: list[Tensors] = []
        for slot, change in zip(slots, pending, strict=True):
            lost = given[slot.index] - sent[slot.index]
            taken = sent[slot.index]
            # Nothing moves at rate 0 either: what is owed is paid when there is a rate again.
            moves = moves_at(slot.group["lr"], taken.device)
            moves = moves if self._finite is None else moves & self._finite.to(taken.device)
            change.write(torch.where(moves, change.old - taken, change.old))
            if slot.group["error_feedback"]:
                owed = self._buffer(slot, "compression_error")
                owed.copy_(torch.where(moves, lost, owed))
            if self._recording_on:
                sums.append({"lost_sq": lost.square().sum(), "given_sq": given[slot.index].square().sum()})
        return Observed(sums, ratios={"compression_error": ("lost_sq", "given_sq")} if sums else {})

    def _quantized(
        self, slots: list[ParamSlot], given: dict[int, torch.Tensor], steps: torch.Tensor
    ) -> dict[int, torch.Tensor]:
        chosen = [slot for slot in slots if slot.group["method"] == "quantize"]
        if not chosen:
            return {}
        squares = self._passes(square_sum, chosen, {"x": [given[slot.index] for slot in chosen]})["square"]
        norms = _norms(chosen, given, squares)
        sent = {}
        for slot, norm in zip(chosen, norms, strict=True):
            x = given[slot.index]
            noise = uniform(slot.param, make_salt(steps.to(x.device), slot.index, _QUANTIZATION), x.dtype)
            sent[slot.index] = quantize(x, norm.to(x), int(slot.group["levels"]), noise)
        return sent

    def _largest(self, slots: list[ParamSlot], given: dict[int, torch.Tensor]) -> dict[int, torch.Tensor]:
        chosen = [slot for slot in slots if slot.group["method"] == "top_k" and slot.size]
        sent = {slot.index: given[slot.index] for slot in slots if slot.group["method"] == "top_k"}
        whole = [slot for slot in chosen if not is_sharded(slot.param)]
        for slot in whole:
            x = given[slot.index]
            threshold = x.abs().flatten().topk(kept_count(slot.size, slot.group["fraction"])).values[-1]
            sent[slot.index] = torch.where(x.abs() < threshold, 0.0, x)
        shards = [slot for slot in chosen if is_sharded(slot.param)]
        for slot, threshold in zip(shards, _thresholds(shards, given), strict=True):
            x = given[slot.index]
            sent[slot.index] = torch.where(x.abs() < threshold, 0.0, x)
        return sent

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


def _norms(slots: Sequence[ParamSlot], given: dict[int, torch.Tensor], squares: torch.Tensor) -> list[torch.Tensor]:
    """Give each whole tensor's norm, with its squares; a maximum over shards is found as `_thresholds` does it."""
    norms = list(squares.sqrt().unbind())
    maxima = [row for row, slot in enumerate(slots) if slot.group["norm"] == "max"]
    shards = [row for row in maxima if is_sharded(slots[row].param)]
    for row in maxima:
        if row not in shards and slots[row].size:
            norms[row] = given[slots[row].index].abs().max()
    found = _thresholds([slots[row] for row in shards], given, largest=True)
    for row, value in zip(shards, found, strict=True):
        norms[row] = value
    return norms


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
