"""AMVT in NumPy float64, straight from Section 3.2 and Algorithm 1."""

from __future__ import annotations

import numpy as np


def amvt(
    params,
    gradients,
    *,
    lr=1e-3,
    betas=(0.9, 0.999, 0.99),
    eps=1e-8,
    weight_decay=0.0,
    decoupled="lr",
    variance="tracked",
    clip_grad_norm=None,
    normalize_grad=False,
    outlier_threshold=None,
    clip_update=None,
    momentum_bias_correction=True,
):
    """Run over a list of gradient lists; give the parameters after each step and the (constant) base rates."""
    b1, b2, b3 = betas
    params = [p.astype(np.float64) for p in params]
    m, v, s = ([np.zeros_like(p) for p in params] for _ in range(3))
    trajectory = []

    def estimate(i, t):
        m_hat, v_hat = m[i] / (1 - b1**t), v[i] / (1 - b2**t)
        s_hat = s[i] / (1 - b3**t) if variance == "tracked" else np.maximum(v_hat - m_hat**2, 0)
        return m_hat, v_hat, s_hat

    for t, grads in enumerate(gradients, start=1):
        norm = np.sqrt(sum(np.sum(g**2) for g in grads))
        for i, g in enumerate(grads):
            if clip_grad_norm is not None and norm > clip_grad_norm:
                g = g * (clip_grad_norm / norm)
            if normalize_grad:
                g = g / norm
            if outlier_threshold is not None and t > 10:
                mean, _, spread = estimate(i, t - 1)
                reach = outlier_threshold * np.sqrt(spread)
                g = np.clip(g, mean - reach, mean + reach)
            m[i] = b1 * m[i] + (1 - b1) * g
            v[i] = b2 * v[i] + (1 - b2) * g**2
            s[i] = b3 * s[i] + (1 - b3) * (g - m[i]) ** 2
            m_hat, v_hat, s_hat = estimate(i, t)
            penalty = (1 + s_hat / (v_hat + eps)) ** -0.5
            direction = penalty / np.sqrt(v_hat + eps) * (m_hat if momentum_bias_correction else m[i])
            if clip_update is not None:
                direction = np.clip(direction, -clip_update, clip_update)
            before = params[i]
            params[i] = before - lr * direction
            params[i] = params[i] - weight_decay * before * (1.0 if decoupled == "literal" else lr)
        trajectory.append([p.copy() for p in params])
    return trajectory, [lr] * len(trajectory)
