"""Lion in NumPy float64, straight from Algorithm 2 of Chen et al. (2023)."""

from __future__ import annotations

import numpy as np


def lion(params, gradients, *, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
    """Run over a list of gradient lists; give the parameters after each step."""
    b1, b2 = betas
    params = [p.astype(np.float64) for p in params]
    m = [np.zeros_like(p) for p in params]
    trajectory = []
    for grads in gradients:
        for i, g in enumerate(grads):
            update = np.sign(b1 * m[i] + (1 - b1) * g)
            params[i] = params[i] - lr * (update + weight_decay * params[i])
            m[i] = b2 * m[i] + (1 - b2) * g
        trajectory.append([p.copy() for p in params])
    return trajectory
