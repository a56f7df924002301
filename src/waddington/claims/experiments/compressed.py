"""What quantized and sparsified updates cost AMGT and Adam, at the rate that is best without compression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from waddington import jobs
from waddington.claims import pictures
from waddington.claims.experiments.comparing import Estimate, log_ratio
from waddington.claims.experiments.own_rates import RATES, best_rate, trained
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of
from waddington.optim import Compressed

__all__ = ["WAYS", "draw_losses", "is_robust", "losses"]

WAYS: Mapping[str, Mapping[str, Any]] = {
    "4 levels": {"method": "quantize", "levels": 4},
    "16 levels": {"method": "quantize", "levels": 16},
    "largest 1 %": {"method": "top_k", "fraction": 0.01},
    "largest 10 %": {"method": "top_k", "fraction": 0.1},
}
"""QSGD with 4 and 16 levels of the largest magnitude, and top-k; all with error feedback."""
_ALLOWED = 1.05
ARMS = ("AMGT", "Adam")


@experiment(version=2)
def losses(
    seed: int, *, optimizer: str, rates: Sequence[float] = RATES, steps: int = 400, hidden: int = 64
) -> Mapping[str, Any]:
    """Tune the rate without compression; the test loss on digits without, and with each way, at that rate."""
    settings: dict[str, Any] = {"optimizer": optimizer, "steps": steps, "parameters": {"hidden": hidden}}
    rate, at_end = best_rate(seed, rates, **settings)
    found = {}
    for name, way in {"none": None, **WAYS}.items():
        around = None if way is None else (lambda inner, way=way: Compressed(inner, **way))
        _, run, _ = trained(seed, rate=rate, around=around, **settings)
        found[name] = None if run.test is None else run.test["loss"]
    return {"optimizer": optimizer, "rate": rate, "at_end": at_end, "losses": found}


def is_robust(records: Sequence[jobs.Record]) -> Finding:
    """Say whether each compression leaves AMGT's loss within 5 %: the upper end of the ratio is 1.05 at most."""
    found = _ratios(records)
    worst = max(found["AMGT"].values(), key=lambda one: one.high if one.high == one.high else float("inf"))
    rows = results_of(records)
    apart = {
        way: log_ratio(
            *([_cost(row, way) for row in rows if row["optimizer"] == name] for name in ARMS), n_contrasts=len(WAYS)
        )
        for way in WAYS
    }
    words = "test loss with compression over that without: " + "; ".join(
        f"{way} AMGT {found['AMGT'][way].words()}, Adam {found['Adam'][way].words()}, AMGT's cost over Adam's"
        f" {apart[way].words()}"
        for way in WAYS
    )
    return Finding(
        holds=all(one.high <= _ALLOWED for one in found["AMGT"].values()),
        words=words,
        figures={f"loss ratio, {name}, {way}": one.middle for name in ARMS for way, one in found[name].items()},
        interval=worst.interval,
        detectable=worst.detectable,
    )


def draw_losses(records: Sequence[jobs.Record]) -> Any:
    """Draw what each way costs either."""
    rows = [
        pictures.Row(name=f"{way}, {name}", middle=one.middle, interval=one.interval)
        for way in WAYS
        for name in ARMS
        for one in (_ratios(records)[name][way],)
    ]
    return pictures.forest(rows, label="test loss with compression over that without", line=1.0, limit=_ALLOWED)


def _ratios(records: Sequence[jobs.Record]) -> dict[str, dict[str, Estimate]]:
    rows = results_of(records)
    found: dict[str, dict[str, Estimate]] = {}
    for name in ARMS:
        mine = [row["losses"] for row in rows if row["optimizer"] == name]
        found[name] = {
            way: log_ratio([one[way] for one in mine], [one["none"] for one in mine], n_contrasts=len(WAYS))
            for way in WAYS
        }
    return found


def _cost(row: Mapping[str, Any], way: str) -> float | None:
    with_it, without = row["losses"][way], row["losses"]["none"]
    return None if with_it is None or without is None else with_it / without
