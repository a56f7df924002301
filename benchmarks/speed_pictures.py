"""The pictures of the speed benchmarks, drawn from their records. Does nothing by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from contenders import ADAM, BYTES, FUSED
from measuring import paired, quartiles
from waddington._files import replacing
from waddington.twin.plots.style import INK, MUTED, clean, colors_for, new_figure, panel_letter, styled

__all__ = ["PICTURES", "save", "steps_until_paid"]

DPI = 110
LIBRARIES = {"torch": "#333F48", "waddington": "#D55E00", "pytorch_optimizer": "#0072B2", "heavyball": "#009E73"}
OURS_SHOWN = ("ASGDAdam", "ASGDAdam, relative", "AMGT", "AMVT", "AlphaAdam")
LIGHT = "#c9d1d9"


def save(name: str, record: dict[str, Any], path: Path) -> None:
    """Draw the picture of a record, whole or not at all."""
    figure = PICTURES[name](record)
    if figure is not None:
        with replacing(path) as beside:
            figure.savefig(beside, format="png", dpi=DPI, metadata={"Software": None})


def steps_until_paid(cost: float, row: dict[str, Any]) -> float | None:
    """Give after how many steps a cost in seconds has come back; None where it never does."""
    saved = row["eager"] - row["compiled"]
    return cost / saved if saved > 0 else None


@styled
def step_time(record: dict[str, Any]) -> Figure | None:
    """Ratios to fused AdamW: all contenders on one model, and some of ours on every model."""
    results = [result for result in record["results"] if result["contenders"]]
    if not results:
        return None
    main = results[0]
    figure = new_figure(7.6, 6.8)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _contenders(left, main)
    _title(left, "a", f"{main['shapes']}, {main['dtype']}", "times fused AdamW's step")
    colors = colors_for(OURS_SHOWN)
    marks = {name: ("o", colors[name]) for name in OURS_SHOWN} | {ADAM: ("D", INK)}
    for place, result in enumerate(results):
        for offset, (label, (marker, color)) in enumerate(marks.items()):
            entry = result["contenders"].get(label)
            if entry is not None:
                low, middle, high = _to_fused(result, entry)
                at = place + 0.13 * (offset - (len(marks) - 1) / 2)
                right.plot([low, high], [at, at], color=color, linewidth=1.0, alpha=0.6)
                right.plot([middle], [at], marker, color=color, markersize=4.0, label=label if place == 0 else None)
    right.set_yticks(range(len(results)), [_name(result) for result in results])
    right.set_ylim(len(results) - 0.5, -0.5)
    _logarithmic(right)
    _title(right, "b", "All models", "times fused AdamW's step")
    figure.legend(handles=_legend(main), loc="outside lower left", ncols=2, columnspacing=1.4)
    handles = [Line2D([], [], marker=m, color=c, linestyle="", markersize=4.0, label=n) for n, (m, c) in marks.items()]
    figure.legend(handles=handles, loc="outside lower right", ncols=2, columnspacing=1.4)
    return figure


def _contenders(axes: Axes, result: dict[str, Any]) -> None:
    fused = result["contenders"][FUSED]
    for place, (label, entry) in enumerate(result["contenders"].items()):
        low, middle, high = _to_fused(result, entry)
        color = MUTED if label == BYTES else LIBRARIES[entry["package"]]  # which is no optimizer
        axes.plot([low, high], [place, place], color=color, linewidth=1.4, alpha=0.6)
        axes.plot([middle], [place], "o", color=color, markersize=4.5)
        if entry["bytes"]:
            axes.plot([entry["bytes"] / fused["bytes"]], [place], "|", color=INK, markersize=11, markeredgewidth=1.3)
    axes.set_yticks(range(len(result["contenders"])), list(result["contenders"]))
    axes.set_ylim(len(result["contenders"]) - 0.4, -0.6)
    _logarithmic(axes)


def _legend(result: dict[str, Any]) -> list[Line2D]:
    present = dict.fromkeys(entry["package"] for entry in result["contenders"].values())
    handles = [
        Line2D([], [], marker="o", color=LIBRARIES[name], linewidth=1.4, markersize=4.5, label=name) for name in present
    ]
    tick = Line2D([], [], marker="|", color=INK, linestyle="", markersize=9, markeredgewidth=1.3)
    tick.set_label("bytes moved, to fused AdamW's")
    return [*handles, tick]


def _to_fused(result: dict[str, Any], entry: dict[str, Any]) -> tuple[float, float, float]:
    return quartiles(paired(entry["seconds"], result["contenders"][FUSED]["seconds"]))


def _name(result: dict[str, Any]) -> str:
    where = "" if result["device"] == "cpu" else f", {result['device']}"
    return f"{result['shapes']}\n{result['dtype']}{where}"


@styled
def memory(record: dict[str, Any]) -> Figure:
    """State, and what a step allocates on top of it."""
    results = record["results"]
    figure = new_figure(6.4, 0.5 + 0.2 * len(results))
    axes = figure.subplots()
    places = range(len(results))
    state = [entry["state"] for entry in results.values()]
    colors = [LIBRARIES[entry["package"]] for entry in results.values()]
    axes.barh(places, state, color=colors, height=0.66)
    axes.barh(places, [entry["extra"] for entry in results.values()], left=state, color=LIGHT, height=0.66)
    axes.set_yticks(places, list(results))
    axes.set_ylim(len(results) - 0.4, -0.6)
    clean(axes, grid="x")
    axes.set(title=f"State and most extra memory of a step ({record['shape']})", xlabel="bytes per float32 parameter")
    names = dict.fromkeys(entry["package"] for entry in results.values())
    handles = [Patch(color=LIBRARIES[name], label=f"state, {name}") for name in names]
    figure.legend(handles=[*handles, Patch(color=LIGHT, label="extra")], loc="outside lower center", ncols=3)
    return figure


@styled
def compile_cost(record: dict[str, Any]) -> Figure:
    """Seconds of first steps, and steps until they have paid."""
    figure = new_figure(7.6, 3.3)
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    colors = {"empty": "#D55E00", "filled": "#0072B2"}
    firsts = record["first_steps"]
    for offset, (which, color) in zip((-0.18, 0.18), colors.items(), strict=True):
        seconds = [row[which]["first"] for row in firsts]
        places = [place + offset for place in range(len(firsts))]
        left.barh(places, seconds, height=0.34, color=color, label=f"cache {which}")
        for place, value in zip(places, seconds, strict=True):
            text = f"{value:.0f} s" if value >= 2 else f"{value:.2f} s"
            left.annotate(text, (value, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
    many = ("", "s")
    names = [f"{row['optimizer']},\n{row['tensors']} tensor{many[row['tensors'] > 1]}" for row in firsts]
    left.set_yticks(range(len(firsts)), names)
    left.set_ylim(len(firsts) - 0.5, -0.5)
    left.set_xscale("log")
    left.set_xlim(None, 4 * max(row["empty"]["first"] for row in firsts))
    _title(left, "a", "First step", "seconds")
    for (which, color), style in zip(colors.items(), ("o-", "s--"), strict=True):
        paid = [(row["coordinates"], steps_until_paid(record["costs"][which], row)) for row in record["savings"]]
        drawn = [(size, steps) for size, steps in paid if steps is not None]
        right.plot(*zip(*drawn, strict=True), style, color=color, markersize=4) if drawn else None
    right.axvline(record["compile_from"], color=MUTED, linewidth=0.9, linestyle=":")
    right.annotate(
        " auto compiles", (record["compile_from"], 0.97), xycoords=("data", "axes fraction"), fontsize=7, color=MUTED
    )
    right.set(xscale="log", yscale="log")
    right.set_ylabel(f"steps, {record['savings_of']}")
    _title(right, "b", "Until compiling has paid", "parameters")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def scaling(record: dict[str, Any]) -> Figure:
    """Time per parameter over the size of the model."""
    results = record["results"]
    labels = list(dict.fromkeys(label for row in results for label in row["seconds"]))
    colors = colors_for([label for label in labels if label != FUSED]) | {FUSED: INK}
    figure = new_figure(6.4, 3.8)
    axes = figure.subplots()
    styles = {1: "o-", 2: "s--"}
    for processes in dict.fromkeys(row["processes"] for row in results):
        rows = [row for row in results if row["processes"] == processes]
        for label in labels:
            points = [(row["coordinates"], row["seconds"][label]) for row in rows if row["seconds"].get(label)]
            if points:
                times = [1e9 * quartiles(seconds)[1] / size for size, seconds in points]
                sizes = [size for size, _ in points]
                axes.plot(sizes, times, styles[processes], color=colors[label], markersize=3.5, alpha=0.9)
    axes.set(xscale="log", yscale="log", ylabel="ns per parameter")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    _title(axes, "", "Time of a step, by the size of the model", "parameters of the whole model", grid="both")
    handles = [Line2D([], [], color=colors[label], label=label) for label in labels]
    kinds = [Line2D([], [], color=MUTED, linestyle=s[1:], marker=s[0], markersize=3.5) for s in styles.values()]
    for handle, text in zip(kinds, ("one process", "two, sharded"), strict=True):
        handle.set_label(text)
    figure.legend(handles=[*handles, *kinds], loc="outside lower center", ncols=4)
    return figure


def _logarithmic(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_xlim()
    ticks = [tick for tick in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= tick <= high]
    axes.set_xticks(ticks)
    axes.axvline(1.0, color=MUTED, linewidth=0.9, linestyle=":", zorder=0)


def _title(axes: Axes, letter: str, title: str, xlabel: str, grid: str = "x") -> None:
    clean(axes, grid=grid)
    axes.set(title=title, xlabel=xlabel)
    panel_letter(axes, letter)


PICTURES: dict[str, Callable[[dict[str, Any]], Figure | None]] = {
    "step_time": step_time,
    "memory": memory,
    "compile_cost": compile_cost,
    "scaling": scaling,
}
