"""What hidden cells show, against controls that no model has seen: the effect, its noise, which features changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from waddington.twin.evaluate.protocol.screen import Screen

__all__ = ["Moments", "Observed", "moments_of", "observe_effect"]

Array = npt.NDArray[np.float64]

_FDR = 0.05
"""Rate of false discoveries up to which a feature counts as changed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Mean and unbiased variance of some cells, by modality."""

    n: int
    mean: Mapping[str, Array]
    variance: Mapping[str, Array]


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """One modality of an observed effect."""

    effect: Array
    """(features,)."""
    noise: Array
    """Squared standard error, (features,)."""
    changed: npt.NDArray[np.bool_]
    """Features that changed at a false discovery rate of 5 %, by Welch's test, (features,)."""


def moments_of(screen: Screen, cells: npt.NDArray[np.intp]) -> Moments:
    """Sum up some cells, in float64."""
    mean, variance = {}, {}
    for modality, x in screen.values.items():
        part = x[cells].astype(np.float64)
        mean[modality] = part.mean(axis=0)
        variance[modality] = part.var(axis=0, ddof=1) if len(cells) > 1 else np.zeros(part.shape[1])
    return Moments(n=len(cells), mean=mean, variance=variance)


def observe_effect(target: Moments, control: Moments, modality: str) -> Observed:
    """Compare a condition's cells with controls."""
    effect = target.mean[modality] - control.mean[modality]
    own, other = target.variance[modality] / target.n, control.variance[modality] / control.n
    noise = own + other
    varies = noise > 0
    degrees = np.full(len(noise), 1.0)
    bottom = own**2 / max(target.n - 1, 1) + other**2 / max(control.n - 1, 1)
    degrees[varies] = noise[varies] ** 2 / bottom[varies]
    p = np.ones(len(noise))
    p[varies] = 2.0 * stats.t.sf(np.abs(effect[varies]) / np.sqrt(noise[varies]), degrees[varies])
    changed = np.zeros(len(noise), dtype=bool)
    if varies.any():
        changed[varies] = stats.false_discovery_control(p[varies]) < _FDR
    return Observed(effect=effect, noise=noise, changed=changed)
