"""How cells move in an embedding: effects that unfold, drift along differentiation, noise."""

from __future__ import annotations

from waddington.twin.dynamics.flow import fit_flow, flow_at
from waddington.twin.dynamics.latent import CellState, Dynamics, build_dynamics

__all__ = ["CellState", "Dynamics", "build_dynamics", "fit_flow", "flow_at"]
