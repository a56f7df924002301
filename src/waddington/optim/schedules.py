"""The papers' schedules of the rate and of the moments' decay, as schedulers for any torch optimizer.

"Deep learning optimization using adaptive gradient methods: a mathematical framework for enhanced convergence" (AMVT)
trains with a constant rate after a warm-up, cosine annealing and step decay (Algorithms 2-4) and proves its theorem for
``α/√t``, as does AlphaAdam (Theorem 3.8). "Improved convergence in deep neural networks using a modified adaptive
moment gradient thresholding algorithm" (AMGT) has ``η0/(1 + αt)`` (Eq. 10), ``1/(μk)`` (Eq. 13) and decays β1(t), β2(t)
that vary in time (Eq. 3).

Steps are counted as the papers count them: the first step of the optimizer is t = 1. What is a step is up to whoever
calls ``scheduler.step()``: after every ``optimizer.step()``, or after every epoch.

Every function gives one of torch's own schedulers, to be used and saved like any other: the rate that a group has when
the scheduler is made is its α0, groups keep the ratios of their rates, a rate that is a tensor is written in place, and
``load_state_dict`` brings arguments back with the count, so that a run goes on exactly as it was begun.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, LambdaLR, LinearLR, LRScheduler, SequentialLR

from waddington._checks import check_count, check_in_range
from waddington.errors import ArgumentError

__all__ = [
    "BetaScheduler",
    "constant_with_warmup",
    "cosine",
    "cosine_with_restarts",
    "inverse_sqrt",
    "inverse_time",
    "step_decay",
    "strongly_convex",
]


def constant_with_warmup(optimizer: torch.optim.Optimizer, warmup_steps: int) -> LRScheduler:
    """Raise the rate linearly, ``α0 t / T_warmup``, then leave it at α0 (AMVT, Algorithm 2).

    Parameters
    ----------
    optimizer
        Its groups' rates are their α0.
    warmup_steps
        T_warmup, the first step at the full rate. 0 and 1 are no warm-up.

    Raises
    ------
    ArgumentError
        `warmup_steps` is no whole number from 0.
    """
    check_count("warmup_steps", warmup_steps, 0)
    steps = max(int(warmup_steps), 1)
    return LinearLR(optimizer, start_factor=1.0 / steps, end_factor=1.0, total_iters=steps - 1)


def cosine(
    optimizer: torch.optim.Optimizer,
    total_steps: int,
    *,
    min_lr: float = 0.0,
    warmup_steps: int = 0,
    first_step: int = 1,
) -> LRScheduler:
    """Anneal to the minimum, ``α_min + (α0 - α_min)(1 + cos(πt/T))/2`` (AMVT, Algorithm 3); there the rate stays.

    Parameters
    ----------
    optimizer
        Its groups' rates are their α0.
    total_steps
        T, warm-up included.
    min_lr
        α_min, for every group. In [0, lr].
    warmup_steps
        Steps that rise to α0 as in Algorithm 2; the cosine then runs over the ``T - T_warmup`` that remain.
    first_step
        The t of the first step: 1 as in the paper, whose last step is taken at α_min, or 0 as in torch's
        ``CosineAnnealingLR``, whose first step is taken at α0.

    Raises
    ------
    ArgumentError
        An argument outside its range, or `min_lr` above the rate of a group.
    """
    check_count("total_steps", total_steps, 1)
    check_count("warmup_steps", warmup_steps, 0, total_steps - 1)
    check_count("first_step", first_step, 0, 1)
    # torch's CosineAnnealingLR multiplies the present rate by a ratio of cosines. It cannot begin at t = 1, it rises
    # again after T, and as the second half of a SequentialLR it would spend the step after the warm-up at α0 again.
    return LambdaLR(
        optimizer,
        [_Cosine(total_steps, warmup_steps, first_step, floor) for floor in _floors(optimizer, min_lr)],
    )


def cosine_with_restarts(
    optimizer: torch.optim.Optimizer,
    cycle_steps: int,
    *,
    cycle_factor: int = 1,
    min_lr: float = 0.0,
    warmup_steps: int = 0,
) -> LRScheduler:
    """Anneal by a cosine again and again, from α0 towards `min_lr` (SGDR, Loshchilov & Hutter 2017, Eq. 5).

    AMVT names this schedule (Section 2.5) and gives no formula, so it is torch's ``CosineAnnealingWarmRestarts``: the
    first step of each cycle is taken at α0, and the one that would be taken at `min_lr` begins the next.

    Parameters
    ----------
    optimizer
        Its groups' rates are their α0.
    cycle_steps
        Steps of the first cycle.
    cycle_factor
        How many times longer each cycle is than the one before.
    min_lr
        α_min, for every group. In [0, lr].
    warmup_steps
        Steps that rise to α0 as in Algorithm 2, before the first cycle.

    Raises
    ------
    ArgumentError
        An argument outside its range, or `min_lr` above the rate of a group.
    """
    check_count("cycle_steps", cycle_steps, 1)
    check_count("cycle_factor", cycle_factor, 1)
    check_count("warmup_steps", warmup_steps, 0)
    _floors(optimizer, min_lr)
    if not warmup_steps:
        return CosineAnnealingWarmRestarts(optimizer, int(cycle_steps), int(cycle_factor), min_lr)
    warmup = constant_with_warmup(optimizer, warmup_steps)
    cycles = CosineAnnealingWarmRestarts(optimizer, int(cycle_steps), int(cycle_factor), min_lr)
    return SequentialLR(optimizer, [warmup, cycles], [int(warmup_steps)])


def step_decay(
    optimizer: torch.optim.Optimizer, step_size: int, *, gamma: float = 0.1, first_step: int = 1
) -> LRScheduler:
    """Multiply the rate by a factor every so many steps, ``α0 γ^⌊t/s⌋`` (AMVT, Algorithm 4).

    Parameters
    ----------
    optimizer
        Its groups' rates are their α0.
    step_size
        s, the steps between two changes.
    gamma
        γ, in (0, 1]. The paper gives no value; this is torch's.
    first_step
        The t of the first step: 1 as in the paper, whose first plateau therefore lasts s - 1 steps, or 0 as in torch's
        ``StepLR``, where it lasts s.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    """
    check_count("step_size", step_size, 1)
    check_in_range("gamma", gamma, 0.0, 1.0, open_low=True)
    check_count("first_step", first_step, 0, 1)
    # torch's StepLR counts from 0: its changes come one step later than Algorithm 4's.
    return LambdaLR(optimizer, _StepDecay(step_size, gamma, first_step))


def inverse_time(optimizer: torch.optim.Optimizer, decay: float, *, first_step: int = 1) -> LRScheduler:
    """Let the rate fall with time, ``η0 / (1 + αt)`` (AMGT, Eq. 10).

    Parameters
    ----------
    optimizer
        Its groups' rates are their η0.
    decay
        α per step, in [0, inf).
    first_step
        The t of the first step: 1, or 0 to take the first step at η0.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    """
    check_in_range("decay", decay, 0.0, open_high=True)
    check_count("first_step", first_step, 0, 1)
    return LambdaLR(optimizer, _InverseTime(decay, first_step))


def inverse_sqrt(optimizer: torch.optim.Optimizer) -> LRScheduler:
    """Let the rate fall as ``α0 / √t``, for which AMVT's Theorem 1 and AlphaAdam's Theorem 3.8 are stated.

    Parameters
    ----------
    optimizer
        Its groups' rates are their α0, the rate of the first step.
    """
    return LambdaLR(optimizer, _InverseSqrt())


def strongly_convex(optimizer: torch.optim.Optimizer, mu: float) -> LRScheduler:
    """Let the rate fall as ``η0 / (μk)``, k = 1 at the first step; η0 = 1 is AMGT's Eq. 13.

    Parameters
    ----------
    optimizer
        Its groups' rates are their η0, as with ``AMGT(schedule="strongly_convex")``.
    mu
        μ, the constant of strong convexity of the objective, in (0, inf).

    Raises
    ------
    ArgumentError
        `mu` outside its range.
    """
    check_in_range("mu", mu, 0.0, open_low=True, open_high=True)
    return LambdaLR(optimizer, _StronglyConvex(mu))


class BetaScheduler:
    """Decays of the moments that vary in time, β1 → β1(t) and β2 → β2(t) (AMGT, Eq. 3), for any optimizer with betas.

    Made before the first step, for which it sets the betas; ``step()`` after each ``optimizer.step()``, as with a
    scheduler of the rate.

    Parameters
    ----------
    optimizer
        Its groups have ``"betas"``; further entries than the first two are left alone.
    beta1, beta2
        Give the decay from the number of the step, counted from 1; each value in [0, 1). None leaves the groups' own.

    Raises
    ------
    ArgumentError
        A group without betas, or a value outside its range, which leaves the betas as they were.

    Notes
    -----
    Most optimizers correct bias by ``1 - β^t`` with the β of the present step, as AMGT's Eq. 2 is printed. That is the
    weight of the average only while β is constant; this package's AMGT keeps the weight itself.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        beta1: Callable[[int], float] | None = None,
        beta2: Callable[[int], float] | None = None,
    ) -> None:
        for index, group in enumerate(optimizer.param_groups):
            if "betas" not in group:
                raise ArgumentError(
                    f"cannot use optimizer={type(optimizer).__name__}: optimizer must have 'betas' in every parameter"
                    f" group, and group {index} has none"
                )
        self.optimizer = optimizer
        self.beta1 = beta1
        self.beta2 = beta2
        self.last_step = 1
        self._apply(1)

    def step(self) -> None:
        """Set the betas of the next step.

        Raises
        ------
        ArgumentError
            A value outside [0, 1); betas and count stay.
        """
        self._apply(self.last_step + 1)
        self.last_step += 1

    def state_dict(self) -> dict[str, Any]:
        """Give the count; the functions are not part of it."""
        return {"last_step": self.last_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved count, and set the betas of the step it had come to."""
        self._apply(state_dict["last_step"])
        self.last_step = state_dict["last_step"]

    def _apply(self, step: int) -> None:
        values: dict[int, float] = {}
        for index, function in enumerate((self.beta1, self.beta2)):
            if function is not None:
                values[index] = float(function(step))
                check_in_range(f"beta{index + 1}({step})", values[index], 0.0, 1.0, open_high=True)
        for group in self.optimizer.param_groups:
            betas = list(group["betas"])
            for index, value in values.items():
                # Compiled and captured steps know a tensor by its place.
                betas[index] = betas[index].fill_(value) if isinstance(betas[index], torch.Tensor) else value
            group["betas"] = tuple(betas)


# Objects and not closures, because LambdaLR saves the former's state and forgets the latter's.
@dataclass(frozen=True)
class _Cosine:
    total_steps: int
    warmup_steps: int
    first_step: int
    floor: float

    def __call__(self, epoch: int) -> float:
        step = min(epoch + self.first_step, self.total_steps)
        if step < self.warmup_steps:
            return step / self.warmup_steps
        done = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        return self.floor + (1.0 - self.floor) * (1.0 + math.cos(math.pi * done)) / 2.0


@dataclass(frozen=True)
class _StepDecay:
    step_size: int
    gamma: float
    first_step: int

    def __call__(self, epoch: int) -> float:
        return float(self.gamma ** ((epoch + self.first_step) // self.step_size))


@dataclass(frozen=True)
class _InverseTime:
    decay: float
    first_step: int

    def __call__(self, epoch: int) -> float:
        return 1.0 / (1.0 + self.decay * (epoch + self.first_step))


@dataclass(frozen=True)
class _InverseSqrt:
    def __call__(self, epoch: int) -> float:
        return 1.0 / math.sqrt(epoch + 1)


@dataclass(frozen=True)
class _StronglyConvex:
    mu: float

    def __call__(self, epoch: int) -> float:
        return 1.0 / (self.mu * (epoch + 1))


def _floors(optimizer: torch.optim.Optimizer, min_lr: float) -> list[float]:
    """Give α_min as a fraction of each group's α0."""
    check_in_range("min_lr", min_lr, 0.0, open_high=True)
    # Where an earlier scheduler has moved the rate, this is the one it started from, as for torch's own.
    rates = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
    for rate in rates:
        if min_lr > rate:
            raise ArgumentError(f"cannot use min_lr={min_lr!r} with lr={rate!r}: min_lr must be a number in [0, lr]")
    return [min_lr / rate if rate else 0.0 for rate in rates]
