"""The base-rate switch: one rate for the whole model at each step, out of ``[alpha_min, lr]``.

The paper (Boabang & Gyamerah, "Enhanced Adaptive Stochastic Gradient Descent: Convergence Analysis and Its Application
in Single-Cell Perturbation Analysis") sets ``α_t = u f(v_t) + C``, which is ``α_min`` or ``α_max`` according to the
curvature that the second moment v shows (Eqs. 3-5). What f is, it says in several ways; all of them are here, under the
names of the argument ``switch``:

``"mean"`` (Eq. 2, Algorithm 1 lines 8-13 and 17-21, to the letter)
    Per tensor, the mean of abs(v) against the mean of v. As v ≥ 0 these are one number, every step is a tie, and a tie
    gives α_max: the rule never switches.
``"coordinate"`` (the paragraph after Lemma 2)
    The coordinates of v above their tensor's mean against those below it, counted over all tensors. v is skewed to the
    right, so most lie below: in practice the rate is always α_min.
``"momentum"`` (a later revision)
    The statistics of ``"mean"``, of m. ``mean(abs(m)) > mean(m)`` but in freak cases: the rate is always α_min.
``"relative"`` (this project's own)
    The curvature of the last few steps against its own recent course; see below. It does alternate.
``"linear"`` (Eqs. 3 and 4 read as a real-valued f)
    ``"relative"`` without jumps: a logistic function of the same statistic, whose limit is the dual rate.
``"alignment"`` (this project's own)
    The cosine between the gradient and Adam's previous update, over the whole model. `alignment` says how the rate is
    read off it: two rates, a clock that noise turns, or a ratchet. See :mod:`waddington.optim.alignment`. The clock is
    the default: of all rules that a registered study compared on fresh tasks it has the least regret.

The relative rule in full. Curvature is read off mean squared gradients, as the paper does. The mean of v over
coordinates obeys the same recursion as v, so a second moment of any horizon costs one scalar for the whole model. The
switch keeps its own, c, bias-corrected and with a horizon of one `switch_interval`: v itself, with β2 = 0.999,
remembers a thousand steps, and a comparison with anything slower than that is decided once and for all in the first
steps of most trainings. Every `switch_interval` steps it looks at the level ``l = log c``, so that a rescaled loss
makes the same choices, and takes from it what was to be expected: its slow reference r, and, because gradients fall
(or, once noise is being memorized, rise) for most of a training, the mean deviation b from that reference, which is the
trend::

    d = l - r        e = d - b        z = e / s

r, b and s² are averages of l, d and e² over the last `memory` looks. The model is in a sharp region from where z
exceeds `hysteresis` until it falls below minus it. A rate that is large in sharp regions then falls as the gradients
do, without being told a horizon, and z in units of its own scatter keeps the rule alternating whatever the task's
noise.

Everything is functions of tensors; nothing is read on the host. The rule needs only the gradient, the paper's also the
buffers ``exp_avg`` and ``exp_avg_sq``. A rule carries the switch by naming it as its ``_control``; any other optimizer,
torch's too, is put into a :class:`~waddington.optim.Switched`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from waddington.optim import alignment as aligned
from waddington.optim._moved import moved, renamed_arguments
from waddington.optim._switch_settings import (
    FOLLOWING,
    RATIO,
    RENAMED,
    SWITCHES,
    LargeRateIn,
    Switch,
    check_switch,
    is_read,
    small_rate,
)
from waddington.optim.moments import DEVICE, Arithmetic, Number, Numbers
from waddington.optim.rule import Settings, Stage, Tensors

__all__ = [
    "RENAMED",
    "SWITCHES",
    "BaseRateSwitch",
    "LargeRateIn",
    "Switch",
    "check_switch",
    "chosen_fraction",
    "count_vote",
    "is_read",
    "relative_deviation",
    "sign_vote",
    "small_rate",
]

# Changes of the curvature below one percent are no news, however little it scatters: a noiseless training must not
# switch on rounding errors.
_RESOLUTION = 0.01


def sign_vote(mean_absolute: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Count Eq. 2's factors over tensors: positive or zero says α_max.

    Parameters
    ----------
    mean_absolute, mean
        ``mean(abs(x))`` and ``mean(x)`` of each tensor, shape (tensors,).

    Returns
    -------
    Tensor
        ``count_nonzero(f_max) - count_nonzero(f_min)``, 0-d.
    """
    f_min = (torch.sign(mean_absolute - mean) + 1.0) / 2.0
    f_max = (torch.sign(mean - mean_absolute) + 1.0) / 2.0
    return (torch.count_nonzero(f_max) - torch.count_nonzero(f_min)).to(mean.dtype)


@renamed_arguments(**RENAMED)
def count_vote(above: torch.Tensor, below: torch.Tensor, count_ratio: float) -> torch.Tensor:
    """Compare the coordinates at or above their tensor's mean with those at or below: positive or zero says α_max.

    Parameters
    ----------
    above, below
        Their numbers in each tensor, shape (tensors,).
    count_ratio
        Weight of those below.
    """
    return above.sum() - count_ratio * below.sum()


def relative_deviation(
    level: Number, state: Numbers, memory: float, arithmetic: Arithmetic = DEVICE
) -> tuple[Number, dict[str, Number]]:
    """Compare a level with its own recent course; the relative rule's only arithmetic.

    Parameters
    ----------
    level
        Logarithm of the curvature, a number or 0-d.
    state
        ``looks``, ``reference``, ``trend`` and ``variance`` as of the last look, likewise, all zero at first.
    memory
        Looks that the averages remember. Until there have been so many they are plain means.
    arithmetic
        ``HOST`` if all are Python numbers, ``DEVICE`` if they are tensors.

    Returns
    -------
    z
        Deviation from reference and trend in units of its scatter; zero at the first look.
    state
        The four entries as of this look.
    """
    looks = state["looks"] + 1.0
    weight = arithmetic.at_least(1.0 / looks, 1.0 / memory)
    reference = arithmetic.where(state["looks"] == 0.0, level, state["reference"])
    deviation = level - reference
    residual = deviation - state["trend"]
    # The variance takes the new residual in before it judges it: no outlier exceeds √memory, and nothing divides by 0.
    variance = state["variance"] + weight * (residual * residual - state["variance"])
    z = residual / arithmetic.at_least(arithmetic.sqrt(variance), _RESOLUTION)
    return z, {
        "looks": looks,
        "reference": reference + weight * deviation,
        "trend": state["trend"] + weight * residual,
        "variance": variance,
    }


def _signs_of_second(grad: torch.Tensor, buffers: Tensors, totals: Tensors) -> Tensors:
    return {"absolute": buffers["exp_avg_sq"].abs(), "signed": buffers["exp_avg_sq"]}


def _signs_of_first(grad: torch.Tensor, buffers: Tensors, totals: Tensors) -> Tensors:
    return {"absolute": buffers["exp_avg"].abs(), "signed": buffers["exp_avg"]}


def _second(grad: torch.Tensor, buffers: Tensors, totals: Tensors) -> Tensors:
    return {"second": buffers["exp_avg_sq"]}


def _counts(grad: torch.Tensor, buffers: Tensors, totals: Tensors) -> Tensors:
    mean, second = totals["second"] / totals["size"].clamp_min(1.0), buffers["exp_avg_sq"]
    return {"above": second >= mean, "below": second <= mean}


def _energy(grad: torch.Tensor, buffers: Tensors, totals: Tensors) -> Tensors:
    return {"energy": grad.square()}


_STAGES: dict[str, tuple[Stage, ...]] = {
    "mean": (Stage(_signs_of_second, ("exp_avg_sq",)),),
    "momentum": (Stage(_signs_of_first, ("exp_avg",)),),
    "coordinate": (Stage(_second, ("exp_avg_sq",)), Stage(_counts, ("exp_avg_sq",))),
    "relative": (Stage(_energy),),
    "linear": (Stage(_energy),),
}

_ALIGNMENT = Stage(aligned.alignment_terms, ("exp_avg", "exp_avg_sq"), before=True)
_ALIGNMENT_OF_MAXIMUM = Stage(aligned.alignment_terms, ("exp_avg", "max_exp_avg_sq"), before=True)


class BaseRateSwitch:
    """The switch as a rate control (:class:`waddington.optim.rule.RateControl`); it has no state of its own."""

    settings: tuple[str, ...] = (
        *("switch", "large_rate_in", "count_ratio", "switch_interval", "hysteresis", "memory", "alignment", "tau"),
    )

    def initial(self, settings: Settings) -> dict[str, float]:
        """Name the entries of the state.

        A training starts where its gradients are largest, so the first region is a sharp one.
        """
        is_aligned = settings["switch"] == "alignment"
        large = 1.0 if is_aligned or settings["large_rate_in"] == "sharp" else 0.0
        followed = aligned.STATE if is_aligned else ("curvature", "looks", "reference", "trend", "variance")
        reported = ("statistic", "rate", "mean_rate", "large_fraction")
        return {f"switch_{name}": 0.0 for name in ("steps", *followed, *reported)} | {"switch_large": large}

    def stages(self, settings: Settings) -> tuple[Stage, ...]:
        """Give the statistics of one tensor that the rule asks for."""
        if settings["switch"] == "alignment":
            return (_ALIGNMENT_OF_MAXIMUM if settings.get("amsgrad") else _ALIGNMENT,)
        return _STAGES[settings["switch"]]

    def defers_stats(self, state: Mapping[str, float], settings: Settings) -> bool:
        """Tell whether the coming step is between two looks, where only the curvature is followed."""
        followed = settings["switch"] in FOLLOWING
        return followed and state["switch_steps"] % settings["switch_interval"] != 0.0

    def summarize(self, totals: Tensors, sizes: torch.Tensor, settings: Settings) -> torch.Tensor:
        """Give the mean squared gradient, the cosine, or the vote of the paper's rules."""
        if settings["switch"] == "alignment":
            return aligned.cosine(*(totals[name].sum() for name in ("product", "gradient", "update")))
        if settings["switch"] in FOLLOWING:
            return totals["energy"].sum() / sizes.sum().clamp_min(1.0)
        if settings["switch"] == "coordinate":
            return count_vote(totals["above"], totals["below"], settings["count_ratio"])
        return sign_vote(totals["absolute"] / sizes.clamp_min(1.0), totals["signed"] / sizes.clamp_min(1.0))

    def decide(self, summary: Number, state: Numbers, settings: Settings, arithmetic: Arithmetic) -> dict[str, Number]:
        """Choose the rate: 1 in ``switch_large`` is the large one, 0 the small one."""
        old = {name.removeprefix("switch_"): value for name, value in state.items()}
        if settings["switch"] in FOLLOWING:
            new = _relative(summary, old, settings, arithmetic)
        elif settings["switch"] == "alignment":
            new = aligned.follow(summary, old, settings, arithmetic)
        else:
            new = {"statistic": summary, "large": arithmetic.number(summary >= 0.0)}
        steps = old["steps"] + 1.0
        rate = _mix(new["large"], settings)
        large_fraction = old["large_fraction"] + (arithmetic.number(new["large"] > 0.5) - old["large_fraction"]) / steps
        mean_rate = old["mean_rate"] + (rate - old["mean_rate"]) / steps
        new |= {"steps": steps, "rate": rate, "mean_rate": mean_rate, "large_fraction": large_fraction}
        return {f"switch_{name}": value for name, value in new.items()}

    def rate(self, state: Numbers, settings: Settings) -> Number:
        """Give a group's rate; `alpha_min` follows `lr` in proportion, from the value that `lr` had at first."""
        return _mix(state["switch_large"], settings)

    def describe(self, state: Mapping[str, float]) -> dict[str, float]:
        """Give ``base_rate``, ``statistic``, ``large_rate_fraction`` and ``mean_rate``, of the steps taken so far.

        ``"alignment"`` has ``cosine`` of the last step, ``noise_steps`` since the last alarm, and ``alarms``, besides.
        """
        found = {
            "base_rate": state["switch_rate"],
            "statistic": state["switch_statistic"],
            "large_rate_fraction": state["switch_large_fraction"],
            "mean_rate": state["switch_mean_rate"],
        }
        if "switch_alarms" in state:
            found |= {name: state[f"switch_{name}"] for name in ("cosine", "noise_steps", "alarms")}
        return found


def _relative(mean_square: Number, state: Numbers, settings: Settings, arithmetic: Arithmetic) -> dict[str, Number]:
    interval = settings["switch_interval"]
    beta = 1.0 - 1.0 / interval
    curvature = mean_square + beta * (state["curvature"] - mean_square)
    # Between looks, and before there has been any gradient but zero, all stays as it is.
    now = (state["steps"] % interval == 0.0) & (curvature > 0.0)
    weight = 1.0 - beta ** (state["steps"] + 1.0)
    z, looked = relative_deviation(
        arithmetic.log(arithmetic.at_least(curvature / weight, arithmetic.tiny(curvature))),
        state,
        settings["memory"],
        arithmetic,
    )
    if settings["switch"] == "relative":
        sharp_is_large = settings["large_rate_in"] == "sharp"
        up, down = (1.0, 0.0) if sharp_is_large else (0.0, 1.0)
        large = arithmetic.where(z > settings["hysteresis"], up, state["large"])
        large = arithmetic.where(z < -settings["hysteresis"], down, large)
    else:
        sign = 1.0 if settings["large_rate_in"] == "sharp" else -1.0
        # The first look has nothing to compare with; what holds is the region that a training starts in.
        chosen = arithmetic.sigmoid(sign * z / settings["hysteresis"])
        large = arithmetic.where(state["looks"] == 0.0, state["large"], chosen)
    looked |= {"statistic": z, "large": large}
    kept = {name: arithmetic.where(now, value, state[name]) for name, value in looked.items()}
    return kept | {"curvature": curvature}


def _mix(large: Number, settings: Settings) -> Number:
    # Both ends are exact: 1 gives lr to the last bit, 0 gives alpha_min * lr / base_lr.
    lr: Number = settings["lr"]
    small = lr * _ratio(settings)
    mixed: Number = large * lr + (1.0 - large) * small
    return mixed


def _ratio(settings: Settings) -> float:
    """Give the small rate as a fraction of the large one: as both were first, which schedulers scale together."""
    large, small = settings["base_lr"], settings["alpha_min"]
    if small is None:
        return 1.0 / RATIO
    return min(float(small / large), 1.0) if large else 0.0  # beside 0 none but 0 can be given


def chosen_fraction(state: Tensors, settings: Settings) -> torch.Tensor:
    """Give the chosen rate as a fraction of ``lr``, 0-d; both ends are exact."""
    large, small = state["switch_large"], _ratio(settings)
    return large + (1.0 - large) * small


__getattr__ = moved(
    __name__,
    {"Switched": "waddington.optim.wrappers.switched", "look": "waddington.optim.switching:relative_deviation"},
)
