"""A task that can be learned in seconds, shared by the tests of agents."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from waddington.twin.dynamics.latent import Dynamics
from waddington.twin.plan.env import CellTask, CellVecEnv


def _make(*, n_edits: int = 10, d: int = 16, **changes: Any) -> CellTask:
    rng = np.random.default_rng(0)
    shifts = rng.standard_normal((n_edits, d))
    shifts *= (2.0 / np.linalg.norm(shifts, axis=1))[:, None]
    dynamics = Dynamics(
        effects=shifts, perturbations=tuple(f"edit {k}" for k in range(n_edits)), scale=0.8, noise_sd=np.full(d, 0.02)
    )
    doubles = [0.8 * (shifts[i] + shifts[j]) for i, j in combinations(range(n_edits), 2)]
    goals = np.concatenate([shifts, doubles])
    return CellTask(**({"dynamics": dynamics, "starts": 0.3 * rng.standard_normal((200, d)), "goals": goals} | changes))


@pytest.fixture
def task() -> Callable[..., CellTask]:
    """Make ten edits with additive shifts, and a goal for every single and double."""
    return _make


@pytest.fixture
def small() -> CellVecEnv:
    """Give eight cells and short episodes."""
    return CellVecEnv(_make(n_edits=3, d=4, max_steps=4), 8)
