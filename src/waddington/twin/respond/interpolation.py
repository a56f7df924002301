"""How far an interpolated dose may be off: learned from doses whose neighbours were measured on both sides.

Between two doses with effects e_1 and e_2 the answer is ``w e_1 + (1 - w) e_2``, and its variance beside sampling noise
is ``κ · 4 w (1 - w) (e_2 - e_1)²``. The curvature κ is fitted to every measured dose that has one on either side, as if
it had been left out: squared distance from the interpolation over ``4 w (1 - w) (e_2 - e_1)²``, both less what sampling
noise alone would give and summed over features and doses. One more dose counts that shows κ = 1/12, as a truth does
that lies anywhere between the two alike; without three doses of any drug that is all there is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from waddington.twin.respond.doses import DoseRange, doses_by_drug
from waddington.twin.respond.measured import Measured

__all__ = ["PRIOR_CURVATURE", "curvature_of"]

Array = npt.NDArray[np.float64]

PRIOR_CURVATURE: Final = 1.0 / 12.0
"""Variance of a number that lies anywhere between 0 and 1 alike."""
_LEAST_VARIANCE: Final = 1e-8


def curvature_of(measured: Measured, modality: str) -> float:
    """Fit κ to one modality.

    Parameters
    ----------
    measured
        Training conditions; doses that were given alone are used.
    modality
        Whose features.
    """
    variance = measured.pooled_variance(modality)
    varies = variance > _LEAST_VARIANCE
    y = measured.tables[modality].mean[:, varies] / np.sqrt(variance[varies])
    alone = [label for label, parts in zip(measured.labels, measured.parts, strict=True) if parts == (label,)]
    found = [_left_out(doses, dose, measured, y) for doses in doses_by_drug(alone).values() for dose in doses.parts]
    shown = np.array([one for one in found if one is not None])
    if not len(shown) or not shown[:, 1].sum() > 0.0:
        return PRIOR_CURVATURE
    distance, gap = shown.mean(axis=0) * len(shown) / (len(shown) + 1.0)
    prior_gap = shown[:, 1].mean() / (len(shown) + 1.0)
    return float(max(distance + PRIOR_CURVATURE * prior_gap, 0.0) / (gap + prior_gap))


def _left_out(doses: DoseRange, dose: float, measured: Measured, y: Array) -> tuple[float, float] | None:
    """Give squared distance and squared gap of one dose, without their noise; None for the lowest and the highest."""
    others = {one: part for one, part in doses.parts.items() if one != dose}
    around = DoseRange(drug=doses.drug, parts=others).around(dose)
    if len(around) < 2:
        return None
    own = measured.row[doses.parts[dose]]
    (low, w), (high, _) = ((measured.row[part], weight) for part, weight in around.items())
    noise = 1.0 / measured.n
    distance = np.square(y[own] - w * y[low] - (1.0 - w) * y[high])
    distance -= noise[own] + w**2 * noise[low] + (1.0 - w) ** 2 * noise[high]
    gap = np.square(y[high] - y[low]) - noise[high] - noise[low]
    return float(distance.sum()), float(4.0 * w * (1.0 - w) * max(gap.sum(), 0.0))
