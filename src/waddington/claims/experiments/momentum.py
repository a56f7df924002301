"""How much momentum varies, measured on gradients whose covariance is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from waddington import jobs
from waddington.analysis.bounds import alphaadam as theory
from waddington.bench.statistics import Interval
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment

__all__ = ["is_the_factor", "spread"]


@experiment()
def spread(seed: int, *, beta: float, chains: int = 20_000, steps: int = 600) -> Mapping[str, Any]:
    """Simulate momentum of normal gradients; the printed factor beside what was found."""
    found = dataclasses.asdict(theory.simulate_momentum(beta, chains=chains, steps=steps, seed=seed))
    return {"beta": beta, "printed": (1.0 - beta) ** 2 / (1.0 - beta**2), **found}


def is_the_factor(records: Sequence[jobs.Record]) -> Finding:
    """Say whether every simulated factor is within three standard errors of the printed one."""
    rows = [dict(record.result or {}) for record in records]
    apart = [abs(row["variance"] - row["printed"]) / row["variance_error"] for row in rows]
    words = "; ".join(
        f"β = {row['beta']:g}: momentum's variance is {row['variance']:.5f} ± {row['variance_error']:.5f} of a"
        f" gradient's, printed is {row['printed']:.5f}; the sum of {row['steps']} updates keeps"
        f" {row['displacement']:.2f}"
        for row in rows
    )
    last = rows[-1]
    reach = 1.96 * last["variance_error"]
    return Finding(
        holds=all(one < 3.0 for one in apart),  # NaN is not within
        words=words,
        figures={"largest distance in standard errors": max(apart)},
        interval=Interval(last["variance"] - reach, last["variance"] + reach),
        detectable=2.8 * last["variance_error"],
    )
