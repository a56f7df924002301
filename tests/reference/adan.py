"""Adan in NumPy float64, from Algorithm 1 of Xie et al. (2022) in torch's convention, with the authors' corrections."""

from __future__ import annotations

import numpy as np


def adan(params, gradients, *, lr=1e-3, betas=(0.98, 0.92, 0.99), eps=1e-8, weight_decay=0.0):
    """Run over a list of gradient lists; give the parameters after each step. Decay is AdamW's."""
    b1, b2, b3 = betas
    params = [p.astype(np.float64) for p in params]
    m, v, n = ([np.zeros_like(p) for p in params] for _ in range(3))
    previous = None
    trajectory = []
    for t, grads in enumerate(gradients, start=1):
        for i, g in enumerate(grads):
            change = np.zeros_like(g) if previous is None else g - previous[i]
            m[i] = b1 * m[i] + (1 - b1) * g
            v[i] = b2 * v[i] + (1 - b2) * change
            n[i] = b3 * n[i] + (1 - b3) * (g + b2 * change) ** 2
            ahead = m[i] / (1 - b1**t) + b2 * v[i] / (1 - b2**t)
            direction = ahead / (np.sqrt(n[i] / (1 - b3**t)) + eps)
            params[i] = params[i] - lr * (direction + weight_decay * params[i])
        previous = grads
        trajectory.append([p.copy() for p in params])
    return trajectory
