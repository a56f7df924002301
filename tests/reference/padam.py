"""Padam in NumPy float64, straight from Algorithm 1 of Chen et al. (2020)."""

from __future__ import annotations

import numpy as np


def padam(
    params,
    gradients,
    *,
    lr=1e-2,
    p=0.125,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    amsgrad=True,
    bias_correction=False,
):
    """Run over a list of gradient lists; give the parameters after each step and the (constant) rates."""
    beta1, beta2 = betas
    params = [x.astype(np.float64) for x in params]
    m = [np.zeros_like(x) for x in params]
    v = [np.zeros_like(x) for x in params]
    v_max = [np.zeros_like(x) for x in params]
    trajectory = []
    for t, grads in enumerate(gradients, start=1):
        m = [beta1 * a + (1 - beta1) * g for a, g in zip(m, grads, strict=True)]
        v = [beta2 * a + (1 - beta2) * g**2 for a, g in zip(v, grads, strict=True)]
        v_max = [np.maximum(a, b) for a, b in zip(v_max, v, strict=True)]
        c1, c2 = (1 - beta1**t, 1 - beta2**t) if bias_correction else (1.0, 1.0)
        params = [
            x - lr * ((a / c1) / ((b / c2) ** p + eps) + weight_decay * x)
            for x, a, b in zip(params, m, v_max if amsgrad else v, strict=True)
        ]
        trajectory.append([x.copy() for x in params])
    return trajectory, [lr] * len(trajectory)
