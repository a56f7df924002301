"""The report's numbers for programs: rows with every digit, one file a kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from waddington.bench.report.data import ReportData
from waddington.bench.report.summary import task_verdict
from waddington.bench.statistics import Interval, Paired

__all__ = ["csv_rows"]

Row: TypeAlias = Mapping[str, object]


def csv_rows(data: ReportData) -> dict[str, list[Row]]:
    """Give the rows of each file that has any, by the file's name."""
    found: dict[str, list[Row]] = {
        "contrasts": _contrasts(data),
        "pooled": _pooled(data),
        "analyses": _analyses(data),
        "finals": [
            {
                "task": r.task,
                "horizon": r.horizon,
                "metric": r.metric,
                "arm": arm,
                "seed_number": at,
                "value": float(value),
            }
            for r in data.results
            for arm, values in r.finals.items()
            for at, value in enumerate(values)
        ],
        "tuning": [
            {
                **_named(point),
                "value": point.value,
                "raised": point.raised,
                "is_chosen": point.is_chosen,
                "on_boundary": " ".join(point.on_boundary),
                **{f"argument.{name}": value for name, value in point.arguments.items()},
            }
            for point in data.tuning
        ],
        "best_of": [
            {
                **_named(row),
                "trials": int(row.best.k[at]),
                "expected": float(row.best.expected[at]),
                "median": float(row.best.median[at]),
                "low": float(row.best.low[at]),
                "high": float(row.best.high[at]),
            }
            for row in data.budgets
            for at in range(len(row.best.k))
        ],
        "regrets": [
            {"horizon": row.horizon, "arm": row.arm, "task": task, "regret": float(value)}
            for row in data.regrets
            for task, value in zip(row.tasks, row.regret.by_task, strict=True)
        ],
        "scores": _scores(data),
        "divergences": [
            {**_named(row), "purpose": row.purpose, "runs": row.runs, "diverged": row.diverged, "failed": row.failed}
            for row in data.divergences
        ],
        "costs": [
            {"task": r.task, "arm": r.arm, "seconds": r.seconds, "ratio": r.ratio, "state_bytes": r.state_bytes}
            for r in data.costs
        ],
    }
    return {name: rows for name, rows in found.items() if rows}


def _named(row: Any) -> dict[str, object]:
    """Say where a row is from."""
    return {"task": row.task, "horizon": row.horizon, "arm": row.arm}


def _contrasts(data: ReportData) -> list[Row]:
    return [
        {
            "task": result.task,
            "horizon": result.horizon,
            "metric": result.metric,
            "first": contrast.first,
            "second": contrast.second,
            "answer": task_verdict(result, contrast).answer,
            **_paired(contrast.paired),
            "p_holm": contrast.p_holm,
            "p_bonferroni": contrast.p_bonferroni,
        }
        for result in data.results
        for contrast in result.several.contrasts
    ]


def _pooled(data: ReportData) -> list[Row]:
    return [
        {
            "horizon": row.horizon,
            "metric": row.metric,
            "first": row.first,
            "second": row.second,
            "scale": row.pooled.scale,
            "better": row.pooled.over_tasks.better,
            "effect": row.pooled.mean,
            **_ends("effect", row.pooled.interval),
            "test": row.pooled.test,
            "p": row.pooled.p,
            "p_holm": row.p_holm,
            "tasks": row.pooled.n_tasks,
            "seeds": row.pooled.n_seeds,
            "mde": row.pooled.over_tasks.mde,
            "mde_d_z": row.pooled.over_tasks.mde_d_z,
        }
        for row in data.pooled
    ]


def _paired(pair: Paired) -> dict[str, object]:
    return {
        "seeds": pair.n,
        "diverged_first": pair.n_diverged[0],
        "diverged_second": pair.n_diverged[1],
        "raised_first": pair.n_raised[0],
        "raised_second": pair.n_raised[1],
        "mean": pair.mean,
        **_ends("mean", pair.mean_interval),
        **_ends("mean_t", pair.t_interval),
        "median": pair.median,
        **_ends("median", pair.median_interval),
        "test": pair.test,
        "p": pair.p,
        "p_t": pair.p_t,
        "p_wilcoxon": pair.p_wilcoxon,
        "p_sign": pair.p_sign,
        "d_z": pair.d_z,
        "rank_biserial": pair.rank_biserial,
        "mde": pair.mde,
        "mde_d_z": pair.mde_d_z,
        "mde_wins": pair.mde_wins,
        "wins": pair.wins,
        "ties": pair.ties,
        "losses": pair.losses,
        "reasons": "; ".join(f"{name}: {reason}" for name, reason in pair.reasons.items()),
    }


def _analyses(data: ReportData) -> list[Row]:
    return [
        {
            "task": result.task,
            "horizon": result.horizon,
            "test": result.several.test,
            "statistic": result.several.statistic,
            "degrees": " ".join(f"{freedom:g}" for freedom in result.several.degrees),
            "p": result.several.p,
            "epsilon": result.several.epsilon,
            "p_corrected": result.several.p_corrected,
            "reason": result.several.reason,
        }
        for result in data.results
    ]


def _scores(data: ReportData) -> list[Row]:
    return [
        {
            "quantity": row.quantity,
            "horizon": row.horizon,
            "arm": arm,
            "score": float(row.profiles.scores[at]),
            "score_low": float(row.profiles.score_low[at]),
            "score_high": float(row.profiles.score_high[at]),
        }
        for row in data.profiles
        for at, arm in enumerate(row.arms)
    ]


def _ends(name: str, interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {f"{name}_low": None, f"{name}_high": None}
    return {f"{name}_low": interval.low, f"{name}_high": interval.high}
