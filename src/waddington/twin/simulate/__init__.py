"""Simulated screens with known truth; see :func:`simulate`."""

from __future__ import annotations

from waddington.twin.simulate.api import simulate
from waddington.twin.simulate.design import default_conditions
from waddington.twin.simulate.observation import NoiseModel
from waddington.twin.simulate.truth import true_response

__all__ = ["NoiseModel", "default_conditions", "simulate", "true_response"]
