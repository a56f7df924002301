"""The Hessian of a small transformer: its eigenvalues, its blocks, and what lies outside of them (Theorem 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from waddington import bench, jobs
from waddington.analysis.bounds import alphaadam as theory
from waddington.claims import pictures
from waddington.claims.experiments.comparing import mean_of
from waddington.claims.experiments.walking import walk
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of

__all__ = [
    "blocks", "draw_couplings", "draw_eigenvalues", "draw_spreads", "has_alike_eigenvalues", "is_nearly_diagonal",
    "is_positive_definite",
]  # fmt: skip


@experiment()
def blocks(
    seed: int, *, looks: Sequence[int] = (0, 50, 200), rate: float = 1e-2, windows: int = 32, **parameters: Any
) -> Mapping[str, Any]:
    """Train a transformer of one block on letters by AdamW; its dense Hessian of one batch after so many steps.

    A block of the Hessian is a tensor of the model.
    """
    sizes = {"width": 8, "layers": 1, "heads": 2, "context": 8, **parameters}
    made = bench.get_task("char-transformer").problem(seed, batch_size=windows, clip=None, **sizes)
    made.model.double()
    batch = made.batch(torch.Generator().manual_seed(seed), 0)
    made.batch = lambda draw, step: batch
    optimizer = torch.optim.AdamW(made.model.parameters(), lr=rate, foreach=False)
    found = []
    for step, loss in walk(made, optimizer, steps=max(looks) + 1, seed=seed):
        if step - 1 in looks:
            one = theory.measure_blocks(made.model, loss)
            found.append(
                {
                    "step": step - 1,
                    "loss": float(loss(made.model).detach()),
                    "lowest": one.lowest,
                    "highest": one.highest,
                    "negative": one.negative,
                    "count": int(one.sizes.sum()),
                    "is_positive_definite": one.is_positive_definite,
                    "coupling": one.coupling,
                    "spread": float(min(one.spreads.max(), 1e300)),
                    "wide_blocks": int((one.spreads >= 1.0).sum()),
                    "blocks": len(one.names),
                }
            )
    return {"looks": found}


def is_positive_definite(records: Sequence[jobs.Record]) -> Finding:
    """Say whether every Hessian is positive definite, which a c1 above 0 needs."""
    points = _points(records)
    shares = mean_of([float(np.mean([one["negative"] / one["count"] for one in row])) for row in _by_run(records)])
    words = (
        f"of {len(points)} Hessians {sum(one['is_positive_definite'] for one in points)} are positive definite; λ_min"
        f" is {_range([one['lowest'] for one in points])}, λ_max {_range([one['highest'] for one in points])}, and of"
        f" {points[0]['count']:,} eigenvalues a share of {shares.words()} is negative"
    )
    return Finding(
        holds=all(one["is_positive_definite"] for one in points),
        words=words,
        figures={"smallest eigenvalue": min(one["lowest"] for one in points), "negative share": shares.middle},
        interval=shares.interval,
        detectable=shares.detectable,
    )


def is_nearly_diagonal(records: Sequence[jobs.Record]) -> Finding:
    """Say whether ε = ‖E‖/‖D‖ is small enough for c1 > 0 at all: below 1 on every Hessian."""
    points = _points(records)
    mean = mean_of([float(np.mean([one["coupling"] for one in row])) for row in _by_run(records)])
    words = (
        f"ε = ‖E‖/‖D‖ is {_range([one['coupling'] for one in points])}, {mean.words()} in the mean, with each tensor a"
        " block"
    )
    return Finding(
        holds=all(one["coupling"] < 1.0 for one in points),
        words=words,
        figures={"largest ε": max(one["coupling"] for one in points), "mean ε": mean.middle},
        interval=mean.interval,
        detectable=mean.detectable,
    )


def has_alike_eigenvalues(records: Sequence[jobs.Record]) -> Finding:
    """Say whether in every block all eigenvalues lie within (1±σ)μ with σ below 1 and μ above 0."""
    points = _points(records)
    shares = mean_of([float(np.mean([one["wide_blocks"] / one["blocks"] for one in row])) for row in _by_run(records)])
    words = (
        f"a share of {shares.words()} of the {points[0]['blocks']} blocks has a spread of 1 or more, or no μ above 0;"
        f" on {sum(one['wide_blocks'] > 0 for one in points)} of {len(points)} Hessians there is such a block"
    )
    return Finding(
        holds=all(one["wide_blocks"] == 0 for one in points),
        words=words,
        figures={"share of wide blocks": shares.middle},
        interval=shares.interval,
        detectable=shares.detectable,
    )


def draw_eigenvalues(records: Sequence[jobs.Record]) -> Any:
    """Draw the smallest eigenvalues."""
    return _drawn(records, lambda one: one["lowest"], "smallest eigenvalue", 0.0)


def draw_couplings(records: Sequence[jobs.Record]) -> Any:
    """Draw ε."""
    return _drawn(records, lambda one: one["coupling"], "ε = ‖E‖/‖D‖", 1.0)


def draw_spreads(records: Sequence[jobs.Record]) -> Any:
    """Draw the share of blocks whose eigenvalues are not alike."""
    return _drawn(records, lambda one: one["wide_blocks"] / one["blocks"], "share of blocks with σ ≥ 1", 0.0)


def _by_run(records: Sequence[jobs.Record]) -> list[list[dict[str, Any]]]:
    return [row["looks"] for row in results_of(records)]


def _points(records: Sequence[jobs.Record]) -> list[dict[str, Any]]:
    return [one for row in _by_run(records) for one in row]


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"


def _drawn(records: Sequence[jobs.Record], figure: Any, label: str, line: float) -> Any:
    rows = []
    for at in range(len(_by_run(records)[0])):
        one = mean_of([figure(row[at]) for row in _by_run(records)])
        step = _by_run(records)[0][at]["step"]
        rows.append(pictures.Row(name=f"after {step} steps", middle=one.middle, interval=one.interval))
    return pictures.forest(rows, label=label, line=line)
