"""Effects freed of sampling noise, each by a mixture of normal priors that its own features choose.

The effect δ of a condition on feature g has sampling variance v_g. Its prior is ``Σ_k π_k N(0, (t_k s_g)²)`` with s_g
the feature's standard deviation within conditions, t = 0 and 14 sizes from .02 to 4 in geometric steps; π is fitted to
all features of the condition by expectation maximization, with a few counts on t = 0, and the posterior mean is given.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from waddington.twin.respond.measured import Measured

__all__ = ["denoised", "posterior_means"]

Array = npt.NDArray[np.float64]

_SIZES = np.concatenate([[0.0], np.geomspace(0.02, 4.0, 14)])
_STEPS = 60
_COUNTS_ON_ZERO = 5.0


def denoised(measured: Measured, modality: str) -> Array:
    """Give each condition's effect without its noise, (conditions, features); zeros for the control."""
    table, pooled = measured.tables[modality], measured.pooled_variance(modality)
    effects = measured.effects(modality)
    found = np.zeros_like(effects)
    for row in range(1, len(effects)):
        own = table.variance[row] if measured.n[row] > 1 else pooled
        variance = 0.5 * (own + pooled) / measured.n[row] + pooled / measured.n[0]
        found[row] = posterior_means(effects[row], variance, np.sqrt(pooled))
    return found


def posterior_means(effect: Array, variance: Array, sd: Array) -> Array:
    """Free one effect of noise.

    Parameters
    ----------
    effect
        Measured, (features,).
    variance
        Of its sampling noise, (features,).
    sd
        Standard deviation of cells of one condition, (features,); features without any keep their effect of 0.

    Returns
    -------
    ndarray
        (features,).
    """
    found = np.zeros_like(effect)
    varies = (sd > 0) & (variance > 0)
    if not varies.any():
        return found
    x, v = effect[varies], variance[varies]
    prior = np.square(_SIZES[:, None] * sd[varies])
    total = prior + v
    log_density = -0.5 * (np.log(total) + x**2 / total)
    density = np.exp(log_density - log_density.max(axis=0))
    share = np.full(len(_SIZES), 1.0 / len(_SIZES))
    counts = np.zeros(len(_SIZES))
    counts[0] = _COUNTS_ON_ZERO
    for _ in range(_STEPS):
        responsibility = share[:, None] * density
        responsibility /= responsibility.sum(axis=0)
        share = responsibility.sum(axis=1) + counts
        share /= share.sum()
    responsibility = share[:, None] * density
    responsibility /= responsibility.sum(axis=0)
    found[varies] = x * (responsibility * prior / total).sum(axis=0)
    return found
