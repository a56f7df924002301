"""Random numbers that depend on a coordinate and a salt and on nothing else.

Stochastic rounding and quantization draw one number per coordinate and step. A generator would make replicas drift
apart (each process has its own), shards draw other numbers than the whole, and a resumed run others than an
undisturbed one. So the numbers are a hash of the coordinate's place in the whole tensor and of a salt made of the step
and the tensor's place in the model: the same on every replica, under every sharding and after every restart.
"""

from __future__ import annotations

import torch

from waddington.optim._slots import is_sharded

__all__ = ["make_salt", "round_stochastically", "uniform"]

_MASK = (1 << 64) - 1


def _signed(constant: int) -> int:
    """Write an unsigned 64-bit constant as the signed number of the same bits."""
    return constant - (1 << 64) if constant >= (1 << 63) else constant


# Golden ratio and the two multipliers of the SplitMix64 finalizer (Steele, Lea & Flood 2014).
_GOLDEN, _FIRST, _SECOND = (_signed(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def make_salt(step: torch.Tensor, index: int, stream: int) -> torch.Tensor:
    """Give the salt of one tensor at one step.

    Parameters
    ----------
    step
        The tensor's step count, 0-d.
    index
        Its place in the model.
    stream
        What the numbers are for, so that two uses in one step are independent.
    """
    return _mixed(_mixed(step.to(torch.int64) * 1024 + stream) + _signed((index * 0x9E3779B97F4A7C15) & _MASK))


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
    bits = _mixed(_coordinates(param) * _GOLDEN + salt.to(param.device))
    digits = 53 if dtype == torch.float64 else 24
    return ((bits >> (64 - digits)) & ((1 << digits) - 1)).to(dtype) * 2.0**-digits


def round_stochastically(value: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Round float32 to bfloat16, up or down with the probabilities that make the expectation exact.

    Parameters
    ----------
    value
        Any shape, float32.
    noise
        Same shape, from [0, 1).
    """
    bits = value.view(torch.int32)
    rounded = (bits + (noise * 65536.0).to(torch.int32)) & -65536
    # Infinity and NaN have no neighbours to choose from.
    return torch.where(value.isfinite(), rounded.view(torch.float32), value).to(torch.bfloat16)


def _mixed(x: torch.Tensor) -> torch.Tensor:
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: torch.Tensor, by: int) -> torch.Tensor:
    # torch shifts arithmetically; the hash wants zeros from the left.
    return (x >> by) & ((1 << (64 - by)) - 1)


def _coordinates(param: torch.Tensor) -> torch.Tensor:
    """Number the coordinates of the local real part by their place in the whole tensor."""
    shape, offset = tuple(param.shape), (0,) * param.dim()
    strides = [1] * len(shape)
    for dim in range(len(shape) - 2, -1, -1):
        strides[dim] = strides[dim + 1] * shape[dim + 1]
    if is_sharded(param):
        from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

        shape, offset = compute_local_shape_and_global_offset(param.shape, param.device_mesh, param.placements)  # type: ignore[attr-defined]
    index = torch.zeros((), dtype=torch.int64, device=param.device)
    for length, start, stride in zip(shape, offset, strides, strict=True):
        index = index.unsqueeze(-1) + torch.arange(start, start + length, device=param.device) * stride
    if param.is_complex():
        index = (2 * index).unsqueeze(-1) + torch.arange(2, device=param.device)
    return index
