"""What a perturbation that was never measured is guessed to do: what all have in common, as far as that foretells one.

The mean response foretells much in some screens (knock-outs within one pathway) and misleads in others (activations
beside knock-outs). So the mean of the posterior effects is scaled by a share λ in [0, 1], fitted by least squares to
each single perturbation in turn from the mean of the others. All effects share the noise of one control, which makes
any two look alike; what that adds is known, as posterior means are linear in the control's, and is subtracted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from waddington.twin.respond.hierarchical.likelihood import Posterior, effects_of

__all__ = ["common_response", "posterior_effects", "slope_by_control"]

Array = npt.NDArray[np.float64]

_FEWEST = 5
"""Single perturbations with which a share can be fitted at all."""


def posterior_effects(posterior: Posterior) -> Array:
    """Give the posterior mean of θ of every perturbation, (perturbations, features)."""
    found = np.zeros((len(posterior.design.perturbations), len(posterior.mu)))
    for block in posterior.blocks:
        if block.stack.perturbations.shape[1]:
            found[block.stack.perturbations] = effects_of(posterior, block)[0]
    return found


def slope_by_control(posterior: Posterior, n_controls: float) -> Array:
    """Give how posterior means of θ follow the mean of the control, which they know through μ alone."""
    blocks = tuple(replace(block, turned=np.broadcast_to(0.0, block.turned.shape)) for block in posterior.blocks)
    return posterior_effects(replace(posterior, mu=n_controls / posterior.precision, blocks=blocks))


def common_response(posterior: Posterior, n: Array, y: Array) -> Array:
    """Guess the effect of a perturbation that was never measured.

    Parameters
    ----------
    posterior
        Of the training conditions.
    n
        Cells of each condition, (conditions,).
    y
        Means in units of the features' standard deviations, (conditions, features).

    Returns
    -------
    ndarray
        In the same units, (features,); zeros with fewer than 5 single perturbations.
    """
    alone = np.flatnonzero(posterior.design.size == 1)
    if len(alone) < _FEWEST:
        return np.zeros(y.shape[1])
    member = posterior.design.member[alone]
    theta = member @ posterior_effects(posterior)
    mean = theta.mean(axis=0)
    others = (len(theta) * mean - theta) / (len(theta) - 1)
    slope = member @ slope_by_control(posterior, float(n[0]))
    together = float(np.vdot(others, y[alone] - y[0]) + slope.sum() / n[0])
    share = together / max(float(np.vdot(others, others)), 1e-12)
    return np.asarray(np.clip(share, 0.0, 1.0) * mean)
