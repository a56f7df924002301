"""Both masks on the same gradient and moments: gradient correlation and directional sharpness along a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from waddington import bench, jobs
from waddington.analysis.bounds import alphaadam as theory
from waddington.claims import pictures
from waddington.claims.experiments.comparing import Estimate, mean_of
from waddington.claims.experiments.walking import walk
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of

__all__ = ["compared", "correlates_more", "draw_correlations", "draw_sharpnesses", "is_less_sharp"]

_NAMES = ("the batch", "the batch, per length", "all data", "all data, per length")
Rows = Sequence[Mapping[str, Any]]


@experiment()
def compared(
    seed: int, *, steps: int = 300, every: int = 10, rate: float = 1e-3, hidden: int = 32, compensation: str = "none"
) -> Mapping[str, Any]:
    """Train digits by AdamW; at every so many steps GC and DS of both masks, of the batch and of all training data.

    Given are means over the points of a run: the difference, asynchronous less synchronous, over the synchronous
    mask's mean magnitude, and the share of points at which it is above zero.
    """
    made = bench.get_task("digits").problem(seed, hidden=hidden)
    whole = bench.get_task("digits").problem(seed, hidden=hidden, batch_size=1000)
    images = whole.batch(torch.Generator().manual_seed(0), 0)
    made.model.double()
    images = (images[0].double(), images[1])
    inner = made.batch
    made.batch = lambda draw, step: (lambda pair: (pair[0].double(), pair[1]))(inner(draw, step))
    optimizer = torch.optim.AdamW(made.model.parameters(), lr=rate, foreach=False)
    points = []
    for step, loss in walk(made, optimizer, steps=steps, seed=seed):
        if step > 1 and step % every == 0:
            points.append(
                theory.compare_masks(
                    made.model, loss, optimizer, full_loss=lambda model: made.loss(model, images),
                    compensation=compensation,  # type: ignore[arg-type]  # told by name in records
                )
            )  # fmt: skip
    return {
        "points": len(points),
        "correlation": _means(points, "correlation", 1),
        "sharpness": _means(points, "sharpness", 2),
        "kept": np.mean([point.kept for point in points], axis=0).tolist(),
        "least_gap": min(point.gap for point in points),
    }


def correlates_more(records: Sequence[jobs.Record]) -> Finding:
    """Say whether the asynchronous mask has the higher GC, of the batch and of all data: both intervals above 0.

    As the paper counts it, so that downhill is positive; turned round the signs are, too.
    """
    found, shares = _estimates(results_of(records), "correlation")
    decisive = min((found[name] for name in ("the batch", "all data")), key=lambda one: one.low)
    words = (
        "GC of the asynchronous mask less that of the synchronous, over the latter, at the same points: "
        + ", ".join(f"{name} {one.words()} (above 0 at {shares[name]:.0%} of points)" for name, one in found.items())
    )
    return _finding(decisive.low > 0.0, words + "; counted uphill all signs turn", found, decisive)


def is_less_sharp(records: Sequence[jobs.Record]) -> Finding:
    """Say whether the asynchronous mask has the lower DS, of the batch and of all data: both intervals below 0."""
    found, shares = _estimates(results_of(records), "sharpness")
    decisive = max((found[name] for name in ("the batch", "all data")), key=lambda one: one.high)
    words = "DS of the asynchronous mask less that of the synchronous, over the latter's mean magnitude: " + ", ".join(
        f"{name} {one.words()} (below 0 at {1 - shares[name]:.0%} of points)" for name, one in found.items()
    )
    return _finding(decisive.high < 0.0, words, found, decisive)


def draw_correlations(records: Sequence[jobs.Record]) -> Any:
    """Draw the four differences of GC."""
    return _drawn(records, "correlation", "GC, asynchronous less synchronous, over synchronous")


def draw_sharpnesses(records: Sequence[jobs.Record]) -> Any:
    """Draw the four differences of DS."""
    return _drawn(records, "sharpness", "DS, asynchronous less synchronous, over synchronous")


def _means(points: Sequence[theory.MaskComparison], of: str, power: int) -> dict[str, list[float]]:
    """Give the relative difference and the share above zero by loss and by scale."""
    found = {}
    values = np.array([getattr(point, of) for point in points])  # points, losses, masks
    lengths = np.array([point.length for point in points])[:, None, :]
    for at, row in enumerate(("the batch", "all data")):
        for name, scaled in ((row, values), (f"{row}, per length", values / lengths**power)):
            difference = scaled[:, at, 1] - scaled[:, at, 0]
            scale = np.abs(scaled[:, at, 0]).mean()
            found[name] = [float(difference.mean() / scale), float((difference > 0.0).mean())]
    return found


def _estimates(rows: Rows, of: str) -> tuple[dict[str, Estimate], dict[str, float]]:
    found = {name: mean_of([row[of][name][0] for row in rows]) for name in _NAMES}
    return found, {name: float(np.mean([row[of][name][1] for row in rows])) for name in _NAMES}


def _finding(holds: bool, words: str, found: Mapping[str, Estimate], decisive: Estimate) -> Finding:
    return Finding(
        holds=holds,
        words=words,
        figures={f"relative difference, {name}": one.middle for name, one in found.items()},
        interval=decisive.interval,
        detectable=decisive.detectable,
    )


def _drawn(records: Sequence[jobs.Record], of: str, label: str) -> Any:
    found, _ = _estimates(results_of(records), of)
    rows = [pictures.Row(name=name, middle=one.middle, interval=one.interval) for name, one in found.items()]
    return pictures.forest(rows, label=label)
