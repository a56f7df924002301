"""Waddington's landscape: the quasi-potential as a lit surface and as a map, with cells and trajectories on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_rgba
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from waddington._text import counted
from waddington.errors import ArgumentError, DataError
from waddington.twin.plots._ground import ROOT_COLOR, Cells, draw_map, draw_surface
from waddington.twin.plots._paths import lay_paths
from waddington.twin.plots.labels import short_labels
from waddington.twin.plots.style import (
    INK,
    MUTED,
    Panels,
    colors_for,
    new_figure,
    panels_from,
    styled,
)
from waddington.twin.trajectory.landscape import QuasiPotential, quasi_potential
from waddington.twin.trajectory.projection import orient

__all__ = ["landscape"]

_Array = npt.NDArray[np.float64]
_MOST_LABELS = 10  # as many as there are colours that can be told apart


@styled
def landscape(
    embedding: npt.ArrayLike,
    pseudotime: npt.ArrayLike,
    *,
    labels: Sequence[str] | npt.ArrayLike | None = None,
    label_order: Sequence[str] = (),
    trajectories: Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike] | None = None,
    roots: Sequence[int] = (),
    possible_roots: Sequence[int] = (),
    descent: bool = True,
    potential: QuasiPotential | None = None,
    oriented: bool = True,
    view: tuple[float, float] | None = None,
    max_cells: int = 4000,
    axes: Axes | Sequence[Axes] | Mapping[str, Axes] | None = None,
    size: tuple[float, float] = (10.0, 4.8),
    seed: int = 0,
) -> Panels:
    """Draw the landscape in 3-D and as a map.

    Parameters
    ----------
    embedding
        Cells by 2 (see :func:`waddington.twin.trajectory.projection.project_2d`).
    pseudotime
        One value a cell in [0, 1]; NaN for a cell without an order, which is drawn hollow and counted in the legend.
    labels
        One label a cell (fate, time, condition), shown by colour; the most frequent 10 at most, others are grey. By
        default cells are coloured by pseudotime.
    label_order
        Labels that have an order of their own, such as measured times, as the legend lists them; numbers are listed by
        value, and all others follow by their mean pseudotime.
    trajectories
        Courses in the plane of ``embedding``, each ``(steps, 2)``; a mapping names them in the legend and
        numbers their ends.
    roots
        Indices of the cells at which the order begins, drawn as stars.
    possible_roots
        Indices of cells at which it may as well begin, where a root is a guess: drawn as hollow stars, and the root is
        called a guess.
    descent
        Whether the ground falls with pseudotime. False where nothing says which way cells go (mature types, a guessed
        root): the ground is then -log density, and the picture says so.
    potential
        A quasi-potential computed before, in the plane of ``embedding``; implies ``oriented=False``.
    oriented
        Turn the plane so that differentiation runs towards the reader.
    view
        Elevation and azimuth of the camera in degrees; by default from the front, and from higher up where there is no
        descent, so that one sees into the valleys. Axes in an interactive window or notebook can be rotated on.
    max_cells
        Most cells drawn; the surface is computed from all.
    axes
        Axes for "surface" (with ``projection="3d"``) and "map", or a single one for either; by default a new figure.
    size
        Width and height of a new figure in inches.
    seed
        Chooses the cells drawn.

    Returns
    -------
    Panels "surface" and "map", or that of the single axes given.

    Raises
    ------
    DataError
        Lengths that differ, or too few cells.
    """
    points = np.asarray(embedding, dtype=np.float64)
    times = np.asarray(pseudotime, dtype=np.float64).ravel()
    given = None if labels is None else np.asarray(labels)
    if given is not None and given.dtype.kind in "iuf" and not len(label_order):
        label_order = np.unique(given).astype(str).tolist()
    named = None if given is None else given.astype(str)
    if named is not None and len(named) != len(points):
        raise DataError(
            f"cannot draw a landscape: found {counted(len(named), 'label')} for {counted(len(points), 'cell')}"
        )
    tracks = _named(trajectories)
    if potential is None and oriented:
        stacked = np.concatenate([points, *tracks.values()]) if tracks else points
        turned = orient(stacked, np.concatenate([times, np.full(len(stacked) - len(points), np.nan)])).astype(float)
        points = turned[: len(points)]
        cuts = np.cumsum([len(points), *(len(trajectory) for trajectory in tracks.values())])
        tracks = {name: turned[cuts[i] : cuts[i + 1]] for i, name in enumerate(tracks)}
    if potential is not None:
        ground = potential
    elif descent:
        ground = quasi_potential(points, times)
    else:  # every cell counts, those without an order, too
        ground = quasi_potential(points, np.zeros(len(points)), tilt=0.0)
    if axes is None:
        figure = new_figure(*size)
        spec = figure.add_gridspec(1, 2, width_ratios=(1.5, 1.0))
        panels: dict[str, Axes] = {
            "surface": figure.add_subplot(spec[0], projection="3d"),
            "map": figure.add_subplot(spec[1]),
        }
    else:
        wanted: tuple[str, ...] = ("surface", "map")
        if isinstance(axes, Axes):
            wanted = ("surface",) if isinstance(axes, Axes3D) else ("map",)
        panels = panels_from(axes, wanted)
    if not isinstance(panels.get("surface"), Axes3D | None):
        raise ArgumentError("cannot draw the surface into flat axes; axes made with projection='3d' are accepted")
    rng = np.random.default_rng(seed)
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    shown = finite if len(finite) <= max_cells else np.sort(rng.choice(finite, max_cells, replace=False))
    # Cells are drawn in random order, so that no label lies on top of all others.
    shown = rng.permutation(shown)
    colors, handles = _cell_colors(times, named, shown, label_order)
    cells = Cells(points[shown], colors, np.isfinite(times[shown]), points[list(roots)], points[list(possible_roots)])
    stars = np.concatenate([cells.roots, cells.possible])
    paths = lay_paths(tracks, float(max(np.ptp(ground.x), np.ptp(ground.y))), roots=stars)
    if "surface" in panels:
        draw_surface(panels["surface"], ground, cells, paths, view or ((48.0, -70.0) if descent else (68.0, -70.0)))
    if "map" in panels:
        draw_map(panels["map"], ground, cells, paths)
    first = next(iter(panels.values()))
    first.set_title("Landscape, falling with pseudotime" if descent else "Density of cells: valleys, no descent")
    handles += _legend_of_order(
        int((~np.isfinite(times)).sum()), len(times), bool(len(roots)), bool(len(possible_roots))
    )
    shown_as = short_labels(tracks)
    handles += [
        Line2D([], [], color=path.color, linewidth=1.6, label=f"{path.number}  {shown_as[name]}")
        for name, path in zip(tracks, paths, strict=True)
        if path.number is not None
    ]
    if tracks and all(path.number is None for path in paths):
        handles.append(Line2D([], [], color=INK, linewidth=1.6, label="Trajectory"))
    list(panels.values())[-1].legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), handletextpad=0.5, labelspacing=0.6
    )
    return Panels(panels)


def _legend_of_order(missing: int, total: int, rooted: bool, is_guess: bool) -> list[Line2D]:
    """Say what stars and hollow cells mean."""
    handles = []
    star: dict[str, Any] = {"marker": "*", "linestyle": "", "markersize": 9, "markeredgecolor": INK}
    if rooted:
        handles.append(Line2D([], [], color=ROOT_COLOR, label="Root, a guess" if is_guess else "Root", **star))
    if is_guess:
        handles.append(Line2D([], [], color="white", label="May as well be the root", **star))
    if missing:
        hollow: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 5, "markerfacecolor": "white"}
        handles.append(
            Line2D([], [], markeredgecolor=MUTED, label=f"No order: {missing:,} of {counted(total, 'cell')}", **hollow)
        )
    return handles


def _named(trajectories: Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike] | None) -> dict[str, _Array]:
    """Return trajectories by name; those without one get a name that starts with an underscore."""
    if trajectories is None:
        return {}
    pairs = (
        trajectories.items()
        if isinstance(trajectories, Mapping)
        else ((f"_{index}", trajectory) for index, trajectory in enumerate(trajectories))
    )
    named = {name: np.asarray(trajectory, dtype=np.float64) for name, trajectory in pairs}
    for name, trajectory in named.items():
        if trajectory.ndim != 2 or trajectory.shape[1] != 2 or not np.isfinite(trajectory).all():
            raise DataError(
                f"cannot draw trajectory {name.lstrip('_')!r}: found shape {trajectory.shape}; "
                "finite steps by 2 are accepted"
            )
    return {name: trajectory for name, trajectory in named.items() if len(trajectory) > 1}


def _cell_colors(
    times: _Array, named: npt.NDArray[np.str_] | None, shown: npt.NDArray[np.int64], order: Sequence[str]
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
    place = {name: at for at, name in enumerate(order)}
    kept.sort(key=lambda name: (place.get(name, len(place)), mean_time[name], name))
    palette = colors_for(kept)
    rest = f"other ({counted(len(counts) - len(kept), 'label')})"
    if len(kept) < len(counts):
        palette[rest] = "#C9CED4"
    shown_as = short_labels(palette)
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=5, color=color, label=shown_as[name])
        for name, color in palette.items()
    ]
    return np.array([to_rgba(palette.get(name, "#C9CED4")) for name in named[shown].tolist()]), handles
