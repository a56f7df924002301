"""Small tasks that the tests of environments and agents share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from waddington.twin.dynamics.latent import Dynamics
from waddington.twin.plan.env import CellTask, PaperTask


def _cell_task(*, dynamics: dict[str, Any] | None = None, **changes: Any) -> CellTask:
    rng = np.random.default_rng(0)
    world = {
        "effects": rng.standard_normal((4, 5)),
        "perturbations": tuple("ABCD"),
        "scale": 0.8,
        "noise_sd": np.full(5, 0.05),
        "duration": 2,
    }
    built = Dynamics(**(world | (dynamics or {})))
    given = {"dynamics": built, "starts": 0.1 * rng.standard_normal((20, 5)), "goals": built.effects, "max_steps": 6}
    return CellTask(**(given | changes))


def _continuous_task(**changes: Any) -> CellTask:
    return _cell_task(actions="continuous", **changes)


def _paper_task(**changes: Any) -> PaperTask:
    rng = np.random.default_rng(2)
    return PaperTask(**({"cells": rng.standard_normal((30, 5)), "max_steps": 7} | changes))


@pytest.fixture
def cell_task() -> Callable[..., CellTask]:
    """Make a task of four edits in five dimensions, whose goals are the edits' shifts."""
    return _cell_task


@pytest.fixture
def paper_task() -> Callable[..., PaperTask]:
    """Make a task of thirty cells with five features."""
    return _paper_task


@pytest.fixture(params=[_cell_task, _continuous_task, _paper_task], ids=["discrete", "continuous", "paper"])
def make_task(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make each kind of task in turn."""
    maker: Callable[..., Any] = request.param
    return maker
