"""The words beside the pictures of a run: title, caption (what is shown, how to read it) and alternative text."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PICTURE_WORDS"]

PICTURE_WORDS: Mapping[str, tuple[str, str, str]] = {
    "landscape": (
        "Waddington's landscape",
        "Quasi-potential over a two-dimensional projection of the cells, as a surface (left) and from above (right). "
        "Coloured dots are cells (hollow: without an order), numbered lines trajectories, white lines join equal "
        "heights; a full star is the root of the order, hollow stars are ends that may as well be it. How deep valleys "
        "are at one moment of pseudotime is measured (−log density of cells); the fall from early to late is a tilt by "
        "pseudotime, a choice of display and not a measurement. Where no time and no named root says which way cells "
        "go, there is no tilt and the ground is the density of cells alone.",
        "A surface that falls from early cells into valleys of later ones, and the same surface as a contour map. "
        "Cells lie in the valleys, and trajectories run down them.",
    ),
    "trajectories": (
        "Features along pseudotime",
        "Top: courses of features that change strongly (mean ± standard error; dashed: predicted). Bottom: scaled "
        "courses of the strongest features. ▲ up, ▼ down: sign of Spearman's correlation with pseudotime at a false "
        "discovery rate of 5 % and a correlation of at least 0.1, where the drawn course goes the same way; "
        "–: no call. Where the order was computed from the same cells, calls describe that order and test nothing: "
        "features that vary along any order are called, in noise as well.",
        "Line charts and heat maps of features along pseudotime for each modality, with the up or down call beside "
        "each feature's row.",
    ),
    "loss_curves": (
        "Loss curves",
        "Loss per epoch, mean ± standard deviation over seeds, one line for each optimizer.",
        "Training and validation loss against epoch for every optimizer; a table below gives those of the last epoch.",
    ),
    "metrics": (
        "Metrics and baselines",
        "Filled: models. Hollow, on grey ground: baselines, and a replicate of the measurement. Mean ± standard "
        "deviation over seeds; small dots are single seeds.",
        "Dot plots of the main metrics for every predictor and modality; tables below give all values.",
    ),
    "scatter": (
        "Predicted against observed change",
        "Each point is one feature; on the dashed line a prediction is perfect.",
        "Scatter plots of predicted against observed change for each modality, with correlation and R² written in.",
    ),
}
"""Name of a picture to its title, caption and alternative text."""
