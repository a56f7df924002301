"""Tables II and III of paper 000 by seeds: agents that an optimizer trained, beside policies that nobody trained.

The runs are those of :mod:`waddington.twin.tables`, kept in a folder of the ledger's store: what was stopped goes on,
and what several measurements need runs once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from waddington import jobs
from waddington.bench import statistics as stats
from waddington.bench.statistics import Interval
from waddington.claims.finding import Finding
from waddington.claims.measurement import Measurement, experiment, measurements
from waddington.claims.pictures import Row, forest

__all__ = [
    "GROUPS",
    "agent",
    "agents",
    "benefit_vanishes",
    "figures_agree",
    "is_in_order",
    "picture_of_anisotropy",
    "picture_of_order",
]

GROUPS = (("ASGD-Adam", "ASGD-AMSGrad"), ("Padam", "SGD"), ("AMSGrad", "Adam"))
"""The paper's order in accuracy and MSE, from the best rows to the worst."""
PROTOCOLS = ("paper", "held-out")
_FOLDER = "tables"
_SIZE: Mapping[str, Any] = {"encoders": 2}
"""Trained encoders take turns: one for each of ten seeds would take longer than the agents."""
_ANISOTROPY = ("hessian_dominance", "second_moment_spread", "gradient_dimensions")


def agents(
    rows: Iterable[str], *, regimes: Iterable[int], protocols: Iterable[str] = PROTOCOLS, seeds: int = 10
) -> tuple[Measurement, ...]:
    """Make the measurements of rows, one for each row, number of perturbations at once, protocol and seed."""
    return tuple(
        one
        for row in rows
        for regime in regimes
        for protocol in protocols
        for one in measurements(agent, seeds=seeds, row=row, regime=regime, protocol=protocol)
    )


@experiment(reads_store=True)
def agent(
    seed: int, *, folder: Path, row: str, regime: int, protocol: str, size: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """Train and judge one agent at the paper's rate, on simulated cells; its policies without training beside it.

    Parameters
    ----------
    seed
        Of cells, nets, episodes.
    folder
        Of the ledger's store.
    row
        A row of :data:`waddington.twin.tables.ROWS`.
    regime
        Most random perturbations at once.
    protocol
        ``"paper"`` or ``"held-out"``.
    size
        Fields of :class:`waddington.twin.tables.TablesConfig`, and ``n_cells``; the paper's without.

    Returns
    -------
    ``scores``, by row, way of acting and metric, of final states against the original ones as published; ``published``,
    the printed figures by row and metric; whether the training ``diverged``; ``anisotropy``, at its end.

    Raises
    ------
    MissingExtraError
        The twin's libraries are not installed.
    """
    from waddington.twin import tables  # its libraries are heavy, and not needed where records are read

    given: dict[str, Any] = {
        name: tuple(one) if isinstance(one, list) else one for name, one in {**_SIZE, **(size or {})}.items()
    }
    cells = tables.CellSource.simulated(n_cells=given.pop("n_cells", 5000))
    known = {one.name: one for one in tables.ROWS}
    known_protocol: Any = protocol
    config = tables.TablesConfig(
        cells=(cells,), rows=(known[row],), protocols=(known_protocol,), regimes=(regime,), seeds=1, seed=seed,
        anisotropy=True, **given,
    )  # fmt: skip
    found = tables.run_tables(config, folder / _FOLDER)
    records = found.records
    records = records[(records["scoring"] == "as published") & (records["modality"] == "all")]
    scores: dict[str, dict[str, dict[str, float]]] = {}
    for (name, way), part in records.groupby(["row", "evaluation"], sort=False):
        values = {str(metric): float(value) for metric, value in zip(part["metric"], part["value"], strict=True)}
        scores.setdefault(str(name), {})[str(way)] = values
    published = tables.published_table(regime)
    run = found.runs[found.runs["row"] == row].iloc[0]
    return {
        "row": row,
        "regime": regime,
        "protocol": protocol,
        "seed": seed,
        "status": str(run["status"]),
        "diverged": bool(run["diverged"]),
        "scores": scores,
        "published": {str(name): {str(k): float(v) for k, v in one.items()} for name, one in published.iterrows()},
        "anisotropy": {name: float(run[name]) for name in _ANISOTROPY if name in run and run[name] is not None},
    }


def figures_agree(records: Sequence[jobs.Record]) -> Finding:
    """Say whether every printed figure is met within a tenth of it, or within two standard deviations over seeds."""
    rows = [dict(record.result or {}) for record in records]
    printed: Mapping[str, Mapping[str, float]] = rows[0]["published"]
    apart, total = [], 0
    for name, figures in printed.items():
        for metric, said in figures.items():
            ours = _values(rows, name, metric)
            total += 1
            spread = float(ours.std(ddof=1)) if len(ours) > 1 else 0.0
            if not abs(float(ours.mean()) - said) <= max(0.1 * abs(said), 2.0 * spread):
                apart.append(f"{name}'s {metric}")
    first = "ASGD-Adam"
    accuracy, mse = (float(_values(rows, first, metric).mean()) for metric in ("accuracy", "mse"))
    near = _nearest(rows, printed[first])
    words = (
        f"{total - len(apart)} of {total} printed figures are met; {first} has accuracy {accuracy:.3f} and MSE"
        f" {mse:.3g} where {printed[first]['accuracy']:g} and {printed[first]['mse']:g} are printed; the printed row is"
        f" most like the policy {near!r}, which nobody trained"
    )
    figures = {"figures met": float(total - len(apart)), "figures": float(total), "accuracy": accuracy, "MSE": mse}
    return Finding(holds=bool(total) and not apart, words=words, figures=figures)


def is_in_order(records: Sequence[jobs.Record]) -> Finding:
    """Say whether each row is better than each of the next group in accuracy and in MSE, paired by seed, by Holm."""
    rows = [dict(record.result or {}) for record in records]
    named, found = [], []
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        mine = [row for row in rows if row["protocol"] == protocol]
        for better, worse in itertools.pairwise(GROUPS):
            for first, second, metric in ((a, b, m) for a in better for b in worse for m in ("accuracy", "mse")):
                way: Any = "higher" if metric == "accuracy" else "lower"
                a, b = (_values(mine, name, metric) for name in (first, second))
                found.append(stats.paired(a, b, better=way))
                named.append((protocol, first, second, metric))
    corrected = stats.corrected([one.p for one in found], method="holm")
    as_said = [p is not None and p <= 0.05 and one.wins > one.losses for one, p in zip(found, corrected, strict=True)]
    turned = [p is not None and p <= 0.05 and one.wins < one.losses for one, p in zip(found, corrected, strict=True)]
    at = next(
        i for i, name in enumerate(named) if name[1:] == ("ASGD-Adam", "Padam", "accuracy")
    )  # the first protocol's
    one = found[at]
    shown = "cannot be measured" if one.mean is None else f"{one.mean:+.3f}"
    ends = "" if one.interval is None else f" [{one.interval.low:+.3f}, {one.interval.high:+.3f}]"
    words = (
        f"of {len(found)} pairs of rows {sum(as_said)} are in the paper's order and {sum(turned)} in the opposite one"
        f" (Holm's p at most 0.05); ASGD-Adam's accuracy less Padam's is {shown}{ends}"
    )
    figures = {"pairs": float(len(found)), "in order": float(sum(as_said)), "in the opposite one": float(sum(turned))}
    return Finding(
        holds=bool(found) and all(as_said), words=words, figures=figures, interval=one.interval, detectable=one.mde
    )


def benefit_vanishes(records: Sequence[jobs.Record]) -> Finding:
    """Say whether there is a benefit at one and two at once, none from three on, and curvature that grows even.

    No benefit beyond two is no support where there is none below: then there is nothing to vanish.
    """
    rows = [dict(record.result or {}) for record in records]
    gaps = _gaps(rows)
    few = [gap for regime, gap in gaps.items() if regime <= 2]
    many = [gap for regime, gap in gaps.items() if regime > 2]
    is_there = all(gap.interval is not None and gap.interval.low > 0.0 for gap in few)
    is_gone = all(gap.interval is not None and not gap.interval.excludes_zero() for gap in many)
    trends = {name: _trend(rows, name) for name in _ANISOTROPY}
    rho, interval = trends["hessian_dominance"]
    said = ", ".join(
        f"{regime}: {'not measurable' if gap.mean is None else format(gap.mean, '+.3f')}"
        + ("" if gap.interval is None else f" [{gap.interval.low:+.3f}, {gap.interval.high:+.3f}]")
        for regime, gap in gaps.items()
    )
    words = (
        f"ASGD-Adam's accuracy less Adam's, by perturbations at once, is {said}; the Hessian's dominance goes with"
        f" their number by ρ = {rho:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}] (Spearman), the second moment's"
        f" spread by {trends['second_moment_spread'][0]:+.2f}, the gradients' dimensions by"
        f" {trends['gradient_dimensions'][0]:+.2f}"
    )
    figures = {f"Spearman, {name}": value for name, (value, _) in trends.items()}
    figures |= {f"gap at {regime}": math.nan if gap.mean is None else gap.mean for regime, gap in gaps.items()}
    holds = bool(few) and bool(many) and is_there and is_gone and interval.high < 0.0
    return Finding(holds=holds, words=words, figures=figures, interval=interval)


def picture_of_order(records: Sequence[jobs.Record]) -> Any:
    """Draw each row's accuracy with its interval, and the paper's."""
    rows = [dict(record.result or {}) for record in records]
    printed = rows[0]["published"]
    shown = []
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        mine = [row for row in rows if row["protocol"] == protocol]
        for name in (name for group in GROUPS for name in group):
            values = _values(mine, name, "accuracy")
            one = stats.paired(values, np.zeros_like(values), better="higher")
            claimed = printed.get(name, {}).get("accuracy")
            shown.append(
                Row(name=f"{name}, {protocol}", middle=float(values.mean()), interval=one.interval, claimed=claimed)
            )
    return forest(shown, label="accuracy", line=None)


def picture_of_anisotropy(records: Sequence[jobs.Record]) -> Any:
    """Draw ASGD-Adam's accuracy less Adam's, by perturbations at once."""
    gaps = _gaps([dict(record.result or {}) for record in records])
    shown = [
        Row(name=f"{regime} at once", middle=math.nan if gap.mean is None else gap.mean, interval=gap.interval)
        for regime, gap in gaps.items()
    ]
    return forest(shown, label="accuracy, ASGD-Adam less Adam")


# --- reading of records ---


def _values(rows: Sequence[Mapping[str, Any]], name: str, metric: str) -> npt.NDArray[np.float64]:
    """Give a row's metric over seeds, of agents that take their likeliest action; a diverged one is the worst."""
    worst = -math.inf if metric == "accuracy" else math.inf
    mine = sorted((row for row in rows if row["row"] == name), key=lambda row: int(row["seed"]))
    found = [row["scores"].get(name, {}).get("deterministic", {}).get(metric, worst) for row in mine]
    if not found:
        raise LookupError(f"no record of {name}")
    return np.array(found, dtype=np.float64)


def _nearest(rows: Sequence[Mapping[str, Any]], printed: Mapping[str, float]) -> str:
    """Name the policy without training that a printed row is most like, in units of the spread over all rows."""
    policies: dict[str, list[Mapping[str, float]]] = {}
    for row in rows:
        for name, ways in row["scores"].items():
            if name != row["row"]:
                policies.setdefault(name, []).append(next(iter(ways.values())))
    metrics = [metric for metric in printed if metric != "recall"]
    means = {name: np.array([np.mean([one[m] for one in seen]) for m in metrics]) for name, seen in policies.items()}
    theirs = np.array([printed[metric] for metric in metrics])
    spread = np.std([*means.values(), theirs], axis=0)
    used = np.where(spread > 0, spread, np.inf)
    return min(means, key=lambda name: float((((means[name] - theirs) / used) ** 2).mean()), default="none")


def _gaps(rows: Sequence[Mapping[str, Any]]) -> dict[int, stats.Paired]:
    found = {}
    for regime in sorted({int(row["regime"]) for row in rows}):
        mine = [row for row in rows if row["regime"] == regime]
        first, second = (_values(mine, name, "accuracy") for name in ("ASGD-Adam", "Adam"))
        found[regime] = stats.paired(first, second, better="higher")
    return found


def _trend(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[float, Interval]:
    """Give Spearman's ρ between perturbations at once and a measure of anisotropy; seeds are drawn for its interval."""
    from scipy.stats import spearmanr

    seeds = sorted({int(row["seed"]) for row in rows})
    by_seed = {
        seed: [
            (row["regime"], value)
            for row in rows
            if row["seed"] == seed and math.isfinite(value := row["anisotropy"].get(name, math.nan))
        ]
        for seed in seeds
    }

    def rho(drawn: Iterable[int]) -> float:
        pairs = [pair for seed in drawn for pair in by_seed[seed]]
        return float(spearmanr([x for x, _ in pairs], [y for _, y in pairs]).statistic) if len(pairs) > 2 else math.nan

    draw = np.random.default_rng(0)
    again = [rho(draw.choice(seeds, size=len(seeds))) for _ in range(400)]
    known = [value for value in again if math.isfinite(value)] or [math.nan]
    low, high = (float(np.quantile(known, share)) for share in (0.025, 0.975))
    return rho(seeds), Interval(low, high)
