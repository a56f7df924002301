"""Rates from the spectrum: gradient descent at 2/(λ_max + λ_min) of a network's Hessian beside rates that are tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from waddington import analysis, bench, jobs
from waddington.claims import pictures
from waddington.claims.experiments.comparing import Estimate, log_ratio
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of

__all__ = ["descents", "draw_losses", "is_efficient"]

_FACTORS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0)
"""Of the rate 2/λ_max; 1/2 of it is 1/λ_max."""
_ALLOWED = 1.05


@experiment(version=2)
def descents(seed: int, *, steps: int = 300, hidden: int = 32) -> Mapping[str, Any]:
    """Descend on all training digits at the paper's rate from the first Hessian, and at multiples of 2/λ_max."""
    made = bench.get_task("digits").problem(seed, hidden=hidden, batch_size=1000)
    images = made.batch(torch.Generator().manual_seed(0), 0)
    start = {name: value.clone() for name, value in made.model.state_dict().items()}

    def loss(model: torch.nn.Module) -> torch.Tensor:
        return made.loss(model, images)

    def descended(rate: float) -> float | None:
        made.model.load_state_dict(start)
        optimizer = torch.optim.SGD(made.model.parameters(), lr=rate)
        for _ in range(steps):
            optimizer.zero_grad()
            torch.autograd.backward(loss(made.model))
            optimizer.step()
        end = float(loss(made.model).detach())
        return end if math.isfinite(end) else None

    rates = analysis.suggest_lr(made.model, loss)
    limit = 2.0 / rates.largest
    suggested = 2.0 / (rates.largest + rates.smallest)
    return {
        "largest": rates.largest,
        "smallest": rates.smallest,
        "first": float(loss(made.model).detach()),
        "suggested": suggested / limit,
        "loss": descended(suggested),
        "losses": {f"{factor:g}": descended(limit * factor) for factor in _FACTORS},
    }


def is_efficient(records: Sequence[jobs.Record]) -> Finding:
    """Say whether the suggested rate is stable and its loss within 5 % of the best rate's: the ratio's upper end."""
    rows = results_of(records)
    lost = sum(row["loss"] is None or row["loss"] > row["first"] for row in rows)
    found = _over_best(rows)
    half = log_ratio([row["losses"]["0.5"] for row in rows], [_best(row) for row in rows])
    tried = len(rows[0]["losses"])
    words = (
        f"at the paper's rate, 2/(λ_max + λ_min) of the first Hessian, {lost} of {len(rows)} descents end above their"
        f" start, and the loss is {found.words()} times that of the best of {tried} multiples of 2/λ_max; at 1/λ_max it"
        f" is {half.words()} times that"
    )
    return Finding(
        holds=lost == 0 and found.high <= _ALLOWED,
        words=words,
        figures={"loss over the best": found.middle, "loss at 1/λ_max over the best": half.middle, "unstable": lost},
        interval=found.interval,
        detectable=found.detectable,
    )


def draw_losses(records: Sequence[jobs.Record]) -> Any:
    """Draw the losses over multiples of the limit, of every seed."""
    rows = results_of(records)
    lines = {
        f"seed {at}": (
            list(map(float, row["losses"])),
            [math.nan if one is None else one for one in row["losses"].values()],
        )
        for at, row in enumerate(rows[:5])
    }
    return pictures.curves(lines, x="rate over 2/λ_max", y="loss at the end", logs="xy")


def _best(row: Mapping[str, Any]) -> float:
    return min((one for one in row["losses"].values() if one is not None), default=math.inf)


def _over_best(rows: Sequence[Mapping[str, Any]]) -> Estimate:
    return log_ratio([row["loss"] for row in rows], [_best(row) for row in rows])
