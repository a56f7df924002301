"""The interactive pictures as Plotly's JSON: what is drawn is decided here, the page's script only draws it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from waddington._text import counted
from waddington.bench.report.data import Profile, ReportData, StepCost, TuningPoint
from waddington.bench.report.forest import forest_figures
from waddington.bench.report.plotly_json import Panel, axis, figure, label, log_axis, numbers
from waddington.bench.report.style import ArmStyle, arm_styles
from waddington.bench.report.tables import bytes_text
from waddington.bench.statistics import number

__all__ = ["Group", "groups_of"]

Trace: TypeAlias = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Panels that stand together.

    Attributes
    ----------
    name
        Of the section: "forest", "profile", "rate", "budget", "anytime" or "cost".
    heading
        The horizon in words; "" where there is only one.
    panels
        The pictures.
    """

    name: str
    heading: str
    panels: tuple[Panel, ...]


def groups_of(data: ReportData) -> list[Group]:
    """Draw everything, in the order of the page."""
    styles = arm_styles(data.arms)
    found: list[Group] = []
    for horizon, words in data.horizons.items():
        heading = words[:1].upper() + words[1:] if len(data.horizons) > 1 else ""
        drawn = {
            "forest": forest_figures(data, horizon, styles),
            "profile": [_profile(row, styles) for row in data.profiles if row.horizon == horizon],
            "rate": list(_rates(data, horizon, styles)),
            "budget": list(_budgets(data, horizon, styles)),
            "anytime": list(_anytime(data, horizon, styles)),
        }
        found += [Group(name=name, heading=heading, panels=tuple(panels)) for name, panels in drawn.items() if panels]
    if data.costs:
        found.append(Group(name="cost", heading="", panels=tuple(_costs(data, styles))))
    return found


def _profile(row: Profile, styles: dict[str, ArmStyle]) -> Panel:
    """Draw the share of tasks within a factor of the fastest arm."""
    traces: list[Trace] = []
    found = row.profiles
    for at, arm in enumerate(row.arms):
        style = styles[arm]
        traces += _band(arm, style, found.taus, found.low[at], found.high[at], shape="hv")
        traces.append(
            _line(arm, style, found.taus, found.shares[at], shape="hv")
            | {"hovertemplate": "within %{x:.2f}× on %{y:.0%} of tasks"}
        )
    best = " · ".join(f"{arm} {number(float(score))}" for arm, score in zip(row.arms, found.scores, strict=True))
    return Panel(
        title=f"{row.quantity.capitalize()} to target",
        alt=f"Performance profiles of {row.quantity} to target. Integrated scores: {best}.",
        json=figure(
            traces,
            xaxis=axis("factor of the fastest", range=[1, float(found.taus[-1])]),
            yaxis=axis("share of tasks", range=[-0.03, 1.05], tickformat=".0%", zeroline=False),
            height=340,
        ),
    )


def _rates(data: ReportData, horizon: str, styles: dict[str, ArmStyle]) -> Iterator[Panel]:
    """Draw each task's tuned values over the rate, the chosen point and those without a value."""
    for task in data.tasks:
        points = [p for p in data.tuning if (p.task, p.horizon) == (task, horizon) and data.rate in p.arguments]
        points = [p for p in points if isinstance(p.arguments[data.rate], int | float)]
        if not points:
            continue
        finite = [p.value for p in points if math.isfinite(p.value)]
        top = _above(finite)
        traces: list[Trace] = []
        for arm in data.arms:
            own = sorted((p for p in points if p.arm == arm), key=lambda p: float(str(p.arguments[data.rate])))
            if own:
                traces += _rate_traces(arm, styles[arm], own, data.rate, top)
        lost = [p for p in points if not math.isfinite(p.value)]
        n_raised = sum(p.raised > 0 for p in lost)
        ends = f"{len(lost) - n_raised} diverged, {n_raised} raised an error"
        on_boundary = [p.arm for p in points if p.is_chosen and p.on_boundary]
        yield Panel(
            title=task,
            alt=f"{counted(len(points), 'tuned point')} of {task} over {data.rate}; {ends}. "
            f"On the boundary: {', '.join(on_boundary) or 'none'}.",
            json=figure(traces, xaxis=log_axis(data.rate), yaxis=_value_axis("tuning value", finite)),
        )


def _rate_traces(arm: str, style: ArmStyle, points: list[TuningPoint], rate: str, top: float) -> list[Trace]:
    """Draw an arm's points: values joined by a faint line, crosses for those without one, a star for the chosen."""
    texts = [_point_text(point) for point in points]
    x = [point.arguments[rate] for point in points]
    y = [point.value for point in points]
    good = [at for at, value in enumerate(y) if math.isfinite(value)]
    bad = [at for at, value in enumerate(y) if not math.isfinite(value)]
    chosen = [at for at, point in enumerate(points) if point.is_chosen]

    def marks(at: list[int], marker: dict[str, Any], heights: list[float], **more: Any) -> Trace:
        return _base(arm) | {
            "x": [x[i] for i in at],
            "y": heights,
            "text": [texts[i] for i in at],
            "hovertemplate": "%{text}",
            "mode": "markers",
            "marker": {"color": style.color, **marker},
            **more,
        }

    values = marks(good, {"symbol": style.marker, "size": 6}, [y[i] for i in good])
    found = [values | {"mode": "lines+markers", "line": {"color": style.faint(0.35), "width": 1}}]
    if bad:
        found.append(marks(bad, {"symbol": "x-thin-open", "size": 8}, [top] * len(bad)))
    if chosen:
        symbol = ["star-triangle-up" if points[i].on_boundary else "star" for i in chosen]
        heights = [y[i] if math.isfinite(y[i]) else top for i in chosen]
        outline = {"color": "rgba(128,128,128,0.9)", "width": 1}
        found.append(marks(chosen, {"symbol": symbol, "size": 15, "line": outline}, heights))
    return found


def _budgets(data: ReportData, horizon: str, styles: dict[str, ArmStyle]) -> Iterator[Panel]:
    """Draw each task's best of k trials."""
    for task in data.tasks:
        rows = [row for row in data.budgets if (row.task, row.horizon) == (task, horizon)]
        if not rows:
            continue
        most = max(int(row.best.k[-1]) for row in rows)
        traces: list[Trace] = []
        for row in _by_arm(rows, data):
            style, best = styles[row.arm], row.best
            traces += _band(row.arm, style, best.k, best.low, best.high)
            traces.append(
                _line(row.arm, style, best.k, best.median)
                | {
                    "mode": "lines+markers",
                    "marker": {"symbol": style.marker, "size": 5},
                    "text": [number(float(value)) for value in best.expected],
                    "hovertemplate": "best of %{x}: median %{y:.4g}, expected %{text}",
                }
            )
        yield Panel(
            title=task,
            alt=f"Median of the best of k trials on {task}, k up to {most}.",
            json=figure(
                traces,
                xaxis=axis("trials", zeroline=False, range=[0.5, most + 0.5]),
                yaxis=_value_axis("best value", np.concatenate([row.best.median for row in rows])),
            ),
        )


def _anytime(data: ReportData, horizon: str, styles: dict[str, ArmStyle]) -> Iterator[Panel]:
    """Draw each task's curves: median and quartiles over seeds."""
    metrics = {(result.task, result.horizon): result.metric for result in data.results}
    for task in data.tasks:
        rows = [row for row in data.curves if (row.task, row.horizon) == (task, horizon)]
        if not rows:
            continue
        traces: list[Trace] = []
        for row in _by_arm(rows, data):
            values = np.where(np.isnan(row.values), np.inf, row.values)
            low, high = np.quantile(values, (0.25, 0.75), axis=0, method="nearest")
            style = styles[row.arm]
            traces += _band(row.arm, style, row.steps, low, high)
            traces.append(
                _line(row.arm, style, row.steps, np.median(values, axis=0)) | {"hovertemplate": "step %{x}: %{y:.4g}"}
            )
        ends = [f"{row.arm} {number(float(np.median(row.values[:, -1])))}" for row in rows]
        yield Panel(
            title=task,
            alt=f"{task} over steps, median and quartiles over seeds. At the end: {'; '.join(ends)}.",
            json=figure(
                traces,
                xaxis=axis("step"),
                yaxis=_value_axis(
                    metrics.get((task, horizon), "loss"), np.concatenate([r.values.ravel() for r in rows])
                ),
            ),
        )


def _costs(data: ReportData, styles: dict[str, ArmStyle]) -> Iterator[Panel]:
    """Draw what a step costs over the fused baseline's, and the memory of the state."""
    ratios = [row for row in data.costs if row.ratio is not None]
    sizes = [row for row in data.costs if row.state_bytes]
    if ratios:
        yield _dots(data, ratios, styles, "Time of a step over the fused baseline's", "times the baseline", one=True)
    if sizes:
        yield _dots(data, sizes, styles, "Memory of the optimizer's state", "bytes", one=False)


def _dots(
    data: ReportData, rows: list[StepCost], styles: dict[str, ArmStyle], title: str, unit: str, *, one: bool
) -> Panel:
    """Draw one mark for each arm and task, tasks below one another."""
    traces: list[Trace] = []
    for arm in data.arms:
        own = [row for row in rows if row.arm == arm]
        if own:
            values = [row.ratio if one else row.state_bytes for row in own]
            texts = [f"{v:.2f}×" if one else bytes_text(float(v)) for v in values if v is not None]
            traces.append(
                _base(arm)
                | {
                    "x": values,
                    "y": [label(row.task) for row in own],
                    "text": texts,
                    "mode": "markers",
                    "marker": {"color": styles[arm].color, "symbol": styles[arm].marker, "size": 9},
                    "hovertemplate": "%{y}: %{text}",
                }
            )
    tasks = [label(task) for task in data.tasks if any(row.task == task for row in rows)]
    shapes = [{"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "line": _QUIET}] if one else []
    return Panel(
        title=title,
        alt=f"{title}, one mark for each arm and task; the table has the numbers.",
        json=figure(
            traces,
            xaxis=axis(unit, rangemode="tozero") if one else log_axis(unit),
            yaxis={"categoryarray": tasks[::-1], "categoryorder": "array", "automargin": True},
            height=110 + 34 * len(tasks),
            shapes=shapes,
        ),
    )


_QUIET = {"color": "rgba(128,128,128,0.7)", "width": 1, "dash": "dot"}


def _by_arm(rows: Iterable[Any], data: ReportData) -> list[Any]:
    """Sort rows as the arms are sorted, so that the first arm is drawn below the others everywhere."""
    return sorted(rows, key=lambda row: list(data.arms).index(row.arm))


def _base(arm: str) -> Trace:
    """Begin a trace of an arm; the page hides and shows arms by ``meta``."""
    return {"type": "scatter", "name": label(arm), "meta": arm, "showlegend": False}


def _line(arm: str, style: ArmStyle, x: Any, y: Any, *, shape: str = "linear") -> Trace:
    line = {"color": style.color, "dash": style.dash, "width": 2, "shape": shape}
    return _base(arm) | {"x": numbers(x), "y": numbers(y), "mode": "lines", "line": line}


def _band(arm: str, style: ArmStyle, x: Any, low: Any, high: Any, *, shape: str = "linear") -> list[Trace]:
    """Fill between two lines; where either is infinite nothing is filled. The page shows bands of few arms only."""
    both = np.isfinite(low) & np.isfinite(high)
    edge = _base(arm) | {
        "x": numbers(np.asarray(x)[both]),
        "mode": "lines",
        "line": {"width": 0, "color": style.color, "shape": shape},
        "hoverinfo": "skip",
        "legendgroup": "band",
    }
    if not both.any():
        return []
    return [
        edge | {"y": numbers(np.asarray(low)[both])},
        edge | {"y": numbers(np.asarray(high)[both]), "fill": "tonexty", "fillcolor": style.faint(0.1)},
    ]


def _value_axis(title: str, values: Any) -> dict[str, Any]:
    """Give a logarithmic axis where all finite values are above zero."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    return log_axis(title) if len(finite) and (finite > 0).all() else axis(title)


def _above(finite: list[float]) -> float:
    """Give a height above all finite values, where points without a value are drawn."""
    if not finite:
        return 1.0
    low, high = min(finite), max(finite)
    return high * (high / low) ** 0.08 * 1.05 if low > 0 else high + 0.08 * (high - low or 1.0)


def _point_text(point: TuningPoint) -> str:
    """Write a tuned point for the pointer's box."""
    lines = [
        f"{name} = {number(value) if isinstance(value, float) else value}" for name, value in point.arguments.items()
    ]
    lost = f"{counted(point.raised, 'run')} raised an error" if point.raised else "diverged"
    ending = number(point.value) if math.isfinite(point.value) else lost
    words = [" (chosen)" * point.is_chosen, " (on the boundary)" * bool(point.on_boundary)]
    return "<br>".join([ending + "".join(words), *map(label, lines)])
