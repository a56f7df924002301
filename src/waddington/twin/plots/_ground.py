"""The ground of a landscape, as a lit surface and as a map, with cells, roots and trajectories on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from contourpy import contour_generator
from matplotlib.axes import Axes
from matplotlib.colors import LightSource
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from waddington.twin.plots._camera import Camera
from waddington.twin.plots._paths import NUMBER, Path
from waddington.twin.plots.style import INK, LANDSCAPE_CMAP, clean
from waddington.twin.trajectory.landscape import QuasiPotential

__all__ = ["ROOT_COLOR", "Cells", "draw_map", "draw_surface"]

_Array = npt.NDArray[np.float64]

ROOT_COLOR = "#FFD23F"
"""Of the star that marks a root; one that is only possible is white."""

_EDGE = 0.25
_STAR: dict[str, Any] = {"marker": "*", "s": 95, "edgecolors": INK, "linewidths": 0.9, "zorder": 8}


@dataclass(frozen=True)
class Cells:
    """What is drawn of the cells: places, colours, whether they have an order; and the places of roots."""

    places: _Array
    colors: _Array
    ordered: npt.NDArray[np.bool_]
    roots: _Array
    possible: _Array


def draw_surface(
    axes: Axes3D, ground: QuasiPotential, cells: Cells, paths: Sequence[Path], view: tuple[float, float]
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
            contour = np.column_stack([flat_line, np.full(len(flat_line), level + 0.3 * lift)])
            contour[~camera.sees(contour)] = np.nan
            axes.plot(*contour.T, color="white", linewidth=0.5, alpha=0.55, zorder=2)

    def standing(flat: _Array, height: float) -> _Array:
        return np.column_stack([flat, ground.at(flat) + height * lift])

    places = standing(cells.places, 1.0)
    seen = camera.sees(places)
    faces, edges = _faces(cells)
    axes.scatter(
        *places[seen].T, s=5.0, c=faces[seen], edgecolors=edges[seen], linewidths=_EDGE, depthshade=False, zorder=3
    )
    for stars, color in ((cells.possible, "white"), (cells.roots, ROOT_COLOR)):
        spots = standing(stars, 2.0)
        spots = spots[camera.sees(spots)]
        if len(spots):
            axes.scatter(*spots.T, c=color, depthshade=False, **_STAR)
    for path in paths:
        line = standing(_dense(path.points), 3.0)
        end = line[-1:] + np.array([0.0, 0.0, lift])
        line[~camera.sees(line)] = np.nan
        axes.plot(*line.T, color="white", linewidth=3.0, zorder=4)
        axes.plot(*line.T, color=path.color, linewidth=1.5, zorder=5)
        if camera.sees(end).all():
            axes.scatter(*end.T, s=20, c=path.color, edgecolors="white", linewidths=0.9, depthshade=False, zorder=6)
            if path.number is not None:
                badge = standing(path.badge[None], 8.0)[0]
                axes.scatter(*badge, s=72, c=path.color, edgecolors="white", linewidths=0.8, depthshade=False, zorder=9)
                axes.text(*badge, f"{path.number}", zorder=10, **NUMBER)
    axes.set_axis_off()
    axes.set(xlim=(ground.x[0], ground.x[-1]), ylim=(ground.y[0], ground.y[-1]), zlim=(-0.06 * top, top))
    axes.set_proj_type("ortho")
    axes.view_init(elev=view[0], azim=view[1])
    axes.set_box_aspect(camera.box, zoom=1.04)
    # The box's corners reach beyond the square that matplotlib gives to 3-D axes, whose layout must not count them.
    for artist in (*axes.collections, *axes.lines):
        artist.set_clip_on(False)
        artist.set_in_layout(False)


def _faces(cells: Cells) -> tuple[_Array, _Array]:
    """Give the faces and edges of cells: full with a white edge, or hollow where a cell has no order."""
    full = cells.ordered[:, None]
    white = np.ones_like(cells.colors)
    return np.where(full, cells.colors, white), np.where(full, white, cells.colors)


def _draw_ground(axes: Axes3D, ground: QuasiPotential, camera: Camera) -> None:
    """Draw the surface itself, lit from the left, and the cut faces that the camera sees."""
    x, y = np.meshgrid(ground.x, ground.y)
    step = float(ground.x[1] - ground.x[0])
    paint = LightSource(azdeg=300.0, altdeg=48.0).shade(
        ground.height * camera.exaggeration, LANDSCAPE_CMAP, dx=step, dy=step, blend_mode="soft", fraction=1.1
    )
    corners = np.stack([x, y, ground.height], axis=-1)[_every(len(ground.y))][:, _every(len(ground.x))]
    tiles = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=2).reshape(-1, 4, 3)
    colors = paint[_every(len(ground.y))[:-1]][:, _every(len(ground.x))[:-1]].reshape(-1, paint.shape[-1])
    # Edges in the colour of their faces close the seams that antialiasing would leave between them.
    surface = Poly3DCollection(
        tiles, facecolors=colors, edgecolors=colors, linewidth=0.35, antialiased=True, rasterized=True, zorder=1
    )
    axes.add_collection3d(surface)  # as plot_surface does, which makes each tile and its colour in Python: a second
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


def _every(n: int) -> npt.NDArray[np.intp]:
    """Give the places of the lines of a grid that are drawn: at most 400 steps, the last line included."""
    return np.append(np.arange(0, n - 1, -(-n // 400)), n - 1)


def _levels(ground: QuasiPotential, n_levels: int = 14) -> _Array:
    """Return the heights at which both panels draw a contour."""
    return np.linspace(0.0, float(ground.height.max()), n_levels + 1)


def draw_map(axes: Axes, ground: QuasiPotential, cells: Cells, paths: Sequence[Path]) -> None:
    """Draw the same ground from above, with contour lines."""
    levels = _levels(ground)
    filled = axes.contourf(ground.x, ground.y, ground.height, levels=levels, cmap=LANDSCAPE_CMAP)
    axes.contour(ground.x, ground.y, ground.height, levels=levels, colors="white", linewidths=0.4, alpha=0.7)
    faces, edges = _faces(cells)
    x, y = cells.places.T
    axes.scatter(x, y, s=5.0, c=faces, edgecolors=edges.tolist(), linewidths=_EDGE, rasterized=True)
    for stars, color in ((cells.possible, "white"), (cells.roots, ROOT_COLOR)):
        axes.scatter(stars[:, 0], stars[:, 1], c=color, **_STAR)
    for path in paths:
        axes.plot(*path.points.T, color="white", linewidth=2.8, zorder=4)
        axes.plot(*path.points.T, color=path.color, linewidth=1.4, zorder=5)
        axes.annotate(
            "", path.points[-1], xytext=path.points[-2], zorder=6,
            arrowprops={
                "arrowstyle": "-|>", "color": path.color, "lw": 1.4, "mutation_scale": 9, "shrinkA": 0, "shrinkB": 0
            },
        )  # fmt: skip
        if path.number is not None:
            x, y = path.badge
            axes.scatter([x], [y], s=72, c=path.color, edgecolors="white", linewidths=0.8, zorder=9)
            axes.text(x, y, f"{path.number}", zorder=10, **NUMBER)
    axes.set(xlim=(ground.x[0], ground.x[-1]), ylim=(ground.y[0], ground.y[-1]), aspect="equal", xticks=[], yticks=[])
    axes.set(xlabel="Projection 1", ylabel="Projection 2")
    clean(axes)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure: Any = axes.get_figure(root=True)
    # Without such a layout nobody else makes room for the axis' name.
    pad = 0.02 if figure.get_layout_engine() is not None else 0.16
    bar = figure.colorbar(filled, ax=axes, location="bottom", shrink=0.62, aspect=28, pad=pad)
    bar.set_label(
        "Quasi-potential U (nats), tilted by pseudotime" if ground.tilt else "−log density of cells (nats)",
        fontsize=7.5,
    )
    bar.set_ticks(MaxNLocator(nbins=5, integer=True).tick_values(0.0, float(levels[-1]))[:-1])
    bar.outline.set_visible(False)
    clean(bar.ax)


def _dense(trajectory: _Array, spacing: int = 12) -> _Array:
    """Put points between the steps of a trajectory, so that it follows the ground."""
    steps = np.arange(len(trajectory))
    fine = np.linspace(0, len(trajectory) - 1, spacing * (len(trajectory) - 1) + 1)
    return np.column_stack([np.interp(fine, steps, trajectory[:, axis]) for axis in (0, 1)])
