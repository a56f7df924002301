"""The report's tables as texts: the page, the Markdown and the CSV files show the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from waddington._text import counted
from waddington.bench.report.data import ReportData
from waddington.bench.report.summary import task_verdict
from waddington.bench.statistics import Interval, number

__all__ = [
    "Table",
    "analysis_table",
    "bytes_text",
    "chosen_table",
    "contrast_table",
    "cost_table",
    "divergence_table",
    "finals_table",
    "regret_table",
    "score_table",
    "tables_of",
]

_ANSWERS = {"first": "better", "second": "worse", "no difference": "none found", "cannot be told": "cannot be told"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table.

    Attributes
    ----------
    caption
        What it shows.
    headings
        One a column.
    rows
        Texts.
    n_names
        Columns at the left that name the row; the others are numbers.
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_names: int = 1


def contrast_table(data: ReportData) -> Table:
    """List every contrast on every task."""
    rows = []
    for result in data.results:
        for contrast in result.several.contrasts:
            pair = contrast.paired
            rows.append(
                (
                    result.task,
                    result.horizon,
                    f"{contrast.first} − {contrast.second}",
                    _ANSWERS[task_verdict(result, contrast).answer],
                    str(pair.n),
                    _optional(pair.mean),
                    _interval(pair.interval),
                    _p(pair.p),
                    _p(contrast.p_holm),
                    _p(contrast.p_bonferroni),
                    _p(pair.p_wilcoxon),
                    _optional(pair.d_z),
                    _optional(pair.mde),
                    f"{pair.wins}/{pair.ties}/{pair.losses}",
                )
            )
    return Table(
        caption="Paired differences on each task",
        headings=(
            "Task",
            "Horizon",
            "Contrast",
            "First is",
            "Seeds",
            "Mean difference",
            "Interval",
            "p",
            "p (Holm)",
            "p (Bonferroni)",
            "p (Wilcoxon)",
            "d_z",
            "Detectable",
            "Won/tied/lost",
        ),
        rows=tuple(rows),
        n_names=4,
    )


def analysis_table(data: ReportData) -> Table:
    """List whether the arms differ at all on each task."""
    rows = [
        (
            result.task,
            result.horizon,
            result.several.test,
            _optional(result.several.statistic),
            ", ".join(f"{freedom:g}" for freedom in result.several.degrees) or "n/a",
            _p(result.several.p),
            _p(result.several.p_corrected),
            result.several.reason,
        )
        for result in data.results
    ]
    headings = ("Task", "Horizon", "Test", "Statistic", "Degrees", "p", "p (Greenhouse-Geisser)", "Why not")
    return Table(caption="Do the arms differ at all?", headings=headings, rows=tuple(rows), n_names=3)


def finals_table(data: ReportData) -> Table:
    """Tabulate the median final value of each arm, with its quartiles."""
    rows = []
    for result in data.results:
        cells = [_quartiles(result.finals[arm]) if arm in result.finals else "" for arm in data.arms]
        rows.append((result.task, result.horizon, result.metric, *cells))
    return Table(
        caption="Final values: median and quartiles over evaluation seeds",
        headings=("Task", "Horizon", "Metric", *data.arms),
        rows=tuple(rows),
        n_names=3,
    )


def regret_table(data: ReportData) -> Table:
    """List by how much each arm is worse than the best one of each task, least on its worst task first."""
    rows = []
    for row in sorted(data.regrets, key=lambda one: (list(data.horizons).index(one.horizon), one.regret.worst)):
        regret = row.regret
        rows.append(
            (
                row.horizon,
                row.arm,
                str(len(row.tasks)),
                _percent(regret.mean),
                _percents(regret.mean_interval),
                _percent(regret.worst),
                _percents(regret.worst_interval),
                row.tasks[regret.worst_task],
            )
        )
    left_out = len(data.tasks) - len(data.regrets[0].tasks) if data.regrets else 0
    without = f"; {counted(left_out, 'task')} without a loss above zero left out" if left_out else ""
    headings = (
        "Horizon",
        "Arm",
        "Tasks",
        "Mean regret",
        "Interval of the mean",
        "Worst regret",
        "Interval of the worst",
        "Worst task",
    )
    return Table(
        caption=f"Regret to the best arm of each task{without}", headings=headings, rows=tuple(rows), n_names=2
    )


def score_table(data: ReportData) -> Table:
    """List integrated scores of performance profiles, best first."""
    rows = []
    for profile in data.profiles:
        found = profile.profiles
        for at in np.argsort(-found.scores, kind="stable"):
            interval = Interval(float(found.score_low[at]), float(found.score_high[at]))
            score = number(float(found.scores[at]))
            rows.append((profile.quantity, profile.horizon, profile.arms[at], score, _interval(interval)))
    headings = ("To target", "Horizon", "Arm", "Score", "Interval")
    return Table(caption="Integrated scores, 1 is best", headings=headings, rows=tuple(rows), n_names=3)


def chosen_table(data: ReportData) -> Table:
    """List the points that tuning chose."""
    attempts = {(row.task, row.horizon, row.arm): row.attempts for row in data.budgets}
    rows = []
    for point in data.tuning:
        if point.is_chosen:
            tries = attempts.get((point.task, point.horizon, point.arm))
            needed = "" if tries is None else f"{number(tries.expected)} {_interval(tries.interval)}"
            arguments = ", ".join(f"{name}={_argument(value)}" for name, value in point.arguments.items())
            boundary = ", ".join(point.on_boundary)
            rows.append((point.task, point.horizon, point.arm, arguments, boundary, number(point.value), needed))
    return Table(
        caption="Chosen points, and trials until one reaches the target",
        headings=("Task", "Horizon", "Arm", "Arguments", "On the boundary", "Tuning value", "Trials to success"),
        rows=tuple(rows),
        n_names=5,
    )


def divergence_table(data: ReportData) -> Table:
    """List the arms with runs that came to no end."""
    rows = [
        (row.task, row.horizon, row.arm, row.purpose, str(row.runs), str(row.diverged), str(row.failed))
        for row in data.divergences
        if row.diverged or row.failed
    ]
    headings = ("Task", "Horizon", "Arm", "Runs of", "Runs", "Diverged", "Failed")
    return Table(caption="Runs without an end", headings=headings, rows=tuple(rows), n_names=4)


def cost_table(data: ReportData) -> Table:
    """List what steps cost."""
    rows = [
        (
            row.task,
            row.arm,
            f"{number(1000 * row.seconds)} ms",
            "n/a" if row.ratio is None else f"{row.ratio:.2f}",
            "n/a" if row.state_bytes is None else bytes_text(row.state_bytes),
        )
        for row in data.costs
    ]
    headings = ("Task", "Arm", "A step", "Over fused baseline", "State")
    return Table(caption="What a step costs", headings=headings, rows=tuple(rows), n_names=2)


def tables_of(data: ReportData) -> dict[str, Table]:
    """Give every table that has rows, by the name of its CSV file."""
    found = {
        "contrasts": contrast_table(data),
        "analyses": analysis_table(data),
        "finals": finals_table(data),
        "regrets": regret_table(data),
        "scores": score_table(data),
        "chosen": chosen_table(data),
        "divergences": divergence_table(data),
        "costs": cost_table(data),
    }
    one = {"Horizon"} if len(data.horizons) == 1 else set()
    return {name: _without_idle_columns(table, one) for name, table in found.items() if table.rows}


def bytes_text(count: float) -> str:
    """Write a number of bytes for people."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{number(count)} {unit}"
        count /= 1000
    return f"{number(count)} GB"


def _without_idle_columns(table: Table, idle: set[str]) -> Table:
    """Leave out columns that are named, and those that are empty in every row."""
    kept = [
        at for at, heading in enumerate(table.headings) if heading not in idle and any(row[at] for row in table.rows)
    ]
    return Table(
        caption=table.caption,
        headings=tuple(table.headings[at] for at in kept),
        rows=tuple(tuple(row[at] for at in kept) for row in table.rows),
        n_names=sum(at < table.n_names for at in kept),
    )


def _optional(value: float | None) -> str:
    return "n/a" if value is None else number(value)


def _p(value: float | None) -> str:
    return "n/a" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _interval(interval: Interval | None) -> str:
    return "n/a" if interval is None else f"[{number(interval.low)}, {number(interval.high)}]"


def _percent(value: float) -> str:
    return f"{number(100 * value)} %"


def _percents(interval: Interval | None) -> str:
    return "n/a" if interval is None else f"[{number(100 * interval.low)}, {number(100 * interval.high)}]"


def _quartiles(values: Sequence[float] | np.ndarray) -> str:
    """Write median and quartiles; these are values that were seen, so that infinite ones stay what they are."""
    low, high = np.quantile(values, (0.25, 0.75), method="nearest")
    return f"{number(float(np.median(values)))} [{number(float(low))}, {number(float(high))}]"


def _argument(value: object) -> str:
    return number(value) if isinstance(value, float) and math.isfinite(value) else str(value)
