"""The camera that looks at a landscape: proportions of the box, and what hides behind the ground.

matplotlib sorts whole collections by depth and can't let a hill hide half a line, so every point that lies on the
ground is tested here: it is seen if the ground nowhere rises above the ray from it to the camera.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from waddington.twin.trajectory.landscape import QuasiPotential

__all__ = ["Camera"]

_Array = npt.NDArray[np.float64]


class Camera:
    """A distant camera (parallel rays) looking at a quasi-potential.

    Parameters
    ----------
    ground
        The surface.
    view
        Elevation and azimuth in degrees, as matplotlib counts them.
    height
        Height of the surface's box, in widths of its longer side.

    Attributes
    ----------
    box
        Proportions of the box, the longer side 1.
    exaggeration
        Factor from the surface's heights to lengths of the plane.
    toward
        Unit vector from the surface to the camera, in the box.
    """

    def __init__(self, ground: QuasiPotential, view: tuple[float, float], *, height: float = 0.62) -> None:
        spans = np.array([np.ptp(ground.x), np.ptp(ground.y), max(float(ground.height.max()), 1e-9)])
        longest = float(spans[:2].max())
        self.box = (float(spans[0]) / longest, float(spans[1]) / longest, height)
        self.exaggeration = height * longest / float(spans[2])
        elevation, azimuth = np.deg2rad(view)
        self.toward = np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        )
        self._ground = ground
        self._unit = spans / np.asarray(self.box)

    def sees(self, points: _Array, *, n_steps: int = 90) -> npt.NDArray[np.bool_]:
        """Walk from every point, shape ``(n, 3)``, towards the camera; say which the ground doesn't hide."""
        ground = self._ground
        slack = 0.01 * float(ground.height.max())
        seen = np.ones(len(points), dtype=bool)
        for distance in np.linspace(0.01, self.box[2] / max(float(self.toward[2]), 0.1), n_steps):
            ray = points + distance * self.toward * self._unit
            inside = (ray[:, 0] > ground.x[0]) & (ray[:, 0] < ground.x[-1])
            inside &= (ray[:, 1] > ground.y[0]) & (ray[:, 1] < ground.y[-1])
            seen &= ~(inside & (ground.at(ray[:, :2]) > ray[:, 2] + slack))
        return seen
