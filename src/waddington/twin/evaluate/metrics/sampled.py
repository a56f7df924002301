"""Metrics of an effect that was measured on cells: its noise is known, and so is which other effects it could be of.

Sources: the noise-corrected error is ``expr_mse_unbiased`` of cell-eval 2, the discrimination score its ``pds_cosine``
(ties share ranks); the direction of changed features, their area under precision over recall and the overlap of the
most changed ones are as in cell-eval; the energy distance is that of scPerturb.
"""

from __future__ import annotations

import math

import numpy as np

from waddington.twin.evaluate.metrics.classification import average_precision
from waddington.twin.evaluate.metrics.metric import Metric, Pair

__all__ = ["ROWS", "de_auprc", "de_overlap", "discrimination", "e_distance", "ncse", "ncse_parts", "sign_accuracy"]


def ncse_parts(pair: Pair) -> tuple[float, float]:
    """Squared error of the prediction, and of no change, both less what sampling noise of the observed effect adds."""
    if pair.sample is None:
        return math.nan, math.nan
    error, size = float(np.square(pair.error).sum()), float(np.square(pair.observed).sum())
    return error - pair.sample.noise, size - pair.sample.noise


def ncse(pair: Pair) -> float:
    """Noise-corrected squared-error ratio: 0 is perfect, 1 is no change; NaN where the effect is not beyond noise."""
    error, size = ncse_parts(pair)
    return error / size if size > 0 else math.nan


def discrimination(pair: Pair) -> float:
    """Share of the other conditions whose effect lies further from the prediction than the right one, by cosine.

    Ties count half, so that no change and a constant answer score 0.5; NaN with fewer than two conditions.
    """
    if pair.sample is None or len(pair.sample.candidates) < 2:
        return math.nan
    others = pair.sample.candidates
    norms = np.linalg.norm(others, axis=1) * np.linalg.norm(pair.predicted)
    cosine = np.divide(others @ pair.predicted, norms, out=np.zeros(len(others)), where=norms > 1e-12)
    own = cosine[pair.sample.own]
    rest = np.delete(cosine, pair.sample.own)
    level = np.isclose(rest, own, rtol=0.0, atol=1e-12)
    return float(((rest < own) & ~level).mean() + 0.5 * level.mean())


def sign_accuracy(pair: Pair) -> float:
    """Share of the features that changed beyond chance whose direction is called right; no call counts half."""
    if pair.sample is None or not pair.sample.changed.any():
        return math.nan
    product = np.sign(pair.predicted[pair.sample.changed]) * np.sign(pair.observed[pair.sample.changed])
    return float((product > 0).mean() + 0.5 * (product == 0).mean())


def de_auprc(pair: Pair) -> float:
    """Area under precision over recall for finding the changed features by the size of their predicted change.

    Chance gives the share of changed features; NaN where none or all changed.
    """
    if pair.sample is None or not pair.sample.changed.any() or pair.sample.changed.all():
        return math.nan
    size = np.abs(pair.predicted) / np.where(pair.sample.sd > 0, pair.sample.sd, 1.0)
    return average_precision(pair.sample.changed, size)


def de_overlap(pair: Pair) -> float:
    """Share of the N changed features among the N with the largest predicted change; ties are shared out.

    NaN where none changed.
    """
    if pair.sample is None or not pair.sample.changed.any():
        return math.nan
    n = int(pair.sample.changed.sum())
    size = np.abs(pair.predicted)
    edge = np.sort(size)[-n]
    above, level = size > edge, size == edge
    room = (n - int(above.sum())) / int(level.sum())
    return float((pair.sample.changed[above].sum() + room * pair.sample.changed[level].sum()) / n)


def e_distance(pair: Pair) -> float:
    """Energy distance between predicted and observed cells; NaN where no cells were predicted."""
    return math.nan if pair.sample is None else pair.sample.distance


ROWS = (
    Metric(
        name="ncse", label="Noise-corrected error", better="lower", best=0.0, low=-math.inf, high=math.inf,
        value=ncse, parts=ncse_parts,
    ),
    Metric(
        name="discrimination", label="Discrimination", better="higher", best=1.0, low=0.0, high=1.0,
        value=discrimination,
    ),
    Metric(
        name="sign_accuracy", label="Sign accuracy", better="higher", best=1.0, low=0.0, high=1.0, value=sign_accuracy
    ),
    Metric(name="de_auprc", label="AUPRC, changed", better="higher", best=1.0, low=0.0, high=1.0, value=de_auprc),
    Metric(
        name="de_overlap", label="Overlap, changed", better="higher", best=1.0, low=0.0, high=1.0, value=de_overlap
    ),
    Metric(
        name="e_distance", label="E-distance", better="lower", best=0.0, low=-math.inf, high=math.inf, unit="feature",
        value=e_distance,
    ),
)  # fmt: skip
