"""Random numbers that depend on a coordinate and a salt and on nothing else.

Stochastic rounding and quantization draw one number per coordinate and step. A generator would make replicas drift
apart (each process has its own), shards draw other numbers than the whole, and a resumed run others than an
undisturbed one. So the numbers are a hash of the coordinate's place in the whole tensor and of a salt made of the step
and the tensor's place in the model: the same on every replica, under every sharding and after every restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from waddington.optim.engine.params import is_sharded, local_real

__all__ = [
    "Frame",
    "Words",
    "coordinates",
    "frame_of",
    "make_salt",
    "places_of",
    "random_bits",
    "random_words",
    "round_stochastically",
    "slice_of",
    "uniform",
    "uniform_at",
]

_MASK = (1 << 64) - 1


def _signed(constant: int) -> int:
    """Write an unsigned 64-bit constant as the signed number of the same bits."""
    return constant - (1 << 64) if constant >= (1 << 63) else constant


# Golden ratio and the two multipliers of the SplitMix64 finalizer (Steele, Lea & Flood 2014).
_GOLDEN, _FIRST, _SECOND = (_signed(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))

# The same in 32 bits: golden ratio, another odd number, and the multipliers of lowbias32 (Wellons 2018).
_GOLDEN_32, _OTHER_32, _FIRST_32, _SECOND_32 = (
    c - (1 << 32) if c >= (1 << 31) else c for c in (0x9E3779B9, 0x85EBCA6B, 0x7FEB352D, 0x846CA68B)
)

Words = tuple[torch.Tensor, torch.Tensor]
"""Twice 32 random bits for each coordinate, int32."""


class Frame(NamedTuple):
    """Where a shard lies in its tensor: rows of `local` coordinates out of rows of `whole`, the first at `start`."""

    local: int
    whole: int
    start: int


def frame_of(param: torch.Tensor) -> Frame | None:
    """Give the frame of the local part of a parameter; None where it is cut along more than one dimension."""
    pair = 2 if param.is_complex() else 1
    size = max(param.numel() * pair, 1)
    if not is_sharded(param):
        return Frame(size, size, 0)
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    shape, offset = compute_local_shape_and_global_offset(param.shape, param.device_mesh, param.placements)  # type: ignore[attr-defined]
    cut = [dim for dim, (length, whole) in enumerate(zip(shape, param.shape, strict=True)) if length != whole]
    if not cut:
        return Frame(size, size, 0)
    if len(cut) > 1:
        return None
    inner = pair
    for length in param.shape[cut[0] + 1 :]:
        inner *= length
    return Frame(max(shape[cut[0]] * inner, 1), param.shape[cut[0]] * inner, offset[cut[0]] * inner)


def coordinates(index: torch.Tensor, frame: Frame | Sequence[torch.Tensor] | torch.Tensor) -> torch.Tensor:
    """Give the places in the whole tensor of coordinates of a shard.

    Parameters
    ----------
    index
        Their places in the shard, int64.
    frame
        Of the shard, or its three numbers as tensors.
    """
    local, whole, start = frame
    row = torch.div(index, local, rounding_mode="floor")
    return index + row * (whole - local) + start


def make_salt(step: torch.Tensor, index: int | torch.Tensor, stream: int) -> torch.Tensor:
    """Give the salt of tensors at one step.

    Parameters
    ----------
    step
        The step count of a tensor, 0-d, or of many.
    index
        Its place in the model, or theirs (int64).
    stream
        What the numbers are for, so that two uses in one step are independent.
    """
    place = index * _GOLDEN if isinstance(index, torch.Tensor) else _signed((index * 0x9E3779B97F4A7C15) & _MASK)
    return _mixed(_mixed(step.to(torch.int64) * 1024 + stream) + place)


def random_bits(places: torch.Tensor, salt: torch.Tensor) -> torch.Tensor:
    """Draw 64 bits for each coordinate, as int64, by its place in the whole tensor."""
    return _mixed(places * _GOLDEN + salt)


def uniform(param: torch.Tensor, salt: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Draw numbers from [0, 1), one for each coordinate of the local real part of a parameter.

    Parameters
    ----------
    param
        The parameter as the user holds it: sharded, complex or neither.
    salt
        From :func:`make_salt`.
    dtype
        float32 or float64; the numbers have as many random bits as its mantissa.
    """
    return uniform_at(places_of(param), salt.to(param.device), dtype)


def uniform_at(places: torch.Tensor, salt: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Draw the numbers of :func:`uniform` for coordinates at places of the whole tensor."""
    digits = 53 if dtype == torch.float64 else 24
    return ((random_bits(places, salt) >> (64 - digits)) & ((1 << digits) - 1)).to(dtype) * 2.0**-digits


def random_words(places: torch.Tensor, salt: torch.Tensor) -> Words:
    """Draw twice 32 bits for each coordinate, by its place in the whole tensor.

    For rounding, which wants sixteen bits at a time and many of them: most processors multiply several numbers of 32
    bits at once, and few of 64.
    """
    (low, high), (key, other_key) = _halves(places), _halves(salt)
    first = _mixed_32((low * _GOLDEN_32 + key) ^ (high * _OTHER_32))
    return first, _mixed_32(first ^ other_key)


def slice_of(words: Words, number: int) -> torch.Tensor:
    """Take 16 random bits of each coordinate, as int32: 0 to 3 are there, further ones are mixed from the last."""
    word = words[min(number // 2, 1)]
    for _ in range(number // 2 - 1):
        word = _mixed_32(word ^ _GOLDEN_32)
    return (word >> (16 * (1 - number % 2))) & 0xFFFF


def round_stochastically(value: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """Round float32 to bfloat16, up or down with the probabilities that make the expectation exact.

    Parameters
    ----------
    value
        Any shape, float32.
    bits
        16 random bits for each coordinate, from :func:`slice_of`.
    """
    rounded = (value.view(torch.int32) + bits) & -65536
    # Infinity and NaN have no neighbours to choose from.
    return torch.where(value.isfinite(), rounded.view(torch.float32), value).to(torch.bfloat16)


def _mixed(x: torch.Tensor) -> torch.Tensor:
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _halves(x: torch.Tensor) -> Words:
    """Split numbers of 64 bits into their lower and upper 32."""
    return x.to(torch.int32), _shifted(x, 32).to(torch.int32)


def _mixed_32(x: torch.Tensor) -> torch.Tensor:
    x = (x ^ _shifted(x, 16, 32)) * _FIRST_32
    x = (x ^ _shifted(x, 15, 32)) * _SECOND_32
    return x ^ _shifted(x, 16, 32)


def _shifted(x: torch.Tensor, by: int, width: int = 64) -> torch.Tensor:
    # torch shifts arithmetically; the hash wants zeros from the left.
    return (x >> by) & ((1 << (width - by)) - 1)


def places_of(param: torch.Tensor) -> torch.Tensor:
    """Number the coordinates of the local real part by their place in the whole tensor."""
    frame = frame_of(param)
    local = local_real(param)
    if frame is not None:
        index = torch.arange(local.numel(), device=local.device).view(local.shape)
        return coordinates(index, frame)
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    shape, offset = compute_local_shape_and_global_offset(param.shape, param.device_mesh, param.placements)  # type: ignore[attr-defined]
    place = torch.zeros((), dtype=torch.int64, device=local.device)
    for length, start, whole in zip(shape, offset, param.shape, strict=True):
        place = place.unsqueeze(-1) * whole + torch.arange(start, start + length, device=local.device)
    if param.is_complex():
        place = (2 * place).unsqueeze(-1) + torch.arange(2, device=local.device)
    return place
