"""Gradients before they are used: AMVT's first module (Section 3.1), each piece usable ahead of any optimizer.

"Deep learning optimization using adaptive gradient methods: a mathematical framework for enhanced convergence" lists
clipping, normalization, a filter of outliers and an estimate of the noise, and writes out only the first (Algorithm 1,
line c). The other formulas here are this project's reading.

The functions that give tensors are pure and read no value on the host. Those whose names end in an underscore work on
``.grad`` in place, between ``backward()`` and ``optimizer.step()``. Clipping by global norm in place is torch's own
:func:`torch.nn.utils.clip_grad_norm_`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.nn.utils import get_total_norm

from waddington._checks import check_in_range
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim.engine.params import local_real
from waddington.optim.moments import Number, ema_weight, gradient_variance

__all__ = [
    "clip_factor",
    "filter_outliers",
    "filter_outliers_",
    "global_norm",
    "gradient_variance",
    "noise_scale",
    "normalize",
    "normalize_gradients_",
]


def clip_factor(norm: torch.Tensor, max_norm: float) -> torch.Tensor:
    """Factor ``min(1, max_norm / norm)`` that clips gradients by their norm (AMVT, Algorithm 1, line c).

    Unlike torch's clipping, which adds 1e-6 to the norm, the factor is exactly 1 up to `max_norm`, and what is clipped
    has the norm `max_norm` to rounding. A norm that is NaN gives 1, an infinite one 0.

    Parameters
    ----------
    norm
        Norm of all gradients together, 0-d, or several of any shape.
    max_norm
        Largest norm to let through, in (0, inf].

    Returns
    -------
    Tensor
        Shape of `norm`, in (0, 1] where the norm is finite.

    Raises
    ------
    ArgumentError
        `max_norm` outside its range.
    """
    check_in_range("max_norm", max_norm, 0.0, open_low=True)
    return torch.where(norm > max_norm, max_norm / norm, torch.ones_like(norm))


def normalize(grad: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
    """Gradient over its norm; a zero gradient stays zero.

    Parameters
    ----------
    grad
        Gradient of one tensor, any shape.
    norm
        0-d norm of all gradients together, which then have norm 1. Where it is 0 or NaN nothing is changed.
    """
    return grad / _divisor(norm)


def filter_outliers(grad: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor, threshold: Number) -> torch.Tensor:
    """Pull coordinates that lie too far from their own history back to ``mean ± threshold √variance``.

    Coordinates between the bounds come back bit for bit. Those whose variance is 0 have no scale by which anything
    could lie too far, and are left alone, however far.

    Parameters
    ----------
    grad
        Real gradient, any shape.
    mean, variance
        Of each coordinate's gradients so far, same shape; such as AMVT's m̂ and ŝ, or :func:`gradient_variance`. They
        must not contain `grad` itself, and after a handful of steps they are no more than a guess.
    threshold
        Standard deviations that still pass, in (0, inf]; a tensor is not checked.

    Raises
    ------
    ArgumentError
        `threshold` outside its range.
    """
    if not isinstance(threshold, torch.Tensor):
        check_in_range("threshold", threshold, 0.0, open_low=True)
    known = variance > 0
    width = threshold * torch.sqrt(variance)
    return torch.clamp(grad, torch.where(known, mean - width, -torch.inf), torch.where(known, mean + width, torch.inf))


def noise_scale(
    micro_norms_squared: torch.Tensor, full_norms_squared: torch.Tensor, micro_size: int, full_size: int
) -> torch.Tensor:
    """Simple noise scale ``B_simple = tr(Σ) / |G|²``, the batch at which noise and gradient are equally large.

    Of McCandlish et al. 2018, "An empirical model of large-batch training", Appendix A.1: squared norms of gradients
    over b and B examples expect ``|G|² + tr(Σ)/b`` and ``|G|² + tr(Σ)/B``, which gives both unknowns.

    Parameters
    ----------
    micro_norms_squared
        Squared norms of the gradients of micro-batches, any shape; all of them are averaged.
    full_norms_squared
        Squared norms of the gradients of full batches, any shape; all of them are averaged. One step is very noisy:
        pass the norms of many.
    micro_size, full_size
        Examples in a micro-batch and in a full batch, 1 ≤ micro_size < full_size.

    Returns
    -------
    Tensor
        B_simple in examples, 0-d. Infinite where the noise leaves nothing of the gradient to be seen; 0 where there is
        no noise.

    Raises
    ------
    ArgumentError
        The sizes are not in order.
    """
    if not 1 <= micro_size < full_size:
        raise ArgumentError(
            f"cannot use micro_size={micro_size!r} with full_size={full_size!r}: micro_size must be a number in"
            " [1, full_size)"
        )
    micro, full = micro_norms_squared.mean(), full_norms_squared.mean()
    signal = (full_size * full - micro_size * micro) / (full_size - micro_size)
    noise = (micro - full) / (1.0 / micro_size - 1.0 / full_size)
    return torch.where(noise <= 0, torch.zeros_like(noise), noise / signal.clamp(min=0))


@torch.no_grad()
def global_norm(params: torch.Tensor | Iterable[torch.Tensor]) -> torch.Tensor:
    """Euclidean norm of all gradients together, over all shards, as a plain 0-d tensor.

    Parameters
    ----------
    params
        Parameters; those without gradient are left out. Gradients of half precision are summed in float32.

    Raises
    ------
    UnsupportedError
        A gradient is sparse.
    """
    plain: list[torch.Tensor] = []
    sharded: dict[Any, list[torch.Tensor]] = {}
    for grad in _gradients(params):
        # torch adds up neither plain with sharded gradients nor, without loss, those of half precision.
        half = grad.dtype in (torch.float16, torch.bfloat16)
        part = torch.linalg.vector_norm(grad, dtype=torch.float32) if half else grad
        (sharded.setdefault(grad.device_mesh, []) if hasattr(grad, "device_mesh") else plain).append(part)
    for parts in sharded.values():
        plain.append(get_total_norm(parts).full_tensor())  # type: ignore[attr-defined]
    return get_total_norm(plain)


@torch.no_grad()
def normalize_gradients_(params: torch.Tensor | Iterable[torch.Tensor]) -> torch.Tensor:
    """Scale all gradients in place so that together they have norm 1; zero gradients stay zero.

    Parameters
    ----------
    params
        Parameters; those without gradient are left out.

    Returns
    -------
    Tensor
        The norm that they had, 0-d.

    Raises
    ------
    UnsupportedError
        A gradient is sparse.
    """
    params = [params] if isinstance(params, torch.Tensor) else list(params)
    norm = global_norm(params)
    divisor = _divisor(norm)
    for grad in _gradients(params):
        grad.div_(divisor.to(grad.device))
    return norm


@torch.no_grad()
def filter_outliers_(optimizer: torch.optim.Optimizer, threshold: float, *, history: int = 10) -> None:
    """Filter the gradients of an optimizer's parameters in place by the moments that it keeps of them.

    Parameters
    ----------
    optimizer
        Any with torch's buffers ``exp_avg``, ``exp_avg_sq`` and ``step`` and with ``betas`` in its groups: Adam, AdamW,
        this package's. Parameters without the buffers are left alone. Weight decay that is not decoupled is part of the
        moments, and so of what is expected. Moments in half precision, as torch keeps them under such parameters, know
        no variance much below the square of the mean; this package's are in float32.
    threshold
        Standard deviations that still pass, in (0, inf]; see :func:`filter_outliers`.
    history
        Steps that a parameter must have taken before its gradients are judged, from 2.

    Raises
    ------
    ArgumentError
        `threshold` or `history` outside its range.
    """
    check_in_range("threshold", threshold, 0.0, open_low=True)
    check_in_range("history", history, 2)
    for group in optimizer.param_groups:
        for param in group["params"]:
            state = optimizer.state.get(param, {})
            if param.grad is None or not {"exp_avg", "exp_avg_sq", "step"} <= state.keys():
                continue
            beta1, beta2 = (float(beta) for beta in group["betas"][:2])
            mean, square = local_real(state["exp_avg"]), local_real(state["exp_avg_sq"])
            step = torch.as_tensor(state["step"], dtype=mean.dtype, device=mean.device)
            mean = mean / ema_weight(step, beta1)
            variance = gradient_variance(mean, square / ema_weight(step, beta2))
            if group.get("maximize", False):
                mean = -mean  # the moments are those of the gradient with its sign turned
            grad = local_real(param.grad)
            grad.copy_(filter_outliers(grad, mean, torch.where(step >= history, variance, 0.0), threshold))


def _divisor(norm: torch.Tensor) -> torch.Tensor:
    return torch.where(norm > 0, norm, torch.ones_like(norm))


def _gradients(params: torch.Tensor | Iterable[torch.Tensor]) -> list[torch.Tensor]:
    params = [params] if isinstance(params, torch.Tensor) else params
    grads = [param.grad for param in params if param.grad is not None]
    for grad in grads:
        if grad.layout != torch.strided:
            raise UnsupportedError(
                f"cannot take the norm of a gradient of layout {grad.layout}; accepted are dense gradients (for an"
                " embedding, sparse=False)"
            )
    return grads
