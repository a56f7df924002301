"""Table 3 at a small size: a transformer over letters, AdamW and its masks, at given and at tuned rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from waddington import bench, jobs
from waddington.bench.arm import build_optimizer
from waddington.bench.statistics import Paired, corrected, paired
from waddington.bench.statistics.intervals import FEWEST_RESAMPLES
from waddington.claims import pictures
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of

__all__ = ["ARMS", "RATES", "curve", "draw_curves", "has_the_order", "is_lowest_at_the_end"]

_COMMON = {"beta2": 0.95, "weight_decay": 0.1}
ARMS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "AdamW": ("AdamW", {}),
    "synchronous, none": ("AlphaAdam", {"mask": "synchronous", "compensation": "none"}),
    "synchronous, count": ("AlphaAdam", {"mask": "synchronous", "compensation": "count"}),
    "asynchronous, none": ("AlphaAdam", {"compensation": "none"}),
    "asynchronous, count": ("AlphaAdam", {"compensation": "count"}),
    "asynchronous, α": ("AlphaAdam", {"compensation": "full"}),
}
"""The arms of Table 3. It does not say what makes up for its masks without α: they have both, nothing and the count."""
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
_PERCENT = (20, 40, 60, 100)
_TUNING = 1000
_PAPER = {
    20: ("asynchronous, α", "asynchronous", "AdamW", "synchronous"),
    40: ("asynchronous, α", "asynchronous", "AdamW", "synchronous"),
    60: ("asynchronous, α", "asynchronous", "AdamW", "synchronous"),
    100: ("AdamW", "asynchronous, α", "asynchronous", "synchronous"),
}
"""The order of the arms in each column of Table 3, the lowest loss first."""


@experiment()
def curve(
    seed: int, *, arm: str, rate: float | None = 6e-4, steps: int = 1000, warmup: float = 0.02, **parameters: Any
) -> Mapping[str, Any]:
    """Train an arm on letters with nanoGPT's settings; validation losses after 20, 40, 60 and 100 % of the steps.

    A rate of None is tuned on another seed.
    """
    at_end = False
    if rate is None:
        losses = [_losses(seed + _TUNING, arm, one, steps, warmup, parameters)[-1] for one in RATES]
        best = int(np.argmin([math.inf if one is None else one for one in losses]))
        rate, at_end = RATES[best], best in (0, len(RATES) - 1)
    return {"arm": arm, "rate": rate, "at_end": at_end, "losses": _losses(seed, arm, rate, steps, warmup, parameters)}


def has_the_order(records: Sequence[jobs.Record]) -> Finding:
    """Say whether in each column every arm is below the next of Table 3, by Holm's correction over all pairs.

    The masks without α count where either of their compensations does.
    """
    rows = results_of(records)
    pairs = [
        (percent, low, high, _apart(rows, low, high, at))
        for at, percent in enumerate(_PERCENT)
        for low, high in zip(_PAPER[percent], _PAPER[percent][1:], strict=False)
    ]
    p_values = corrected([min((one.p or 1.0) for one in found) for *_, found in pairs])
    held = [
        (p or 1.0) < 0.05 and any(one.mean is not None and one.mean < 0.0 and one.p for one in found)
        for (*_, found), p in zip(pairs, p_values, strict=True)
    ]
    last = _apart(rows, "asynchronous, α", "AdamW", -1, resamples=10_000)[0]
    words = (
        f"{sum(held)} of {len(pairs)} neighbours in Table 3's four columns are in its order, by Holm's correction; at"
        " the end "
        + ", ".join(f"{arm} {np.mean(_column(rows, arm, -1)):.4f}" for arm in ARMS)
        + f"; α less AdamW {'not measurable' if last.mean is None else f'{last.mean:+.4f}'}"
    )
    return Finding(
        holds=all(held),
        words=words,
        figures={f"loss at the end, {arm}": float(np.mean(_column(rows, arm, -1))) for arm in ARMS},
        interval=last.interval,
        detectable=last.mde,
    )


def is_lowest_at_the_end(records: Sequence[jobs.Record]) -> Finding:
    """Say whether asynchronous masks with α end below AdamW and below synchronous masks with the count."""
    rows = results_of(records)
    found = [
        _apart(rows, "asynchronous, α", other, -1, resamples=10_000)[0] for other in ("AdamW", "synchronous, count")
    ]
    p_values = corrected([one.p for one in found])
    first = found[0]
    words = "at the end of a small training α ends " + " and ".join(
        f"{'nowhere measurable' if one.mean is None else f'{one.mean:+.4f}'} from {other} (p = {(p or 1.0):.3f})"
        for one, other, p in zip(found, ("AdamW", "Cautious AdamW"), p_values, strict=True)
    )
    return Finding(
        holds=all(
            one.interval is not None and one.interval.high < 0.0 and (p or 1.0) < 0.05
            for one, p in zip(found, p_values, strict=True)
        ),
        words=words,
        figures={"loss less AdamW's": first.mean} if first.mean is not None else {},
        interval=first.interval,
        detectable=first.mde,
    )


def draw_curves(records: Sequence[jobs.Record]) -> Any:
    """Draw the mean loss of each arm over the steps."""
    rows = results_of(records)
    lines = {
        arm: (list(_PERCENT), [float(np.mean(_column(rows, arm, at))) for at in range(len(_PERCENT))])
        for arm in ARMS
        if any(row["arm"] == arm for row in rows)
    }
    return pictures.curves(lines, x="percent of the steps", y="validation loss")


def _apart(
    rows: Sequence[Mapping[str, Any]], low: str, high: str, at: int, *, resamples: int = FEWEST_RESAMPLES
) -> list[Paired]:
    """Compare two arms of the table, with every compensation that a mask without α may have had.

    Whoever reads no interval needs few resamples.
    """
    choices = [name for name in ("none", "count") if not {low, high} <= set(ARMS)] or [""]
    found = []
    for choice in choices:
        arms = [name if name in ARMS else f"{name}, {choice}" for name in (low, high)]
        found.append(paired(*(_column(rows, arm, at) for arm in arms), n_resamples=resamples))
    return found


def _column(rows: Sequence[Mapping[str, Any]], arm: str, at: int) -> list[float]:
    return [math.inf if row["losses"][at] is None else row["losses"][at] for row in rows if row["arm"] == arm]


def _losses(
    seed: int, arm: str, rate: float, steps: int, warmup: float, parameters: Mapping[str, Any]
) -> list[float | None]:
    name, own = ARMS[arm]
    made = bench.get_task("char-transformer").problem(seed, **parameters)
    optimizer = build_optimizer(name, made.model.parameters(), {"lr": rate, **_COMMON, **own})
    plan = bench.Plan(steps=steps, seed=seed, evaluations=5)
    found = bench.train(made, optimizer, bench.Schedule(name="cosine", warmup=warmup, end=0.1), plan)
    reached = {row["step"]: row["loss"] for row in found.curve if math.isfinite(row["loss"])}
    return [reached.get(round(percent * steps / 100)) for percent in _PERCENT]
