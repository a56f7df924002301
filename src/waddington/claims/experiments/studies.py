"""What a registered study says of two arms, from its records alone: no training is begun here.

The records are those of ``waddington bench run --study NAME``. They reach a measurement through the ledger's own store:
``waddington claims run ID --records FILE`` takes a file of ``waddington bench pack`` over into it. What is kept is the
summary, so that the ledger's records alone give the verdict.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from waddington import jobs
from waddington._checks import check_known
from waddington._text import counted
from waddington.bench import statistics as stats
from waddington.bench.comparison import Comparison, TaskContrast
from waddington.bench.conducting import looked_up
from waddington.bench.entry import Entry, Horizon
from waddington.bench.statistics import Interval, Pooled, beside_one
from waddington.bench.store import Store
from waddington.bench.studies import get_study
from waddington.claims.finding import Finding
from waddington.claims.measurement import Measurement, experiment, measurements
from waddington.claims.pictures import Row, forest
from waddington.errors import ArgumentError, UnsupportedError

__all__ = [
    "contrasts_of",
    "is_better",
    "is_better_by_any",
    "is_faster",
    "is_faster_by_any",
    "of_studies",
    "picture",
    "picture_of_steps",
    "study",
    "summary_of",
]


def of_studies(
    arms: Mapping[str, str], contrasts: Sequence[tuple[str, str]], *, horizon: str = "known"
) -> tuple[Measurement, ...]:
    """Make the measurement that compares arms of registered studies.

    Parameters
    ----------
    arms
        Arm to the study that has it, such as ``{"ASGDAdam, flat": "switching", "SGD": "rivals"}``. Studies must share
        tasks, seeds and horizon.
    contrasts
        Pairs ``(first, second)`` of them, at most four; p-values are Holm's over these.
    horizon
        ``"known"`` compares the test metric at the end, ``"open"`` the metric all along.

    Returns
    -------
    One measurement; the hashes of the studies are arguments of it, so that the record of another study is not taken.
    """
    hashes = {name: get_study(name).hash for name in dict.fromkeys(arms.values())}
    pairs = [list(pair) for pair in contrasts]
    return measurements(study, arms=dict(arms), contrasts=pairs, horizon=horizon, hashes=hashes)


_STEPS = "steps to the loss at which it ends"


@experiment(reads_store=True)
def study(
    seed: int,
    *,
    folder: Path,
    arms: Mapping[str, str],
    contrasts: Sequence[Sequence[str]],
    horizon: str,
    hashes: Mapping[str, str],
) -> Mapping[str, Any]:
    """Compare arms of registered studies: per task, over tasks, and by the steps to a target.

    Raises
    ------
    UnsupportedError
        A study's records are not in the store; the message names the commands that bring them there.
    ArgumentError
        The studies don't share tasks, seeds and horizon, or one has changed since the measurement was written down.
    """
    studies = {name: get_study(name) for name in hashes}
    for name, found in studies.items():
        if found.hash != hashes[name]:
            raise ArgumentError(
                f"cannot read study {name!r} of hash {hashes[name]}: it is now {found.hash}; accepted: that one"
            )
    first = next(iter(studies.values()))
    known = {one.name: one for one in first.horizons}
    where = known[check_known("horizon", horizon, known)]
    cells = []
    with Store(folder) as store:
        for name, one in studies.items():
            if (one.entries, one.evaluation_seeds, one.level) != (first.entries, first.evaluation_seeds, first.level):
                raise ArgumentError(
                    f"cannot compare arms of {', '.join(studies)}: {name} has other tasks or seeds; accepted: studies"
                    " that share them"
                )
            try:
                found_cells = looked_up(dataclasses.replace(one, horizons=(where,)), store)
            except UnsupportedError as error:
                raise UnsupportedError(
                    f"cannot answer from study {name!r}: {error}. Run `waddington bench run --study {name} --out"
                    f" studies/{name}`, then `waddington bench pack studies/{name} --out FILE`, and give FILE to"
                    " `waddington claims run --records FILE`"
                ) from error
            cells += [cell for cell in found_cells if arms.get(cell.arm.name) == name]
    known_arms = {cell.arm.name: cell.arm for cell in cells}
    order = tuple(known_arms[check_known("arm", name, known_arms)] for name in arms)
    pairs = tuple((a, b) for a, b in contrasts)
    joint = dataclasses.replace(first, arms=order, contrasts=pairs, horizons=(where,), name="")
    return {"hashes": dict(hashes), "horizon": horizon, **summary_of(Comparison(study=joint, cells=cells), where)}


def summary_of(comparison: Comparison, horizon: Horizon) -> dict[str, Any]:
    """Sum up a comparison at one horizon as JSON can hold it.

    Returns
    -------
    ``contrasts``, each with ``first``, ``second``, ``metric``, ``tasks`` (a row each: paired difference first minus
    second with its interval, Holm's p, minimum detectable effect, wins), ``pooled`` (over tasks: factor below 1 where
    the first is better, interval, Holm's p, detectable factor, and ``worse``: tasks on which the first is worse by more
    than the minimum detectable effect) and ``steps`` (the same of the steps to the second's median last value; a task
    is worse where the first is later by the test of its seeds); ``trials``, how many points each arm has tried.
    """
    of_tasks = comparison.on_tasks(horizon)
    found = []
    reached = [_steps(comparison, horizon, *pair) for pair in comparison.study.contrasts]
    corrected = stats.corrected([pool.p for pool, _ in reached], method="holm")
    for whole, (steps, late), p_steps in zip(comparison.over_tasks(horizon), reached, corrected, strict=True):
        mine = [one for one in of_tasks if (one.contrast.first, one.contrast.second) == (whole.first, whole.second)]
        rows = [_task_row(one) for one in mine]
        found.append(
            {
                "first": whole.first,
                "second": whole.second,
                "metric": whole.metric,
                "answer": whole.verdict.answer,
                "sentence": whole.verdict.sentence,
                "tasks": rows,
                "pooled": None
                if whole.pooled is None
                else _pooled_row(whole.pooled, whole.p_holm, [row["task"] for row in rows if row["is_worse"]]),
                "steps": _pooled_row(steps, p_steps, late),
            }
        )
    tried: dict[str, list[int]] = {arm.name: [] for arm in comparison.study.arms}
    for cell in comparison.cells:
        tried[cell.arm.name].append(len(cell.trials))
    return {"contrasts": found, "trials": {name: [min(some), max(some)] for name, some in tried.items()}}


def contrasts_of(records: Sequence[jobs.Record]) -> list[Mapping[str, Any]]:
    """Give the contrasts of all records of :func:`study`."""
    return [one for record in records for one in (record.result or {})["contrasts"]]


def is_better(records: Sequence[jobs.Record]) -> Finding:
    """Say whether every first arm has a better metric than its second, over tasks, at tuned rates."""
    return _judged(records, "pooled", "{metric}")


def is_faster(records: Sequence[jobs.Record]) -> Finding:
    """Say whether every first arm needs fewer steps to the second's median last value, over tasks, at tuned rates."""
    return _judged(records, "steps", _STEPS)


def is_better_by_any(records: Sequence[jobs.Record]) -> Finding:
    """Say whether one first arm at least has a better metric than its second; p-values are Holm's over all."""
    return _judged(records, "pooled", "{metric}", every=False)


def is_faster_by_any(records: Sequence[jobs.Record]) -> Finding:
    """Say whether one first arm at least needs fewer steps to its second's median last value."""
    return _judged(records, "steps", _STEPS, every=False)


def picture(records: Sequence[jobs.Record]) -> Any:
    """Draw the pooled figures of all contrasts, left of the line where the first arm is better."""
    return _drawn(records, "pooled", "{metric}")


def picture_of_steps(records: Sequence[jobs.Record]) -> Any:
    """Draw the pooled steps of all contrasts, left of the line where the first arm is faster."""
    return _drawn(records, "steps", "steps")


# --- parts of the summary ---


def _task_row(one: TaskContrast) -> dict[str, Any]:
    pair, lower = one.contrast.paired, one.contrast.paired.better == "lower"
    by = None if pair.mean is None else pair.mean if lower else -pair.mean
    return {
        "task": one.entry.label,
        "n": pair.n,
        "better": pair.better,
        "difference": pair.mean,
        "low": pair.interval.low if pair.interval else None,
        "high": pair.interval.high if pair.interval else None,
        "p_holm": one.contrast.p_holm,
        "mde": pair.mde,
        "wins": pair.wins,
        "losses": pair.losses,
        "diverged": list(pair.n_diverged),
        "answer": one.verdict.answer,
        "is_worse": one.verdict.answer == "second" if by is None or pair.mde is None else by > pair.mde,
    }


def _pooled_row(pool: Pooled, p: float | None, worse: list[str]) -> dict[str, Any]:
    """Write pooled effects; of log ratios as factors, of what is counted as shares of seeds lost minus won."""
    as_ratio = pool.scale == "log ratio"
    of = math.exp if as_ratio else float
    mde = pool.over_tasks.mde
    return {
        "scale": "factor" if as_ratio else pool.scale,
        "value": of(pool.mean),
        "low": of(pool.interval.low),
        "high": of(pool.interval.high),
        "p_holm": p,
        "n_tasks": pool.n_tasks,
        "n_seeds": pool.n_seeds,
        "n_contrasts": pool.over_tasks.n_contrasts,
        "mde": None if mde is None else math.expm1(mde) if as_ratio else mde,
        "worse": worse,
        "reason": pool.reason,
    }


def _steps(comparison: Comparison, horizon: Horizon, first: str, second: str) -> tuple[Pooled, list[str]]:
    """Pool the steps that two arms need to the second's median last value; say on which tasks the first is later."""
    study = comparison.study
    times = [
        [
            [
                _step(record, entry, _target(comparison, entry, horizon, second))
                for record in comparison.cell(entry, horizon, name).evaluations
            ]
            for entry in study.entries
        ]
        for name in (first, second)
    ]
    a, b = (np.array(one).T for one in times)
    family: Any = {"level": study.level, "n_contrasts": len(study.contrasts)}
    late = []
    for entry, mine, theirs in zip(study.entries, a.T, b.T, strict=True):
        pair = stats.paired(mine, theirs, **family)
        if pair.p is not None and pair.p <= study.level / len(study.contrasts) and pair.losses > pair.wins:
            late.append(entry.label)
    return stats.pooled(a, b, floor=1.0, **family), late


def _target(comparison: Comparison, entry: Entry, horizon: Horizon, arm: str) -> float:
    worst = -math.inf if entry.larger_is_better else math.inf
    results = [record.result for record in comparison.cell(entry, horizon, arm).evaluations]
    lasts = [worst if one is None or one["diverged"] else one["curve"][entry.metric][-1] for one in results]
    return float(np.median(lasts))


def _step(record: jobs.Record, entry: Entry, target: float) -> float:
    if record.result is None or not math.isfinite(target):
        return math.inf
    curve = record.result["curve"]
    better: Any = "higher" if entry.larger_is_better else "lower"
    return stats.first_reach(curve["step"], curve[entry.metric], target, better=better)


def _judged(records: Sequence[jobs.Record], of: str, what: str, *, every: bool = True) -> Finding:
    """Judge contrasts by a pooled figure of them; the interval is that of the worst, or without `every` the best."""
    rows = contrasts_of(records)
    if any(row[of] is None for row in rows):
        return Finding(holds=None, words="one task cannot speak for tasks that were not run")
    names = [what.replace("{metric}", row["metric"]) for row in rows]
    said = [_words(row, row[of], name) for row, name in zip(rows, names, strict=True)]
    told = [words + _worse(row[of]) for words, row in zip(said, rows, strict=True)]
    choose, whether = (max, all) if every else (min, any)
    at = choose(range(len(rows)), key=lambda one: (rows[one][of]["scale"] != "factor", rows[one][of]["high"]))
    chosen = rows[at][of]
    holds = whether(_is_won(row[of]) and not row[of]["worse"] for row in rows)
    figures = {f"{row['first']} to {row['second']}, {row[of]['scale']}": row[of]["value"] for row in rows}
    return Finding(
        holds=holds,
        words=f"at tuned rates {'; '.join(told)}",
        short=f"at tuned rates {said[at]}" if len(rows) > 1 else "",
        figures=figures,
        interval=Interval(chosen["low"], chosen["high"]),
        detectable=chosen["mde"],
    )


def _is_won(one: Mapping[str, Any]) -> bool:
    below = one["high"] < (1.0 if one["scale"] == "factor" else 0.0)
    return bool(below and one["p_holm"] is not None and one["p_holm"] <= 0.05)


def _words(row: Mapping[str, Any], one: Mapping[str, Any], what: str) -> str:
    values = [one[name] for name in ("value", "low", "high")]
    as_shares = [f"{value:.2f}".replace("-0.00", "0.00") for value in values]
    size, low, high = beside_one(*values) if one["scale"] == "factor" else as_shares
    test = "no test" if one["p_holm"] is None else f"p = {one['p_holm']:.3f}"
    test += f", Holm over {one['n_contrasts']}" if one["n_contrasts"] > 1 else ""
    first, second = row["first"], row["second"]
    said = {
        "factor": f"{first} has {size} [{low}, {high}] times {second}'s {what}",
        "standardized": f"{first}'s {what} is {size} [{low}, {high}] standard deviations above {second}'s",
        "net wins": f"{first} is behind {second} in {what} on a share of seeds of {size} [{low}, {high}], net",
    }
    return f"{said[one['scale']]}, over {counted(one['n_tasks'], 'task')} ({test})"


def _worse(one: Mapping[str, Any]) -> str:
    return f"; it is worse, by more than is detectable, on {', '.join(one['worse'])}" if one["worse"] else ""


def _drawn(records: Sequence[jobs.Record], of: str, what: str) -> Any:
    rows = [row for row in contrasts_of(records) if row[of] is not None]
    scale = rows[0][of]["scale"] if rows else "factor"
    shown = [
        Row(
            name=f"{row['first']} to {row['second']}",
            middle=row[of]["value"],
            interval=Interval(row[of]["low"], row[of]["high"]),
        )
        for row in rows
        if row[of]["scale"] == scale
    ]
    metrics = ", ".join(dict.fromkeys(row["metric"] for row in rows))
    unit = {"factor": "ratio", "net wins": "share of seeds lost less won", "standardized": "standard deviations"}[scale]
    return forest(
        shown, label=f"{what.replace('{metric}', metrics)}: {unit}, over tasks", line=1.0 if scale == "factor" else 0.0
    )
