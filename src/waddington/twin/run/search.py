"""Which settings an optimizer is tried at, with as many trials for each of them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from waddington.errors import ArgumentError
from waddington.twin.run.config import RunConfig
from waddington.twin.run.optimizers import OptimizerSetting

__all__ = ["Point", "points"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A rate, and what else is searched."""

    lr: float
    searched: tuple[tuple[str, float], ...] = ()
    """Other arguments by name."""


def points(config: RunConfig, optimizer: str) -> tuple[Point, ...]:
    """Give the points that an optimizer tries; as many for every optimizer of a run.

    Its grid is that of the rates, of `beta2_grid` where it has a second moment, and of those values of `p_grid` that it
    accepts. Where the grid is larger than the number of trials, so many of its points are taken, spread evenly over
    rates and other values. Where it is smaller the rates are made finer, evenly on a logarithmic scale from the least
    to the largest; a single rate stays one.

    Parameters
    ----------
    config
        Has the grids and the number of trials; without rates there is nothing to try.
    optimizer
        With its own arguments.
    """
    if not config.lr_grid:
        return ()
    others = _others(config, optimizer)
    trials = config.trials or len(config.lr_grid) * max(len(_others(config, name)) for name in config.optimizer)
    rates = sorted(config.lr_grid)
    if trials < len(rates):
        rates = [rates[round(index)] for index in np.linspace(0, len(rates) - 1, trials)]
    elif trials > len(rates) * len(others) and min(rates) < max(rates):
        rates = [float(rate) for rate in np.geomspace(min(rates), max(rates), -(-trials // len(others)))]
    turns = min(len(others), -(-trials // len(rates)))
    # A stride without a common factor visits all, and moves on in every one of the searched arguments.
    stride = next(n for n in itertools.count(len(others) // turns + 1) if math.gcd(n, len(others)) == 1)
    taken = [(lr, others[(i + turn * stride) % len(others)]) for turn in range(turns) for i, lr in enumerate(rates)]
    return tuple(Point(lr=lr, searched=searched) for lr, searched in sorted(taken[:trials]))


def _others(config: RunConfig, optimizer: str) -> list[tuple[tuple[str, float], ...]]:
    """Give the grid of what is searched beside the rate; one empty point where there is nothing."""
    setting = OptimizerSetting.of(optimizer)
    axes = {
        name: kept
        for name, values in {"beta2": config.beta2_grid, "p": config.p_grid}.items()
        if (kept := [value for value in values if _accepts(config, setting, name, value)])
    }
    return [tuple(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _accepts(config: RunConfig, setting: OptimizerSetting, name: str, value: float) -> bool:
    """Say whether an optimizer has an argument, and takes this value."""
    if name not in setting.accepted:
        return False
    try:
        setting.with_arguments({name: value}).check(config.arguments(setting.text, config.rate(setting.text)))
    except ArgumentError:
        return False
    return True
