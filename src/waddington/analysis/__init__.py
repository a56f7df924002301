"""Why an optimizer behaves as it does: curvature, loss surfaces, paths, gradients, rates.

Every function takes a model and ``loss(model)``, a scalar tensor (:func:`over_batches` makes one of many batches), and
leaves the model as it was. Results are plain arrays that save and load; :mod:`.plots` draws them. :mod:`.bounds` has
the theorems of the papers as calculators.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from waddington.analysis.batches import BatchLoss, over_batches
from waddington.analysis.curvature import (
    Eigenvalues,
    Trace,
    eigenvalues,
    hessian_trace,
    hessian_vector_product,
    sharpness,
)
from waddington.analysis.diagnostics import Curves, DiagnosticsRecorder, as_curves, watch_diagnostics
from waddington.analysis.gradients import GroupNorms, StepQuality, generalization_gap, group_norms, measure_step
from waddington.analysis.landscape import (
    Landscape,
    PathPlane,
    interpolate,
    loss_landscape,
    path_directions,
    project,
    random_directions,
)
from waddington.analysis.noise import GradientNoise, gradient_noise, noise_from_norms, pooled_noise_scale
from waddington.analysis.rates import SuggestedRate, suggest_lr
from waddington.analysis.spectrum import Spectrum, spectral_density
from waddington.analysis.trajectory import Path, PathRecorder, compare_paths, oscillation
from waddington.analysis.vectors import load_parameter_vector, parameter_vector

if TYPE_CHECKING:
    from waddington.analysis import bounds, plots

__all__ = [
    "BatchLoss",
    "Curves",
    "DiagnosticsRecorder",
    "Eigenvalues",
    "GradientNoise",
    "GroupNorms",
    "Landscape",
    "Path",
    "PathPlane",
    "PathRecorder",
    "Spectrum",
    "StepQuality",
    "SuggestedRate",
    "Trace",
    "as_curves",
    "bounds",
    "compare_paths",
    "eigenvalues",
    "generalization_gap",
    "gradient_noise",
    "group_norms",
    "hessian_trace",
    "hessian_vector_product",
    "interpolate",
    "load_parameter_vector",
    "loss_landscape",
    "measure_step",
    "noise_from_norms",
    "oscillation",
    "over_batches",
    "parameter_vector",
    "path_directions",
    "plots",
    "pooled_noise_scale",
    "project",
    "random_directions",
    "sharpness",
    "spectral_density",
    "suggest_lr",
    "watch_diagnostics",
]


def __getattr__(name: str) -> Any:
    if name not in ("bounds", "plots"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted(__all__)
