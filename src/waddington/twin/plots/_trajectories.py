"""Features along pseudotime: a heat map of the strongest trends with up/down calls, and a few trends with error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from waddington._checks import check_in_range
from waddington._text import cell_width
from waddington.errors import DataError
from waddington.twin.data.modalities import TITLES
from waddington.twin.plots.labels import short_labels
from waddington.twin.plots.style import (
    CALL_COLORS,
    COURSE_CMAP,
    INK,
    Panels,
    clean,
    colors_for,
    new_figure,
    panels_from,
    styled,
)
from waddington.twin.trajectory.trends import call_trends, smooth_trend

__all__ = ["trajectories"]

_Array = npt.NDArray[np.float64]
_LONGEST = 26  # columns of a name
_SHORT = 13  # letters of a name that still lets the legend have two columns
_ARROWS = {"up": "▲", "down": "▼", "flat": "–"}


@styled
def trajectories(
    pseudotime: npt.ArrayLike,
    values: Mapping[str, npt.ArrayLike],
    names: Mapping[str, Sequence[str]],
    *,
    predicted: Mapping[str, npt.ArrayLike] | None = None,
    calls: pd.DataFrame | None = None,
    n_features: int = 20,
    n_courses: int = 4,
    level: float = 0.05,
    label: str = "Pseudotime",
    axes: Axes | Sequence[Axes] | Mapping[str, Axes] | None = None,
    size: tuple[float, float] | None = None,
) -> Panels:
    """Draw how features of each modality run along pseudotime, and which of them go up or down.

    Parameters
    ----------
    pseudotime
        One value a cell.
    values
        Modality to cells by features (normalized).
    names
        Modality to feature names, aligned with the columns.
    predicted
        Modality to predicted values of the same shape, drawn as dashed trends.
    calls
        Result of :func:`waddington.twin.trajectory.trends.call_trends`, if it has been computed before.
    n_features
        Rows of the heat map: the features with the strongest rank correlation, half up and half down where there are.
    n_courses
        Courses drawn as lines: the strongest up and down, in turn.
    level
        False discovery rate of the calls.
    label
        Name of the horizontal axis ("Pseudotime", "Hours after treatment", …).
    axes
        Axes named ``"<modality> courses"`` and ``"<modality> map"``, or a single one for the courses of a single
        modality; by default a new figure.
    size
        Width and height of a new figure in inches.

    Returns
    -------
    Panels ``"<modality> courses"`` and ``"<modality> map"`` for every modality.

    Raises
    ------
    DataError
        No modality, or shapes that don't fit.
    """
    check_in_range("n_features", n_features, 1)
    check_in_range("n_courses", n_courses, 1)
    if not values:
        raise DataError("cannot draw trajectories: found no modality; at least one is needed")
    table = call_trends(pseudotime, values, names, level=level) if calls is None else calls
    wanted = [f"{modality} {kind}" for kind in ("courses", "map") for modality in values]
    if isinstance(axes, Axes):
        wanted = wanted[: len(values)]
    rows = {m: min(n_features, np.shape(values[m])[1]) for m in values}
    if axes is None:
        tall = 0.155 * max(8, *rows.values())
        figure = new_figure(*(size or (3.3 * len(values) + 0.4, 2.5 + tall)))
        grid = figure.add_gridspec(2, len(values), height_ratios=(1.75, tall + 0.35))
        panels = {name: figure.add_subplot(grid[i // len(values), i % len(values)]) for i, name in enumerate(wanted)}
    else:
        panels = panels_from(axes, wanted)
    image: AxesImage | None = None
    for modality, matrix in values.items():
        part = table[table["modality"] == modality].reset_index(drop=True)
        columns = _strongest(part["spearman"].to_numpy(dtype=np.float64), rows[modality])
        shown_as = short_labels(part["feature"].iloc[columns], _LONGEST)
        part["feature"] = part["feature"].map(lambda name, shown=shown_as: shown.get(name, name))
        guess = None if predicted is None or modality not in predicted else predicted[modality]
        title = TITLES.get(modality, modality)
        counts = part["call"].value_counts()
        tally = f"{counts.get('up', 0)} up, {counts.get('down', 0)} down of {len(part)}"
        courses = panels[f"{modality} courses"]
        _draw_courses(courses, pseudotime, _columns(matrix, columns), part.loc[columns], guess, columns, n_courses)
        # The title stands above the tallest of the legends.
        n_lines = min(n_courses, max(rows.values())) + (predicted is not None)
        longest = max(cell_width(short) for short in shown_as.values())
        courses.set_title(title, pad=6.0 + 10.5 * (n_lines if longest > _SHORT else (n_lines + 1) // 2))
        courses.set_xlabel(label)
        if f"{modality} map" in panels:
            heat = panels[f"{modality} map"]
            image = _draw_heat(heat, pseudotime, _columns(matrix, columns), part.loc[columns])
            heat.set_title(tally, fontsize=7.5, fontweight="normal")
            heat.set_xlabel(label)
    first = next(iter(values))
    panels[f"{first} courses"].set_ylabel("Level (as analysed)")
    if axes is None and image is not None:
        maps = [panel for name, panel in panels.items() if name.endswith(" map")]
        bar = figure.colorbar(image, ax=maps, location="right", aspect=24, shrink=0.7, pad=0.01)
        bar.set_label("Scaled mean level (z)", fontsize=7.5)
        bar.outline.set_visible(False)
        clean(bar.ax)
    return Panels(panels)


def _columns(matrix: Any, columns: npt.NDArray[np.int64]) -> _Array:
    """Take columns of a dense or sparse matrix, as a dense one."""
    part: Any = (matrix if hasattr(matrix, "shape") else np.asarray(matrix))[:, columns]
    return np.asarray(part.toarray() if hasattr(part, "toarray") else part, dtype=np.float64)


def _strongest(rho: _Array, n_features: int) -> npt.NDArray[np.int64]:
    """Return the columns of the strongest correlations, strongest first, as many up as down where there are."""
    order = np.argsort(-np.abs(rho), kind="stable")
    up, down = order[rho[order] > 0], order[rho[order] <= 0]
    n_up = min(len(up), max((n_features + 1) // 2, n_features - len(down)))
    kept = np.isin(order, np.concatenate([up[:n_up], down[: n_features - n_up]]))
    return order[kept]


def _alternating(part: pd.DataFrame, n_courses: int) -> list[int]:
    """Return positions of the strongest features, up and down in turn, so that both directions are seen."""
    up = [i for i, rho in enumerate(part["spearman"]) if rho > 0]
    down = [i for i, rho in enumerate(part["spearman"]) if rho <= 0]
    turn: list[int] = []
    while (up or down) and len(turn) < n_courses:
        for side in (up, down):
            if side and len(turn) < n_courses:
                turn.append(side.pop(0))
    return turn


def _draw_courses(
    axes: Axes,
    pseudotime: npt.ArrayLike,
    matrix: npt.ArrayLike,
    part: pd.DataFrame,
    guess: npt.ArrayLike | None,
    columns: npt.NDArray[np.int64],
    n_courses: int,
) -> None:
    """Draw a few trends: mean, band of ± 1 standard error, the prediction dashed."""
    picked = _alternating(part, n_courses)
    features = [str(part["feature"].iloc[i]) for i in picked]
    colors = dict(zip(features, ("#B2182B", "#2166AC", "#E08214", "#3B9AB2", "#8C2D75", "#4B7F52"), strict=False))
    colors = colors if len(colors) == len(features) else colors_for(features)
    grid, mean, error = smooth_trend(pseudotime, _columns(matrix, np.asarray(picked)))
    handles = []
    for i, feature in enumerate(features):
        color = colors[feature]
        axes.fill_between(grid, mean[:, i] - error[:, i], mean[:, i] + error[:, i], color=color, alpha=0.2, linewidth=0)
        axes.plot(grid, mean[:, i], color=color)
        arrow = _ARROWS[str(part["call"].iloc[picked[i]])]
        handles.append(Line2D([], [], color=color, label=f"{feature} {arrow}"))
    if guess is not None:
        trend = smooth_trend(pseudotime, _columns(guess, columns[np.asarray(picked)]))[1]
        for i, feature in enumerate(features):
            axes.plot(grid, trend[:, i], color=colors[feature], linestyle=(0, (3, 2)), linewidth=1.2)
        handles.append(Line2D([], [], color=INK, linestyle=(0, (3, 2)), linewidth=1.2, label="predicted"))
    axes.margins(x=0.01)
    clean(axes, grid="y")
    columns_of_legend = 2 if max(map(cell_width, features)) <= _SHORT else 1
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns_of_legend, handlelength=1.3,
        columnspacing=1.0, borderaxespad=0.1, labelspacing=0.25,
    )  # fmt: skip


def _draw_heat(axes: Axes, pseudotime: npt.ArrayLike, matrix: npt.ArrayLike, part: pd.DataFrame) -> AxesImage:
    """Draw scaled trends as rows ordered by where they peak, each named with its call."""
    grid, mean, _ = smooth_trend(pseudotime, matrix)
    spread = mean.std(axis=0)
    scaled = (mean - mean.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    # The centre of a trend's upper part orders rows better than its single highest point.
    upper = np.maximum(scaled, 0.0)
    center = (upper * grid[:, None]).sum(axis=0) / np.maximum(upper.sum(axis=0), 1e-12)
    order = np.argsort(center, kind="stable")
    extent = (float(grid[0]), float(grid[-1]), len(order) - 0.5, -0.5)
    image = axes.imshow(
        scaled[:, order].T, aspect="auto", cmap=COURSE_CMAP, vmin=-2.0, vmax=2.0, extent=extent, interpolation="nearest"
    )
    axes.set_yticks(range(len(order)), [str(part["feature"].iloc[i]) for i in order])
    axes.set_xticks(np.linspace(extent[0], extent[1], 5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    clean(axes)
    axes.tick_params(axis="y", length=0, labelsize=6.5)
    for row, i in enumerate(order):
        call = str(part["call"].iloc[i])
        axes.annotate(
            _ARROWS[call], (1.0, row), xycoords=("axes fraction", "data"), xytext=(3, 0), textcoords="offset points",
            ha="left", va="center", fontsize=6.5, color=CALL_COLORS[call],
            annotation_clip=False,
        )  # fmt: skip
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image
