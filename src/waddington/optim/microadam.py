"""MicroAdam: Adam on the largest coordinates of gradient plus debt, with a debt kept in four bits.

Modoranu, Safaryan, Malinovsky, Kurtic, Robert, Richtárik and Alistarh (2024), "MicroAdam: Accurate Adaptive
Optimization with Low Space Overhead and Provable Convergence", NeurIPS (arXiv 2405.15593), Algorithm 1, with the
quantization Q and the statistics that are recomputed from a window of its Algorithm 2, tensor by tensor::

    a_t = g_t + Q⁻¹(e_t)
    I_t, V_t = places and values of the largest |a_t|, so many in each block
    e_{t+1} = Q(a_t with zeros at I_t)
    z(β, p) = (1-β) / (1-β^t) Σ β^(t-s) V_s^p at I_s        (over the last `window` steps s)
    θ_t = θ_{t-1} - η z(β1, 1) / (ε + √z(β2, 2))

    Q, per bucket:  δ = min, Δ = max, u = (Δ-δ) / 15;  code = ⌊(x-δ)/u + 1/2⌋;  Q⁻¹(code) = code u + δ

Where the algorithm leaves room, the authors' own implementation (ISTA-DASLab-Optimizers) decides: the weight 1-β and
its correction by 1-β^t, a share of ⌈density · size⌉ of each block and of the shorter last one, ranges taken after the
sent coordinates are zero, a range and values in bfloat16. The first coordinate of a pair is in the upper half of its
byte. Our reading of what is unsaid there: codes are clamped to 0..15, because a range that was rounded to bfloat16 need
not hold all values; a bucket whose range is empty has codes 0.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Unpack, get_args

import torch
from torch.optim.optimizer import ParamsT

from waddington._checks import check_choice, check_count, check_in_range
from waddington.optim.engine.optimizer import RuleOptimizer
from waddington.optim.engine.params import real_size
from waddington.optim.engine.settings import Compile, NonfiniteUnmasked, check_common, settings_of
from waddington.optim.engine.torch_options import TorchOptions
from waddington.optim.moments import Number, Numbers, adaptive_direction, ema_weight
from waddington.optim.rule import Layouts, Measured, Rule, Settings, Tensors

__all__ = ["MICROADAM_RULE", "MicroAdam", "dequantize_error", "largest_places", "quantize_error"]

_LARGEST_CODE = 15.0
_LARGEST_BLOCK = 2**15  # places within a block are stored in 16 bits with a sign
ValueDtype = Literal["bfloat16", "float32"]
"""Dtype of the kept gradients."""
_DTYPES: dict[ValueDtype, torch.dtype] = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def largest_places(x: torch.Tensor, block_size: int, density: float) -> torch.Tensor:
    """Find the largest magnitudes of each block.

    Parameters
    ----------
    x
        Values, of one dimension.
    block_size
        Length of a block; the last one may be shorter.
    density
        Share of each block that is wanted, rounded up.

    Returns
    -------
    Tensor
        Places within their block, int64, the blocks one after the other.
    """
    whole = x.numel() // block_size * block_size
    places = [torch.empty(0, dtype=torch.int64, device=x.device)]
    if whole:
        blocks = x[:whole].abs().view(-1, block_size)
        places.append(blocks.topk(_share(block_size, density), sorted=False).indices.flatten())
    if whole < x.numel():
        places.append(x[whole:].abs().topk(_share(x.numel() - whole, density), sorted=False).indices)
    return torch.cat(places)


def _share(size: int, density: float) -> int:
    return math.ceil(density * size)


def _kept(size: int, block_size: int, density: float) -> int:
    blocks, rest = divmod(size, block_size)
    return blocks * _share(block_size, density) + _share(rest, density)


def _starts(size: int, block_size: int, density: float, device: torch.device) -> torch.Tensor:
    """Give the start of the block of every entry of :func:`largest_places`."""
    starts = torch.arange(0, size, block_size, device=device).repeat_interleave(_share(block_size, density))
    return starts[: _kept(size, block_size, density)]


def quantize_error(x: torch.Tensor, bucket_size: int, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Quantize to 16 levels between the smallest and the largest value of each bucket, to the nearest one.

    Parameters
    ----------
    x
        Values, of one dimension.
    bucket_size
        Length of a bucket; the last one may be shorter.
    dtype
        Of the ranges.

    Returns
    -------
    tuple of Tensor
        Two codes to a byte, shape (⌈size / 2⌉,); the smallest and the largest value of each bucket.
    """
    rows = _in_buckets(x, bucket_size)
    low, high = rows.amin(dim=1).to(dtype), rows.amax(dim=1).to(dtype)
    unit, origin = _scale(low, high, x.dtype)
    scaled = torch.where(unit > 0.0, (rows - origin) / unit, 0.0)
    codes = (scaled + 0.5).floor_().clamp_(0.0, _LARGEST_CODE).flatten()[: x.numel()].to(torch.uint8)
    pairs = torch.nn.functional.pad(codes, (0, x.numel() % 2)).view(-1, 2)
    return pairs[:, 0] * 16 + pairs[:, 1], low, high


def dequantize_error(
    packed: torch.Tensor, low: torch.Tensor, high: torch.Tensor, bucket_size: int, size: int, dtype: torch.dtype
) -> torch.Tensor:
    """Give the `size` values that :func:`quantize_error` has rounded to, in `dtype`."""
    codes = torch.stack((packed >> 4, packed & 15), dim=1).flatten()[:size].to(dtype)
    unit, origin = _scale(low, high, dtype)
    return (_in_buckets(codes, bucket_size) * unit + origin).flatten()[:size]


def _in_buckets(x: torch.Tensor, bucket_size: int) -> torch.Tensor:
    """Lay values out one bucket to a row; the last row is filled up with its last value, which changes no range."""
    length = max(1, min(bucket_size, x.numel()))
    return torch.cat((x, x[-1:].expand(-x.numel() % length))).view(-1, length)


def _scale(low: torch.Tensor, high: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    origin = low.to(dtype)[:, None]
    return (high.to(dtype)[:, None] - origin) / _LARGEST_CODE, origin


def _buffers(settings: Settings) -> tuple[str, ...]:
    return ("error", "error_low", "error_high", "window_places", "window_values")


def _layouts(param: torch.Tensor, settings: Settings) -> Layouts:
    size, dtype = real_size(param), _DTYPES[settings["value_dtype"]]
    window = (settings["window"], _kept(size, settings["block_size"], settings["density"]))
    buckets = math.ceil(size / settings["bucket_size"])
    return {
        "error": ((math.ceil(size / 2),), torch.uint8),
        "error_low": ((buckets,), dtype),
        "error_high": ((buckets,), dtype),
        "window_places": (window, torch.int16),
        "window_values": (window, dtype),
    }


def _scalars(step: Number, tensor_scalars: Tensors, settings: Settings) -> dict[str, Number]:
    beta1, beta2 = settings["betas"]
    return {
        "row": (step - 1.0) % float(settings["window"]),
        "exp_avg_scale": (1.0 - beta1) / ema_weight(step, beta1),
        "exp_avg_sq_scale": (1.0 - beta2) / ema_weight(step, beta2),
    }


def _update_moments(grad: torch.Tensor, buffers: Tensors, scalars: Numbers, settings: Settings) -> Measured:
    size, block_size, density = grad.numel(), settings["block_size"], settings["density"]
    ranges = buffers["error_low"], buffers["error_high"]
    owed = dequantize_error(buffers["error"], *ranges, settings["bucket_size"], size, grad.dtype)
    total = grad.flatten() + owed
    places = largest_places(total, block_size, density)
    index = _starts(size, block_size, density, grad.device) + places
    left = total.index_fill(0, index, 0.0)
    error, low, high = quantize_error(left, settings["bucket_size"], buffers["error_low"].dtype)
    row = torch.as_tensor(scalars["row"], dtype=torch.int64, device=grad.device).view(1)
    window_places, window_values = buffers["window_places"], buffers["window_values"]
    new = {
        "error": error,
        "error_low": low,
        "error_high": high,
        "window_places": window_places.index_copy(0, row, places.to(torch.int16)[None]),
        "window_values": window_values.index_copy(0, row, total[index].to(window_values.dtype)[None]),
    }
    return Measured(new)


def _update(
    grad: torch.Tensor, measured: Measured, buffers: Tensors, scalars: Numbers, settings: Settings
) -> torch.Tensor:
    size, window = grad.numel(), settings["window"]
    starts = _starts(size, settings["block_size"], settings["density"], grad.device)
    rows = torch.arange(window, dtype=grad.dtype, device=grad.device)[:, None]
    ages = torch.remainder(scalars["row"] - rows, float(window))
    index, values = starts + buffers["window_places"], buffers["window_values"].to(grad.dtype)
    beta1, beta2 = settings["betas"]
    first, second = values * torch.pow(beta1, ages), values.square() * torch.pow(beta2, ages)
    exp_avg, exp_avg_sq = grad.new_zeros(size), grad.new_zeros(size)
    # One row at a time: places differ within a row, so that the order of additions is known on a GPU, too.
    for row in range(window):
        exp_avg.index_add_(0, index[row], first[row])
        exp_avg_sq.index_add_(0, index[row], second[row])
    # Elsewhere there is no first moment, and so no direction.
    kept = index.flatten()
    direction = adaptive_direction(
        exp_avg[kept] * scalars["exp_avg_scale"], exp_avg_sq[kept] * scalars["exp_avg_sq_scale"], eps=settings["eps"]
    )
    return exp_avg.index_copy_(0, kept, direction).view_as(grad)


def _observe(
    direction: torch.Tensor, measured: Measured, buffers: Tensors, scalars: Numbers, settings: Settings
) -> Tensors:
    ranges = buffers["error_low"], buffers["error_high"]
    owed = dequantize_error(buffers["error"], *ranges, settings["bucket_size"], direction.numel(), direction.dtype)
    row = torch.as_tensor(scalars["row"], dtype=torch.int64, device=direction.device).view(1)
    kept = buffers["window_values"].index_select(0, row).to(direction.dtype)
    kept_sq, owed_sq = kept.square(), owed.square()
    return {
        "kept_sq": kept_sq,
        "owed_sq": owed_sq,
        "both_sq": torch.cat((kept_sq.flatten(), owed_sq)),
        "moved_share": direction != 0.0,
    }


MICROADAM_RULE = Rule(
    required=_buffers,  # moments of Adam are no window
    buffers=_buffers,
    scalars=_scalars,
    update_moments=_update_moments,
    update=_update,
    observe=_observe,
    ratios={"kept_energy": ("kept_sq", "both_sq"), "debt_energy": ("owed_sq", "grad_sq")},
    layouts=_layouts,
    whole_tensor_reason="chooses the largest coordinates from blocks of the whole tensor",
)


class MicroAdam(RuleOptimizer):
    """MicroAdam (Modoranu et al., 2024): about nine tenths of a byte of state per parameter, where Adam has eight.

    The state of a tensor of d coordinates takes d/2 bytes of debt, 4 · window · density · d bytes of window and 4 bytes
    for each bucket: 0.9 d with the paper's window of 10 and density of 1 %.

    Parameters
    ----------
    params
        Parameters, groups or named parameters, as for every torch optimizer.
    lr
        Rate η, and the handle that schedulers turn; the paper tunes it for each task. Not comparable with Adam's: the
        window holds 1-β2^window of the weight of the second moment, which is corrected as if it held 1-β2^t, so that
        steps grow with time, to six and a half times Adam's where all coordinates are kept.
    betas
        Decay β1 and β2 of the two moments, each in [0, 1); the paper's.
    eps
        Added to the denominator, above 0: most coordinates have no second moment at all.
    weight_decay
        Decay λ; see `decoupled_weight_decay`.
    window
        Number of sparse gradients that the moments are made of; the paper has 10.
    density
        Share of each block's coordinates that a step keeps, in (0, 1], rounded up; the paper has 1 %.
    block_size
        Length of the blocks that the largest coordinates are taken from, at most 32768; the authors let the shared
        memory of the GPU decide, and this is the most that 16 bits can address.
    bucket_size
        Length of the buckets that share a range of quantization; the authors' experiments have 100,000, and they name
        32 and 64 as working too. Smaller ones lose less and cost 4 bytes each.
    value_dtype
        ``"bfloat16"``, the paper's, or ``"float32"``: dtype of the kept gradients and the ranges. What rounding takes
        off a kept gradient is lost and not owed.
    decoupled_weight_decay
        True: ``θ -= rate * λ * θ`` as AdamW; False: ``g += λ * θ`` as Adam.
    maximize, nonfinite, stochastic_rounding, compile
        See :class:`~waddington.optim.engine.optimizer.RuleOptimizer`.
    **torch_options
        ``foreach``, ``fused``, ``capturable`` and ``differentiable``, False or None, as torch's optimizers take them.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    UnsupportedError
        At the first step of a sharded parameter (DTensor).

    Notes
    -----
    Settings that shape the state (`window`, `density`, `block_size`, `bucket_size`, `value_dtype`) are fixed once a
    parameter has been stepped. The moments are nowhere in the state, so none are taken over from Adam.
    """

    _rule = MICROADAM_RULE

    def __init__(
        self,
        params: ParamsT,
        lr: float | torch.Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        window: int = 10,
        density: float = 0.01,
        block_size: int = 32_768,
        bucket_size: int = 100_000,
        value_dtype: ValueDtype = "bfloat16",
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        nonfinite: NonfiniteUnmasked = "skip",
        stochastic_rounding: bool = False,
        compile: Compile = "auto",
        **torch_options: Unpack[TorchOptions],
    ) -> None:
        super().__init__(params, settings_of(locals()))

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        check_common(group)
        check_in_range("eps", group["eps"], 0.0, open_low=True, open_high=True)
        check_in_range("density", group["density"], 0.0, 1.0, open_low=True)
        check_choice("value_dtype", group["value_dtype"], get_args(ValueDtype))
        for name, most in (("window", math.inf), ("block_size", _LARGEST_BLOCK), ("bucket_size", math.inf)):
            check_count(name, group[name], 1, most)
