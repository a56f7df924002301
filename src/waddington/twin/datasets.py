"""Data sets that come with the package: simulated screens of perturbed, differentiating cells, with known truth.

One call gives a data set of three modalities (:func:`simulate`), one the true answer to any perturbation
(:func:`true_response`), one the best edits between any two fates (:func:`optimal_reprogramming`).
"""

from __future__ import annotations

from waddington.twin.simulate.api import simulate
from waddington.twin.simulate.design import default_conditions
from waddington.twin.simulate.fates import FATES
from waddington.twin.simulate.observation import NoiseModel
from waddington.twin.simulate.reprogramming import edit_sets, optimal_reprogramming, reach_probability
from waddington.twin.simulate.truth import true_response

__all__ = [
    "FATES",
    "NoiseModel",
    "default_conditions",
    "edit_sets",
    "optimal_reprogramming",
    "reach_probability",
    "simulate",
    "true_response",
]
