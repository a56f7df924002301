"""Planners: what chooses perturbations, trained or not, and a registry of them."""

from __future__ import annotations

from waddington.twin.plan.planners.base import Planner
from waddington.twin.plan.planners.idle import Idle, idle_policy
from waddington.twin.plan.planners.ppo import ProximalPolicy
from waddington.twin.plan.planners.registry import PLANNERS, make_policy
from waddington.twin.plan.planners.to_mean import ToMean
from waddington.twin.plan.planners.uniform import Uniform, random_policy
from waddington.twin.plan.planners.untrained import Untrained, UntrainedStochastic

__all__ = [
    "PLANNERS",
    "Idle",
    "Planner",
    "ProximalPolicy",
    "ToMean",
    "Uniform",
    "Untrained",
    "UntrainedStochastic",
    "idle_policy",
    "make_policy",
    "random_policy",
]
