"""Trajectories on a landscape: a colour for each, and a numbered disc at its end that covers no other, and no root.

A disc sits beside the end of its trajectory, at the first of a ring of places that keeps its distance from roots and
from every disc set before and lies farthest from the trajectories. Where there is no such place, it may cover a root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from waddington.twin.plots.style import INK

__all__ = ["NUMBER", "Path", "lay_paths"]

_Array = npt.NDArray[np.float64]

_COLORS = (INK, "#A3195B", "#0B5FA5", "#8A4B08", "#2F6B3A", "#5B3F99")
_RINGS = (0.032, 0.05, 0.075, 0.1)  # shares of the extent
_APART = 0.052  # least distance of two discs, a share of the extent

NUMBER: Mapping[str, Any] = {
    "fontsize": 6.5,
    "fontweight": "bold",
    "color": "white",
    "ha": "center",
    "va": "center",
}
"""How a trajectory's number is written."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Path:
    """One trajectory, ready to be drawn.

    Attributes
    ----------
    points
        (steps, 2).
    color
        Its own.
    number
        In the legend and on the disc; None for a trajectory without a name.
    badge
        Centre of the disc, (2,).
    """

    points: _Array
    color: str
    number: int | None
    badge: _Array


def lay_paths(trajectories: Mapping[str, _Array], extent: float, *, roots: _Array | None = None) -> list[Path]:
    """Give every trajectory its colour, and the place of its number.

    Parameters
    ----------
    trajectories
        Points in the plane by name, (steps, 2); a name that starts with an underscore gets no number.
    extent
        Length of the longer side of the picture, in units of the plane.
    roots
        Places that stars mark, (roots, 2).
    """
    stars = np.empty((0, 2)) if roots is None else roots
    every = np.concatenate(list(trajectories.values())) if trajectories else np.empty((0, 2))
    paths: list[Path] = []
    for at, (name, points) in enumerate(trajectories.items()):
        discs = np.array([path.badge for path in paths]).reshape(-1, 2)
        badge = _place(points[-1], discs, stars, every, extent)
        number = None if name.startswith("_") else at + 1
        paths.append(Path(points=points, color=_COLORS[at % len(_COLORS)], number=number, badge=badge))
    return paths


def _place(end: _Array, discs: _Array, stars: _Array, every: _Array, extent: float) -> _Array:
    """Choose the centre of a disc near an end."""
    angles = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    for taken in (np.concatenate([discs, stars]), discs):
        for radius in _RINGS:
            spots = end + radius * extent * ring
            clear = _nearest(spots, taken) if len(taken) else np.full(len(spots), np.inf)
            free = clear >= _APART * extent
            if free.any():
                return np.asarray(spots[free][_nearest(spots[free], every).argmax()])
    return np.asarray(spots[clear.argmax()])


def _nearest(spots: _Array, points: _Array) -> _Array:
    """Distance of each spot to the nearest of some points."""
    return np.asarray(np.linalg.norm(spots[:, None] - points[None], axis=2).min(axis=1))
