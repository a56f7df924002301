"""Waddington's landscape: the quasi-potential as a lit surface and as a map, with cells and trajectories on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from contourpy import contour_generator
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LightSource, Normalize, to_rgba
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from waddington._errors import ArgumentError, DataError
from waddington.twin.plots.camera import Camera
from waddington.twin.plots.style import (
    INK,
    LANDSCAPE_CMAP,
    Panels,
    clean,
    colors_for,
    new_figure,
    panels_from,
    styled,
)
from waddington.twin.projection import orient
from waddington.twin.quasipotential import QuasiPotential, quasi_potential

__all__ = ["landscape"]

_Array = npt.NDArray[np.float64]
_MOST_LABELS = 10  # as many as there are colours that can be told apart
_NUMBER: dict[str, Any] = {
    "fontsize": 7.5,
    "fontweight": "bold",
    "color": INK,
    "path_effects": [withStroke(linewidth=2.0, foreground="white")],
}
"""How a course's number is written beside its end."""


@styled
def landscape(
    embedding: npt.ArrayLike,
    pseudotime: npt.ArrayLike,
    *,
    labels: Sequence[str] | npt.ArrayLike | None = None,
    trajectories: Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike] | None = None,
    potential: QuasiPotential | None = None,
    oriented: bool = True,
    view: tuple[float, float] = (48.0, -70.0),
    max_cells: int = 4000,
    axes: Axes | Sequence[Axes] | Mapping[str, Axes] | None = None,
    size: tuple[float, float] = (10.0, 4.8),
    seed: int = 0,
) -> Panels:
    """Draw the landscape in 3-D and as a map.

    Parameters
    ----------
    embedding
        Cells by 2 (see :func:`waddington.twin.projection.project_2d`).
    pseudotime
        One value a cell in [0, 1].
    labels
        One label a cell (fate, time, condition), shown by colour; the most frequent 10 at most, others are grey. By
        default cells are coloured by pseudotime.
    trajectories
        Courses in the plane of ``embedding``, each ``(steps, 2)``; a mapping names them in the legend and
        numbers their ends.
    potential
        A quasi-potential computed before, in the plane of ``embedding``; implies ``oriented=False``.
    oriented
        Turn the plane so that differentiation runs towards the reader.
    view
        Elevation and azimuth of the camera in degrees; axes in an interactive window or notebook can be rotated on.
    max_cells
        Most cells drawn; the surface is computed from all.
    axes
        Axes for "surface" (with ``projection="3d"``) and "map"; by default a new figure.
    size
        Width and height of a new figure in inches.
    seed
        Chooses the cells drawn.

    Returns
    -------
    Panels "surface" and "map".

    Raises
    ------
    DataError
        Lengths that differ, or too few cells.
    """
    points = np.asarray(embedding, dtype=np.float64)
    times = np.asarray(pseudotime, dtype=np.float64).ravel()
    named = None if labels is None else np.asarray(labels).astype(str)
    if named is not None and len(named) != len(points):
        raise DataError(f"cannot draw a landscape: found {len(named)} labels for {len(points)} cells")
    courses = _named_courses(trajectories)
    if potential is None and oriented:
        stacked = np.concatenate([points, *courses.values()]) if courses else points
        turned = orient(stacked, np.concatenate([times, np.full(len(stacked) - len(points), np.nan)])).astype(float)
        points = turned[: len(points)]
        cuts = np.cumsum([len(points), *(len(course) for course in courses.values())])
        courses = {name: turned[cuts[i] : cuts[i + 1]] for i, name in enumerate(courses)}
    ground = quasi_potential(points, times) if potential is None else potential
    if axes is None:
        figure = new_figure(*size)
        spec = figure.add_gridspec(1, 2, width_ratios=(1.5, 1.0))
        panels: dict[str, Axes] = {
            "surface": figure.add_subplot(spec[0], projection="3d"),
            "map": figure.add_subplot(spec[1]),
        }
    else:
        panels = panels_from(axes, ("surface", "map"))
    surface = panels["surface"]
    if not isinstance(surface, Axes3D):
        raise ArgumentError("cannot draw the surface into flat axes; axes made with projection='3d' are accepted")
    rng = np.random.default_rng(seed)
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    shown = finite if len(finite) <= max_cells else np.sort(rng.choice(finite, max_cells, replace=False))
    # Cells are drawn in random order, so that no label lies on top of all others.
    shown = rng.permutation(shown)
    colors, handles = _cell_colors(times, named, shown)
    _draw_surface(surface, ground, points[shown], colors, courses, view)
    _draw_map(panels["map"], ground, points[shown], colors, courses)
    handles += [
        Line2D([], [], color=INK, linewidth=1.6, label=f"{number}  {name}")
        for number, name in enumerate(courses, start=1)
        if not name.startswith("_")
    ]
    if courses and all(name.startswith("_") for name in courses):
        handles.append(Line2D([], [], color=INK, linewidth=1.6, label="Trajectory"))
    panels["map"].legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), handletextpad=0.5, labelspacing=0.6
    )
    return Panels(panels)


def _named_courses(trajectories: Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike] | None) -> dict[str, _Array]:
    """Return trajectories by name; those without one get a name that starts with an underscore."""
    if trajectories is None:
        return {}
    pairs = (
        trajectories.items()
        if isinstance(trajectories, Mapping)
        else ((f"_{index}", course) for index, course in enumerate(trajectories))
    )
    courses = {name: np.asarray(course, dtype=np.float64) for name, course in pairs}
    for name, course in courses.items():
        if course.ndim != 2 or course.shape[1] != 2 or not np.isfinite(course).all():
            raise DataError(
                f"cannot draw trajectory {name.lstrip('_')!r}: found shape {course.shape}; "
                "finite steps by 2 are accepted"
            )
    return {name: course for name, course in courses.items() if len(course) > 1}


def _cell_colors(
    times: _Array, named: npt.NDArray[np.str_] | None, shown: npt.NDArray[np.int64]
) -> tuple[_Array, list[Line2D]]:
    """Return an RGBA row for every cell shown, and the legend's handles."""
    if named is None:
        shade = colormaps["viridis"]
        handles = [
            Line2D([], [], marker="o", linestyle="", markersize=5, color=shade(level), label=f"Pseudotime {level:g}")
            for level in (0.0, 0.5, 1.0)
        ]
        return np.asarray(shade(Normalize(0.0, 1.0)(np.nan_to_num(times[shown])))), handles
    counts = Counter(named.tolist())
    kept = [name for name, _ in counts.most_common(_MOST_LABELS if len(counts) <= _MOST_LABELS else _MOST_LABELS - 1)]
    mean_time = {name: float(np.nanmean(np.nan_to_num(times[named == name], nan=1.0))) for name in kept}
    kept.sort(key=lambda name: (mean_time[name], name))
    palette = colors_for(kept)
    rest = f"other ({len(counts) - len(kept)} labels)"
    if len(kept) < len(counts):
        palette[rest] = "#C9CED4"
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=5, color=color, label=name)
        for name, color in palette.items()
    ]
    return np.array([to_rgba(palette.get(name, "#C9CED4")) for name in named[shown].tolist()]), handles


def _draw_surface(
    axes: Axes3D,
    ground: QuasiPotential,
    cells: _Array,
    colors: _Array,
    courses: Mapping[str, _Array],
    view: tuple[float, float],
) -> None:
    """Draw the lit surface, and on it those cells and stretches of trajectories that the ground doesn't hide."""
    camera = Camera(ground, view)
    top = float(ground.height.max())
    lift = 0.012 * top
    axes.computed_zorder = False
    _draw_ground(axes, ground, camera)
    for level in _levels(ground):
        for line in contour_generator(ground.x, ground.y, ground.height).lines(level):
            flat_line = np.asarray(line, dtype=np.float64)
            path = np.column_stack([flat_line, np.full(len(flat_line), level + 0.3 * lift)])
            path[~camera.sees(path)] = np.nan
            axes.plot(*path.T, color="white", linewidth=0.5, alpha=0.55, zorder=2)
    places = np.column_stack([cells, ground.at(cells) + lift])
    seen = camera.sees(places)
    axes.scatter(
        *places[seen].T, s=5.0, c=colors[seen], edgecolors="white", linewidths=0.15, depthshade=False, zorder=3
    )
    for number, (name, course) in enumerate(courses.items(), start=1):
        flat = _dense(course)
        path = np.column_stack([flat, ground.at(flat) + 3.0 * lift])
        end = path[-1:] + np.array([0.0, 0.0, lift])
        path[~camera.sees(path)] = np.nan
        axes.plot(*path.T, color="white", linewidth=3.0, zorder=4)
        axes.plot(*path.T, color=INK, linewidth=1.5, zorder=5)
        if camera.sees(end).all():
            axes.scatter(*end.T, s=24, c=INK, edgecolors="white", linewidths=0.9, depthshade=False, zorder=6)
            if not name.startswith("_"):
                axes.text(*end[0], f"  {number}", zorder=7, **_NUMBER)
    axes.set_axis_off()
    axes.set(xlim=(ground.x[0], ground.x[-1]), ylim=(ground.y[0], ground.y[-1]), zlim=(-0.06 * top, top))
    axes.set_proj_type("ortho")
    axes.view_init(elev=view[0], azim=view[1])
    axes.set_box_aspect(camera.box, zoom=1.04)
    # The box's corners reach beyond the square that matplotlib gives to 3-D axes, whose layout must not count them.
    for artist in (*axes.collections, *axes.lines):
        artist.set_clip_on(False)
        artist.set_in_layout(False)


def _draw_ground(axes: Axes3D, ground: QuasiPotential, camera: Camera) -> None:
    """Draw the surface itself, lit from the left, and the cut faces that the camera sees."""
    x, y = np.meshgrid(ground.x, ground.y)
    step = float(ground.x[1] - ground.x[0])
    paint = LightSource(azdeg=300.0, altdeg=48.0).shade(
        ground.height * camera.exaggeration, LANDSCAPE_CMAP, dx=step, dy=step, blend_mode="soft", fraction=1.1
    )
    # Edges in the colour of their faces close the seams that antialiasing would leave between them.
    axes.plot_surface(
        x, y, ground.height, facecolors=paint, rcount=400, ccount=400, linewidth=0.35, antialiased=True, shade=False,
        zorder=1,
    ).set_rasterized(True)  # fmt: skip
    base = -0.06 * float(ground.height.max())
    column = -1 if camera.toward[0] > 0 else 0
    row = -1 if camera.toward[1] > 0 else 0
    sides = (
        (np.full(len(ground.y), ground.x[column]), ground.y, ground.height[:, column], "#b9b3a6"),
        (ground.x, np.full(len(ground.x), ground.y[row]), ground.height[row], "#cfc9bc"),
    )
    for along, across, height, color in sides:
        rim = np.column_stack([along, across, height])
        foot = rim[::-1].copy()
        foot[:, 2] = base
        axes.add_collection3d(
            Poly3DCollection(
                [np.concatenate([rim, foot])], facecolors=color, edgecolors=color, linewidths=0.3, zorder=1.5
            )
        )


def _levels(ground: QuasiPotential, n_levels: int = 14) -> _Array:
    """Return the heights at which both panels draw a contour."""
    return np.linspace(0.0, float(ground.height.max()), n_levels + 1)


def _draw_map(axes: Axes, ground: QuasiPotential, cells: _Array, colors: _Array, courses: Mapping[str, _Array]) -> None:
    """Draw the same ground from above, with contour lines."""
    levels = _levels(ground)
    filled = axes.contourf(ground.x, ground.y, ground.height, levels=levels, cmap=LANDSCAPE_CMAP)
    axes.contour(ground.x, ground.y, ground.height, levels=levels, colors="white", linewidths=0.4, alpha=0.7)
    axes.scatter(cells[:, 0], cells[:, 1], s=5.0, c=colors, edgecolors="white", linewidths=0.15, rasterized=True)
    for number, (name, course) in enumerate(courses.items(), start=1):
        axes.plot(course[:, 0], course[:, 1], color="white", linewidth=2.8, zorder=4)
        axes.plot(course[:, 0], course[:, 1], color=INK, linewidth=1.4, zorder=5)
        axes.annotate(
            "", course[-1], xytext=course[-2], zorder=6,
            arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.4, "mutation_scale": 9, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        if not name.startswith("_"):
            axes.annotate(f"{number}", course[-1], xytext=(4, 3), textcoords="offset points", zorder=7, **_NUMBER)
    axes.set(xlim=(ground.x[0], ground.x[-1]), ylim=(ground.y[0], ground.y[-1]), aspect="equal", xticks=[], yticks=[])
    axes.set(xlabel="Projection 1", ylabel="Projection 2")
    clean(axes)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = axes.get_figure(root=True).colorbar(filled, ax=axes, location="bottom", shrink=0.62, aspect=28, pad=0.02)  # type: ignore[union-attr]
    bar.set_label("Quasi-potential U (nats), tilted by pseudotime", fontsize=7.5)
    bar.set_ticks(MaxNLocator(nbins=5, integer=True).tick_values(0.0, float(levels[-1]))[:-1])
    bar.outline.set_visible(False)
    clean(bar.ax)


def _dense(course: _Array, spacing: int = 12) -> _Array:
    """Put points between the steps of a course, so that it follows the ground."""
    steps = np.arange(len(course))
    fine = np.linspace(0, len(course) - 1, spacing * (len(course) - 1) + 1)
    return np.column_stack([np.interp(fine, steps, course[:, axis]) for axis in (0, 1)])
