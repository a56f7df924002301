"""Pictures of a twin: each reads records (arrays, tables), trains nothing, and returns its named axes.

Every function returns :class:`Panels`, a mapping from a panel's name to its axes, with ``.figure`` and
``.save(path, dpi=200)``; every one takes ``axes=`` to draw into axes that are there already, and ``size=`` in inches.
"""

from __future__ import annotations

from waddington.twin.plots._evaluation import calibration, ceiling, forest, gene_ranking
from waddington.twin.plots._landscape import landscape
from waddington.twin.plots._losses import loss_curves
from waddington.twin.plots._metrics import metric_bars, metric_table
from waddington.twin.plots._scatter import scatter
from waddington.twin.plots._trajectories import trajectories
from waddington.twin.plots.style import Panels
from waddington.twin.trajectory.projection import project_2d

__all__ = [
    "Panels",
    "calibration",
    "ceiling",
    "forest",
    "gene_ranking",
    "landscape",
    "loss_curves",
    "metric_bars",
    "metric_table",
    "project_2d",
    "scatter",
    "trajectories",
]
