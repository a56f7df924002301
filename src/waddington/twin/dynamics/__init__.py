"""How cells move in an embedding: effects that unfold, drift along differentiation, noise."""

from __future__ import annotations

from waddington.twin.dynamics.latent import CellState, Dynamics, build_dynamics, fit_flow

__all__ = [
    "CellState",
    "Dynamics",
    "build_dynamics",
    "fit_flow",
]
