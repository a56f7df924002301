"""How a rate runs over a training: with a known horizon, without one, and with controls of a switch."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from waddington._checks import check_choice, check_count, check_in_range
from waddington._text import counted

__all__ = ["CONTROLS", "COURSES", "KNOWING", "Schedule"]

COURSES = ("constant", "cosine", "inverse-sqrt", "restarts")
KNOWING = ("cosine",)
"""Courses that know the number of steps."""
CONTROLS = ("none", "periodic", "random", "mean")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A course of the rate.

    Attributes
    ----------
    name
        ``"constant"``, ``"cosine"`` (to `end` of the rate at the last step, whose number it knows), ``"inverse-sqrt"``
        (of the step) or ``"restarts"`` (cosine, `period` steps a cycle).
    warmup
        Share of the steps over which the rate first rises from 0.
    end
        Of ``"cosine"``: the last rate as a fraction of the first.
    control
        A switch that knows nothing of curvature, on top of the course: ``"periodic"`` and ``"random"`` take a `share`
        of the steps at the whole rate and the others at `low` of it; ``"mean"`` takes all at what these have on
        average.
    period
        Steps of a cycle of ``"restarts"`` and of the ``"periodic"`` control.
    share, low
        Of the control: share of steps at the whole rate, and the other rate as a fraction of it.
    """

    name: str = "constant"
    warmup: float = 0.0
    end: float = 0.0
    control: str = "none"
    period: int = 20
    share: float = 0.5
    low: float = 0.1

    def __post_init__(self) -> None:
        check_choice("schedule", self.name, COURSES)
        check_in_range("warmup", self.warmup, 0.0, 1.0, open_high=True)
        check_in_range("end", self.end, 0.0, 1.0)
        check_choice("control", self.control, CONTROLS)
        check_count("period", self.period, 1)
        check_in_range("share", self.share, 0.0, 1.0)
        check_in_range("low", self.low, 0.0, 1.0)

    @property
    def in_words(self) -> str:
        """The course for people: ``"cosine to zero"``, ``"constant rate after 0.05 of the steps as warmup"``."""
        words = {
            "constant": "constant rate",
            "cosine": f"cosine to {f'{self.end:g} of the rate' if self.end else 'zero'}",
            "inverse-sqrt": "rate over the square root of the step",
            "restarts": f"cosines of {counted(self.period, 'step')}",
        }[self.name]
        warmup = f" after {self.warmup:.3g} of the steps as warmup" if self.warmup else ""
        control = f", {self.control} control" if self.control != "none" else ""
        return f"{words}{warmup}{control}"

    @property
    def used(self) -> tuple[str, ...]:
        """Names of the fields that the factor depends on, besides the name."""
        ends, controls = self.name == "cosine", self.control != "none"
        cycles = self.name == "restarts" or self.control == "periodic"
        idle = {"end": not ends, "period": not cycles, "share": not controls, "low": not controls}
        return tuple(name for name in self.__dataclass_fields__ if name != "name" and not idle.get(name, False))

    def factor(self, step: int, *, steps: int, seed: int) -> float:
        """Give the factor on the rate at a step.

        Parameters
        ----------
        step
            From 0.
        steps
            In all.
        seed
            Of the random control, whose every step is known without those before.
        """
        warmup = round(self.warmup * steps)
        rising = min(1.0, (step + 1) / warmup) if warmup else 1.0
        return rising * self._course(step, warmup, steps) * self._control(step, seed)

    def build(self, optimizer: torch.optim.Optimizer, *, steps: int, seed: int) -> LRScheduler | None:
        """Make the scheduler, stepped after every step of the optimizer; None where the rate stays."""
        if self.name == "constant" and self.control == "none" and not round(self.warmup * steps):
            return None
        factor: Callable[[int], float] = lambda step: self.factor(step, steps=steps, seed=seed)  # noqa: E731
        return LambdaLR(optimizer, factor)

    def _course(self, step: int, warmup: int, steps: int) -> float:
        if self.name == "cosine":
            done = min(1.0, max(0, step + 1 - warmup) / max(1, steps - warmup))
            return self.end + (1.0 - self.end) * (1.0 + math.cos(math.pi * done)) / 2.0
        if self.name == "inverse-sqrt":
            return 1.0 / math.sqrt(step + 1)
        if self.name == "restarts":
            return (1.0 + math.cos(math.pi * (step % self.period) / self.period)) / 2.0
        return 1.0

    def _control(self, step: int, seed: int) -> float:
        if self.control == "none":
            return 1.0
        if self.control == "mean":
            return self.share + (1.0 - self.share) * self.low
        if self.control == "periodic":
            is_large = step % self.period < self.share * self.period
        else:
            is_large = random.Random(f"{seed} {step}").random() < self.share
        return 1.0 if is_large else self.low
