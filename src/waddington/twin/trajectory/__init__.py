"""Cells in order: pseudotime, its root, trends along it, the quasi-potential, and a plane to see it in."""

from __future__ import annotations

from waddington.twin.trajectory.landscape import QuasiPotential, quasi_potential
from waddington.twin.trajectory.order import Order, Root, RootHint, order_cells, order_notes
from waddington.twin.trajectory.projection import orient, project_2d
from waddington.twin.trajectory.pseudotime import diffusion_pseudotime, infer_root
from waddington.twin.trajectory.rooting import RootChoice, read_root, root_hint
from waddington.twin.trajectory.trends import call_trends, smooth_trend

__all__ = [
    "Order",
    "QuasiPotential",
    "Root",
    "RootChoice",
    "RootHint",
    "call_trends",
    "diffusion_pseudotime",
    "infer_root",
    "order_cells",
    "order_notes",
    "orient",
    "project_2d",
    "quasi_potential",
    "read_root",
    "root_hint",
    "smooth_trend",
]
