"""How a rate runs over a training: with a known horizon, without one, and as controls of a switch."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from waddington._checks import check_choice, check_count, check_in_range
from waddington.optim import schedules

__all__ = ["SCHEDULES", "Schedule"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A course of the rate.

    Attributes
    ----------
    name
        ``"constant"``, ``"cosine"`` (to `end` of the rate at the last step, whose number it knows), ``"inverse-sqrt"``
        (of the step), ``"restarts"`` (cosine, `period` steps a cycle), ``"periodic"`` and ``"random"`` (the whole rate
        on a share of the steps, `low` of it on the others: controls for a switch that knows nothing), ``"mean"`` (the
        constant rate that these two have on average).
    warmup
        Share of the steps over which the rate first rises from 0.
    end
        Of ``"cosine"``: the last rate as a fraction of the first.
    period
        Steps of a cycle of ``"restarts"`` and ``"periodic"``.
    share, low
        Of the controls: share of steps at the whole rate, and the other rate as a fraction of it.
    """

    name: str = "constant"
    warmup: float = 0.0
    end: float = 0.0
    period: int = 20
    share: float = 0.5
    low: float = 0.1

    def __post_init__(self) -> None:
        check_choice("schedule", self.name, SCHEDULES)
        check_in_range("warmup", self.warmup, 0.0, 1.0, open_high=True)
        check_in_range("end", self.end, 0.0, 1.0)
        check_count("period", self.period, 1)
        check_in_range("share", self.share, 0.0, 1.0)
        check_in_range("low", self.low, 0.0, 1.0)

    @property
    def knows_the_horizon(self) -> bool:
        """Whether it needs to know how long the training is."""
        return self.name == "cosine" or self.warmup > 0.0

    def build(self, optimizer: torch.optim.Optimizer, *, steps: int, seed: int) -> LRScheduler | None:
        """Make the scheduler, stepped after every step of the optimizer; None where the rate stays."""
        warmup = round(self.warmup * steps)
        if self.name == "constant":
            return schedules.constant_with_warmup(optimizer, warmup) if warmup > 1 else None
        if self.name == "cosine":
            factor: Callable[[int], float] = _cosine(steps, warmup, self.end)
        else:
            factor = _warmed(_FACTORS[self.name](self, seed), warmup)
        return LambdaLR(optimizer, factor)


def _cosine(steps: int, warmup: int, end: float) -> Callable[[int], float]:
    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step + 1 - warmup) / max(1, steps - warmup))
        return end + (1.0 - end) * (1.0 + math.cos(math.pi * done)) / 2.0

    return factor


def _warmed(factor: Callable[[int], float], warmup: int) -> Callable[[int], float]:
    return lambda step: factor(step) * min(1.0, (step + 1) / warmup) if warmup else factor(step)


def _inverse_sqrt(schedule: Schedule, seed: int) -> Callable[[int], float]:
    return lambda step: 1.0 / math.sqrt(step + 1)


def _restarts(schedule: Schedule, seed: int) -> Callable[[int], float]:
    return lambda step: (1.0 + math.cos(math.pi * (step % schedule.period) / schedule.period)) / 2.0


def _periodic(schedule: Schedule, seed: int) -> Callable[[int], float]:
    large = schedule.share * schedule.period
    return lambda step: 1.0 if step % schedule.period < large else schedule.low


def _random(schedule: Schedule, seed: int) -> Callable[[int], float]:
    def factor(step: int) -> float:
        is_large = (
            random.Random(f"{seed} {step}").random() < schedule.share
        )  # known for every step, whatever came before
        return 1.0 if is_large else schedule.low

    return factor


def _mean(schedule: Schedule, seed: int) -> Callable[[int], float]:
    mean = schedule.share + (1.0 - schedule.share) * schedule.low
    return lambda step: mean


_FACTORS: dict[str, Callable[[Schedule, int], Callable[[int], float]]] = {
    "inverse-sqrt": _inverse_sqrt,
    "restarts": _restarts,
    "periodic": _periodic,
    "random": _random,
    "mean": _mean,
}
SCHEDULES = ("constant", "cosine", *_FACTORS)
