"""AlphaAdam in NumPy float64, straight from Algorithm 1 with Eqs. 6 and 9 as options."""

from __future__ import annotations

import numpy as np


def alphaadam(
    params,
    gradients,
    *,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    mask="asynchronous",
    strict_mask=False,
    compensation="full",
    alpha_form="squared",
    alpha_max=2.0,
    bias_correction=True,
):
    """Run over a list of gradient lists; give the parameters after each step and the (constant) base rates."""
    beta1, beta2 = betas
    params = [p.astype(np.float64) for p in params]
    h, v = ([np.zeros_like(p) for p in params] for _ in range(2))
    trajectory = []
    for t, grads in enumerate(gradients, start=1):
        for i, g in enumerate(grads):
            d = g * h[i]
            h[i] = beta1 * h[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g * g
            if mask == "synchronous":
                d = g * h[i]
            c1, c2 = (1 - beta1**t, 1 - beta2**t) if bias_correction else (1.0, 1.0)
            u = (h[i] / c1) / (np.sqrt(v[i] / c2) + eps)
            phi = (d > 0 if strict_mask else d >= 0).astype(np.float64)
            if mask == "none":
                step = u
            elif not np.any(phi):
                step = np.zeros_like(u)
            else:
                alpha = np.sum(u**2) / np.sum((phi * u) ** 2)
                alpha = min(np.sqrt(alpha) if alpha_form == "root" else alpha, alpha_max)
                alpha = alpha if compensation in ("full", "norm") else 1.0
                count = u.size / (np.sum(phi) + 1) if compensation in ("full", "count") else 1.0
                step = count * alpha * phi * u
            params[i] = params[i] - lr * (step + weight_decay * params[i])
        trajectory.append([p.copy() for p in params])
    return trajectory, [lr] * len(trajectory)
