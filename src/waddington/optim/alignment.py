"""The alignment of each gradient with Adam's previous update, and the base rates that can be read off it.

With m and w = √v̂ + ε as they were *before* the step, and sums over all coordinates of the model::

    c = Σ g m/w / √(Σ g²/w · Σ m²/w)

is the cosine between the gradient and the update before it, in the norm that Adam steps in. It is positive where the
last steps went too short, negative where they went too far or where noise prevails, and a gradient that is scaled, as
clipping does it, has the same c. It needs no buffer: three sums, in one collective. Where it is undefined (no gradient,
or no step yet) it counts as 0. Its mean S, its variance V and a clock N are followed with it::

    S += (c - S) / min(t, 20)
    V += ((c - S)² - V) / min(t, 100)
    G = max(0, G + c/√V - ½)            from t = 11 on
    G > 8:  alarm, N = G = 0;           else N += 1 where S < 0

N counts the steps at which noise prevailed since the last alarm; the alarm (a CUSUM test, Page 1954) goes where
gradients keep pointing the same way again, because the data or the loss have changed. Three readings set the rate:

``"dual"``
    Two rates: the large one from where S > .02, the small one from where S < -.02, and in between what it was.
``"clock"``
    ``α = lr f`` with ``f = (1 + N/τ)^(-½)``: the rate falls while noise prevails and is `lr` again after an alarm.
``"ratchet"``
    ``α = lr f``, where f, 1 at first, is halved where the mean of c over a window of ``75/f`` steps is below 0; windows
    follow one another without overlap. It never rises.

The latter two fall towards a small rate where one is given: ``α = α_min + (lr - α_min) f``, the ``u f + C`` of the
paper's Eq. 3.

All constants are of a first trial; :mod:`waddington.optim.switching` carries the readings as ``switch="alignment"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch

from waddington.optim.moments import Arithmetic, Number, Numbers

__all__ = [
    "ALARM",
    "ALIGNMENTS",
    "DEAD_ZONE",
    "DRIFT",
    "MEAN_STEPS",
    "SETTLING_STEPS",
    "STATE",
    "VARIANCE_STEPS",
    "WINDOW",
    "Alignment",
    "alignment_terms",
    "cosine",
    "follow",
]

Alignment = Literal["dual", "clock", "ratchet"]
"""How the rate is read off the cosine."""
ALIGNMENTS = get_args(Alignment)
"""All values of `alignment`."""

MEAN_STEPS = 20
"""Steps that S remembers; before there have been so many it is the plain mean."""
VARIANCE_STEPS = 100
"""Steps that V remembers, likewise."""
DEAD_ZONE = 0.02
"""Of ``"dual"``: \\|S\\| up to which the rate stays what it was."""
SETTLING_STEPS = 10
"""Steps before the alarm is listened to: V has to be known."""
DRIFT = 0.5
"""What the CUSUM forgets at each step, in standard deviations of the cosine."""
ALARM = 8.0
"""Where it goes, likewise."""
WINDOW = 75
"""Of ``"ratchet"``: steps of the window at the whole rate; at a smaller f it is longer in proportion."""

STATE = ("cosine", "mean", "variance", "cusum", "noise_steps", "alarms", "window_steps", "window_sum")
"""Names of what is followed from step to step, all zero at first."""


def alignment_terms(
    grad: torch.Tensor, buffers: Mapping[str, torch.Tensor], numbers: Numbers
) -> dict[str, torch.Tensor]:
    """Give the terms of the cosine's three sums, before a step.

    Parameters
    ----------
    grad
        g, real, any shape.
    buffers
        ``exp_avg`` and ``exp_avg_sq``, or ``max_exp_avg_sq`` in the latter's place, of the same shape, before the step.
    numbers
        ``eps`` (0 without), and where averages are corrected for bias ``correction2``, ``beta2`` and ``rest2`` of the
        step to come, as :mod:`waddington.optim.moments` has them.

    Returns
    -------
    dict
        ``product``, ``gradient`` and ``update``, of the shape of `grad`.
    """
    second = buffers["max_exp_avg_sq"] if "max_exp_avg_sq" in buffers else buffers["exp_avg_sq"]
    if "correction2" in numbers:
        second = second / _weight_before(numbers)
    root = second.sqrt() + numbers["eps"] if "eps" in numbers else second.sqrt()
    over = 1.0 / root.clamp_min(torch.finfo(root.dtype).tiny)
    update = buffers["exp_avg"] * over
    return {"product": update * grad, "gradient": grad * over * grad, "update": update * buffers["exp_avg"]}


def _weight_before(numbers: Numbers) -> Number:
    """Give the weight ``1 - β2^(t-1)`` of the second moment before step t, from what corrects it afterwards.

    It is never less than ``1 - β2`` once there is a moment; before that there is nothing to be divided.
    """
    beta, rest = numbers["beta2"], numbers["rest2"]
    smallest = torch.finfo(torch.float32).tiny  # β2 may be 0
    beta = beta.clamp_min(smallest) if isinstance(beta, torch.Tensor) else max(beta, smallest)
    weight = (1.0 / numbers["correction2"] - rest) / beta
    if not isinstance(weight, torch.Tensor):
        return max(weight, float(rest))
    return torch.maximum(weight, rest) if isinstance(rest, torch.Tensor) else weight.clamp_min(rest)


def cosine(product: torch.Tensor, gradient: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
    """Give c from its three sums over the model, 0-d; 0 where the gradient or the update is zero, NaN where one is."""
    length = gradient.sqrt() * update.sqrt()  # and not the root of the product, which is sooner out of range
    return torch.where((gradient <= 0.0) | (update <= 0.0), torch.zeros_like(product), product / length)


def follow(c: Number, state: Numbers, settings: Mapping[str, Any], arithmetic: Arithmetic) -> dict[str, Number]:
    """Take in the cosine of a step.

    Parameters
    ----------
    c
        The cosine, a number or 0-d.
    state
        The entries :data:`STATE`, ``steps`` taken before, and ``large``, which is 1 at first.
    settings
        ``alignment``, the reading, and ``tau``, the τ of its clock.
    arithmetic
        ``HOST`` if all are Python numbers, ``DEVICE`` if they are tensors.

    Returns
    -------
    dict
        The new entries. ``large`` is f, for ``"dual"`` 1 at the large rate and 0 at the small one; ``statistic`` is S.
    """
    where, at_least = arithmetic.where, arithmetic.at_least
    steps = state["steps"] + 1.0
    mean = state["mean"] + at_least(1.0 / steps, 1.0 / MEAN_STEPS) * (c - state["mean"])
    deviation = c - mean
    variance = state["variance"] + at_least(1.0 / steps, 1.0 / VARIANCE_STEPS) * (
        deviation * deviation - state["variance"]
    )
    in_deviations = c / at_least(arithmetic.sqrt(variance), arithmetic.tiny(variance))
    cusum = where(steps > SETTLING_STEPS, at_least(state["cusum"] + in_deviations - DRIFT, 0.0), state["cusum"])
    alarm = cusum > ALARM
    noise_steps = where(alarm, 0.0, state["noise_steps"] + arithmetic.number(mean < 0.0))
    found = {
        "cosine": c,
        "mean": mean,
        "variance": variance,
        "cusum": where(alarm, 0.0, cusum),
        "noise_steps": noise_steps,
        "alarms": state["alarms"] + arithmetic.number(alarm),
        "statistic": mean,
    }
    if settings["alignment"] == "dual":
        large = where(mean > DEAD_ZONE, 1.0, where(mean < -DEAD_ZONE, 0.0, state["large"]))
    elif settings["alignment"] == "clock":
        large = 1.0 / arithmetic.sqrt(1.0 + noise_steps / settings["tau"])
    else:
        window_steps, window_sum = state["window_steps"] + 1.0, state["window_sum"] + c
        is_full = window_steps >= WINDOW / state["large"]
        large = where(is_full & (window_sum < 0.0), 0.5 * state["large"], state["large"])
        found["window_steps"] = where(is_full, 0.0, window_steps)
        found["window_sum"] = where(is_full, 0.0, window_sum)
    return found | {"large": large}
