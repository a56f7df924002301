"""Updates and gradients in few bits: QSGD's stochastic quantization, and the largest coordinates with error feedback.

AMGT's discussion claims support for quantized and sparsified updates without saying how. These are the standard ones.

Quantization (Alistarh, Grubic, Li, Tomioka & Vojnovic 2017, QSGD) with s levels and a norm of the tensor::

    Q(x)_i = ‖x‖ sign(x_i) ξ_i / s,      ξ_i = ⌊s|x_i|/‖x‖⌋ or one more, so that E[Q(x)] = x

Top-k with error feedback (Stich, Cordonnier & Jaggi 2018): what is left out of an update is added to the next one::

    a = u + e;   sent = the k largest magnitudes of a;   e = a - sent

:class:`~waddington.optim.Compressed` puts either on the updates of any optimizer: what a worker would send, and what
the others would apply. Where it saves traffic is between the processes:
:class:`~waddington.optim.communication.CompressionHook` is a communication hook for ``DistributedDataParallel`` that
sends gradients this way.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch

from waddington._checks import check_choice, check_count, check_in_range
from waddington.optim._moved import moved
from waddington.optim.rule import Settings

__all__ = ["Method", "Norm", "check_compression", "kept_count", "levels_of", "quantize", "quantized_bits", "top_k_bits"]

Method = Literal["quantize", "top_k"]
"""How an update is made smaller."""
Norm = Literal["l2", "max"]
"""What the levels of a quantization are fractions of."""

_FLOAT_BITS = 32


def check_compression(settings: Settings) -> None:
    """Check the settings of a compression.

    Raises
    ------
    ArgumentError
        Names the argument, its value and the range.
    """
    check_choice("method", settings["method"], get_args(Method))
    check_choice("norm", settings["norm"], get_args(Norm))
    check_choice("error_feedback", settings["error_feedback"], (False, True))
    check_in_range("fraction", settings["fraction"], 0.0, 1.0, open_low=True)
    check_count("levels", settings["levels"], 1, 2**15)


def levels_of(x: torch.Tensor, norm: torch.Tensor, levels: int, noise: torch.Tensor) -> torch.Tensor:
    """Give QSGD's signed levels ``sign(x) ξ``, whole numbers of magnitude at most `levels`.

    Parameters
    ----------
    x
        Values, of any shape.
    norm
        0-d; at least the largest magnitude in `x`.
    levels
        Number of levels s.
    noise
        Of the shape of `x`, uniform on [0, 1).
    """
    factor = levels / norm  # infinite for norms near the smallest numbers, where the division is done first
    scaled = torch.where(factor < torch.inf, x.abs() * factor, x.abs() / norm * levels)
    scaled = torch.where(norm > 0.0, scaled, 0.0)
    lower = scaled.floor()
    return x.sign() * (lower + (noise < scaled - lower).to(x.dtype)).clamp_max_(float(levels))


def quantize(x: torch.Tensor, norm: torch.Tensor, levels: int, noise: torch.Tensor) -> torch.Tensor:
    """Quantize without bias: ``E[quantize(x)] = x`` over the noise; arguments as for :func:`levels_of`."""
    return levels_of(x, norm, levels, noise) * (norm / levels)


def quantized_bits(size: int, levels: int) -> int:
    """Bits of a quantized tensor in code words of fixed length: a norm, and a signed level for each coordinate."""
    return _FLOAT_BITS + size * math.ceil(math.log2(2 * levels + 1))


def top_k_bits(size: int, kept: int) -> int:
    """Bits of the `kept` largest of `size` coordinates: a value and a place for each."""
    return kept * (_FLOAT_BITS + max(1, math.ceil(math.log2(max(size, 2)))))


def kept_count(size: int, fraction: float) -> int:
    """Give how many of `size` coordinates top-k sends: the fraction rounded up, and at least one."""
    return min(size, max(1, math.ceil(fraction * size)))


__getattr__ = moved(__name__, {"Compressed": "waddington.optim.wrappers.compressed"})
