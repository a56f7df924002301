"""Plans for cells: environments in which perturbations are chosen, and agents that choose."""

from __future__ import annotations

from waddington.twin.plan import agent, env, planners

__all__ = [
    "agent",
    "env",
    "planners",
]
