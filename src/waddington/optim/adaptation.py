"""What to make of gradient statistics: AMVT's third module (Section 3.1), each piece usable alone.

"Deep learning optimization using adaptive gradient methods: a mathematical framework for enhanced convergence" lists
rates per coordinate, a signal-to-noise ratio, an adjustment to curvature, and warm-up and decay. The first is its Step
6 (Algorithm 1, line h); warm-up and decay are in :mod:`waddington.optim.schedules`; the others it does not write out,
and the formulas here are this project's reading.

All moments are bias-corrected: m̂ of gradients, v̂ of their squares, ŝ of their squared distances from the mean. Every
function is pure, works on any shape, and reads no value on the host.
"""

from __future__ import annotations

import torch

from waddington._checks import check_in_range
from waddington.errors import ArgumentError
from waddington.optim.moments import Number

__all__ = [
    "adaptive_denominator",
    "adaptive_rate",
    "curvature_momentum",
    "damped_decay",
    "secant_curvature",
    "signal_to_noise",
    "variance_penalty",
]


def signal_to_noise(exp_avg: torch.Tensor, variance: torch.Tensor, eps: float = 1e-8) -> torch.Tensor:
    """Signal-to-noise ratio of each coordinate, ``m̂² / (ŝ + ε)``.

    Parameters
    ----------
    exp_avg, variance
        m̂ and ŝ, same shape.
    eps
        ε; the default is the paper's.
    """
    return exp_avg.square() / (variance + eps)


def variance_penalty(variance: torch.Tensor, exp_avg_sq: torch.Tensor, eps: Number = 1e-8) -> torch.Tensor:
    """Factor by which noise shortens a step, ``(1 + ŝ/(v̂ + ε))^(-1/2)``, in (0, 1] (AMVT, Algorithm 1, line h).

    No noise gives 1; nothing but noise, ŝ = v̂, gives 1/√2, so that the factor has less to say than it seems to.

    Parameters
    ----------
    variance, exp_avg_sq
        ŝ and v̂, same shape, not negative.
    eps
        ε; the default is the paper's. With 0, a coordinate that never had a gradient gives NaN.
    """
    return torch.rsqrt(1.0 + variance / (exp_avg_sq + eps))


def adaptive_rate(variance: torch.Tensor, exp_avg_sq: torch.Tensor, eps: float = 1e-8) -> torch.Tensor:
    """Rate of each coordinate for a base rate of 1: the penalty over ``√(v̂ + ε)`` (AMVT, Step 6; Algorithm 1, line h).

    The penalty is ``√((v̂ + ε) / (v̂ + ŝ + ε))``, so its quotient by ``√(v̂ + ε)`` is ``1/√(v̂ + ŝ + ε)``, and this is
    how it is computed: AMVT is Adam, its ε inside the root, with the variance added to the second moment.

    Parameters
    ----------
    variance, exp_avg_sq
        ŝ and v̂, same shape, not negative.
    eps
        ε; the default is the paper's. With 0, a coordinate that never had a gradient gives infinity.
    """
    return 1.0 / adaptive_denominator(variance, exp_avg_sq, eps)


def adaptive_denominator(variance: torch.Tensor, exp_avg_sq: torch.Tensor, eps: Number = 1e-8) -> torch.Tensor:
    """What AMVT divides its momentum by, ``√(v̂ + ŝ + ε)``: one over :func:`adaptive_rate`; arguments as there."""
    return (exp_avg_sq + variance + eps).sqrt()


def curvature_momentum(
    curvature: torch.Tensor, lr: float | torch.Tensor, low: float = 0.0, high: float = 0.99
) -> torch.Tensor:
    """Momentum that suits a curvature, ``(1 - √(lr h))²`` kept in [low, high].

    This is our reading of the paper's "momentum scheduling that adjusts to loss landscape curvature". Heavy ball on a
    quadratic of curvature h contracts by √μ per step if ``(1 - √μ)² ≤ lr h ≤ (1 + √μ)²`` (the robust region of Zhang &
    Mitliagkas 2019, "YellowFin and the art of momentum tuning"), and the formula is the smallest μ for which it does:
    critical damping. More curvature means less momentum up to ``lr h = 1``, where none is needed. Beyond, the
    rate is too large for the curvature, and momentum rises again to keep the iteration stable, which at ``lr h ≥ 4`` no
    momentum can.

    Parameters
    ----------
    curvature
        h, any shape; negative counts as 0. :func:`secant_curvature` estimates it.
    lr
        Rate of the heavy-ball update ``θ += μ Δθ - lr g``, without the factor 1 - μ of an average of gradients.
    low, high
        Limits of the momentum, 0 ≤ low ≤ high < 1.

    Returns
    -------
    Tensor
        Shape of `curvature`.

    Raises
    ------
    ArgumentError
        The limits are not in order.
    """
    check_in_range("low", low, 0.0, 1.0, open_high=True)
    check_in_range("high", high, 0.0, 1.0, open_high=True)
    if low > high:
        raise ArgumentError(f"cannot use low={low!r} with high={high!r}: low must be a number in [0, high]")
    return (1.0 - torch.sqrt((lr * curvature).clamp(min=0))).square().clamp(low, high)


def damped_decay(curvature: torch.Tensor, low: Number = 0.0, high: Number = 0.99) -> torch.Tensor:
    """Decay of an averaged momentum that suits a curvature, ``((1 - a)/(1 + a))²`` kept in [low, high].

    The critical damping of :func:`curvature_momentum` for ``m = β m + (1-β) g; θ -= α m``, whose steps are those of
    heavy ball at the rate (1-β) α: ``β = (1 - √((1-β) a))²`` has this one solution.

    Parameters
    ----------
    curvature
        a = α h, the rate times the curvature along the step, not negative, any shape; without a unit.
    low, high
        Limits of the decay; not checked.
    """
    return ((1.0 - curvature) / (1.0 + curvature)).square().clamp(low, high)  # type: ignore[arg-type]


def secant_curvature(
    grad: torch.Tensor, previous_grad: torch.Tensor, param: torch.Tensor, previous_param: torch.Tensor
) -> torch.Tensor:
    """Curvature along the last step, ``‖Δg‖ / ‖Δθ‖``.

    On a quadratic it lies between the smallest and the largest absolute eigenvalue of the Hessian. Both gradients must
    be of the same examples: otherwise their noise, over a short step, is what is measured.

    Parameters
    ----------
    grad, previous_grad
        Gradients at the two points, any shape.
    param, previous_param
        The two points, same shape.

    Returns
    -------
    Tensor
        0-d; 0 where nothing moved.
    """
    change = torch.linalg.vector_norm(grad - previous_grad)
    distance = torch.linalg.vector_norm(param - previous_param)
    return torch.where(distance > 0, change / distance, torch.zeros_like(distance))
