"""A problem with a constraint: a linear classifier of digits whose weights may not be negative, by projected steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from waddington import jobs
from waddington._checks import require_extra
from waddington.bench.statistics import Interval
from waddington.bench.tasks.digits import digits_splits
from waddington.claims import pictures
from waddington.claims.experiments.comparing import log_ratio, mean_of
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of
from waddington.optim import AMGT, Projected
from waddington.optim.schedules import inverse_time

__all__ = ["draw_gaps", "gap", "reaches_the_minimum"]

_WITHIN = 1e-3
_SMALLEST = 1e-16
"""A share that double precision can tell from none."""


@experiment(version=2)
def gap(
    seed: int, *, rates: Sequence[float] = (0.003, 0.01, 0.03, 0.1), steps: int = 1500, decay: float = 0.01
) -> Mapping[str, Any]:
    """Fit digits by least squares with weights of 0 or more; the least excess over the exact minimum, of all rates.

    Half of the images are drawn by the seed, which draws the start, too. Both rules have the rate η/(1 + αk) of Eq. 10;
    the exact minimum is SciPy's ``nnls``.
    """
    images, labels = digits_splits()["train"]
    draw = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(images), generator=draw)[: len(images) // 2]
    x = images[chosen].double()
    y = torch.nn.functional.one_hot(labels[chosen], 10).double()
    start = 0.01 * torch.rand(x.shape[1], 10, generator=draw, dtype=torch.float64)

    def loss(weight: torch.Tensor) -> torch.Tensor:
        return (x @ weight - y).square().sum() / len(x)

    nnls = require_extra("scipy.optimize", "bench").nnls
    best = sum(float(nnls(x.numpy(), column.numpy())[1]) ** 2 for column in y.T) / len(x)
    first = float(loss(start)) - best
    return {
        "start": first,
        **{
            name: min(_excess(name, rate, start, loss, steps, decay) - best for rate in rates) / first
            for name in ("AMGT", "Adam")
        },
    }


def reaches_the_minimum(records: Sequence[jobs.Record]) -> Finding:
    """Say whether projected AMGT comes within a thousandth of the first excess, on every seed."""
    rows = results_of(records)
    shares = {name: [max(row[name], _SMALLEST) for row in rows] for name in ("AMGT", "Adam")}
    logs = mean_of(np.log10(shares["AMGT"]).tolist())
    apart = log_ratio(shares["AMGT"], shares["Adam"])
    words = (
        f"projected AMGT ends within {max(shares['AMGT']):.2g} of the first excess over the exact minimum, projected"
        f" Adam within {max(shares['Adam']):.2g}; AMGT's excess is {apart.words()} times Adam's"
    )
    return Finding(
        holds=all(row["AMGT"] <= _WITHIN for row in rows),
        words=words,
        figures={"largest excess left, AMGT": max(shares["AMGT"]), "largest excess left, Adam": max(shares["Adam"]),
                 "mean log10 of the excess left, AMGT": logs.middle},
        interval=apart.interval,
        detectable=apart.detectable,
    )  # fmt: skip


def draw_gaps(records: Sequence[jobs.Record]) -> Any:
    """Draw what is left of the excess."""
    rows = results_of(records)
    shown = []
    for name in ("AMGT", "Adam"):
        one = mean_of(np.log10([max(row[name], _SMALLEST) for row in rows]).tolist())
        interval = None if one.interval is None else Interval(10.0**one.interval.low, 10.0**one.interval.high)
        shown.append(pictures.Row(name=f"Projected({name})", middle=10.0**one.middle, interval=interval))
    label = "share of the first excess that is left, geometric mean"
    return pictures.forest(shown, label=label, line=None, limit=_WITHIN, is_log=True)


def _excess(name: str, rate: float, start: torch.Tensor, loss: Any, steps: int, decay: float) -> float:
    weight = torch.nn.Parameter(start.clone())
    if name == "AMGT":
        optimizer: torch.optim.Optimizer = AMGT([weight], lr=rate, schedule="inverse_time", decay=decay)
        scheduler = None
    else:
        optimizer = torch.optim.Adam([weight], lr=rate)
        scheduler = inverse_time(optimizer, decay)
    projected = Projected(optimizer, "nonnegative")
    projected.project()
    for _ in range(steps):
        projected.zero_grad()
        torch.autograd.backward(loss(weight))
        projected.step()
        if scheduler is not None:
            scheduler.step()
    return float(loss(weight.detach()))
