"""Loss surfaces: directions through the parameters, and the loss on grids that they span."""

from __future__ import annotations

from waddington.analysis.landscape.directions import PathPlane, path_directions, random_directions
from waddington.analysis.landscape.grids import Landscape, interpolate, loss_landscape, project

__all__ = ["Landscape", "PathPlane", "interpolate", "loss_landscape", "path_directions", "project", "random_directions"]
