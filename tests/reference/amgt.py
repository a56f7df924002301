"""AMGT in NumPy float64, straight from Eqs. 2, 7-10, 13, 25 and 27, the averages written as the sums that they are."""

from __future__ import annotations

import numpy as np


def threshold(m, tau, mode):
    if mode == "hard":
        return m * (np.abs(m) >= tau)
    if mode == "soft":
        return np.sign(m) * np.maximum(np.abs(m) - tau, 0)
    return np.minimum(np.maximum(m, -tau), tau)


def amgt(
    params,
    gradients,
    *,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    gamma=1.0,
    variance="tensor",
    variance_window=None,
    schedule="constant",
    decay=0.0,
    mu=1.0,
    threshold_at=0.0,
    threshold_mode="hard",
    correction=0.0,
    eps_inside_root=False,
):
    """Run over a list of gradient lists; give the parameters after each step and the (constant) base rates."""
    beta1, beta2 = betas
    params = [p.astype(np.float64) for p in params]
    m, v, w = ([np.zeros_like(p) for p in params] for _ in range(3))
    trajectory, seen = [], [[] for _ in params]
    for k, grads in enumerate(gradients, start=1):
        eta = {"constant": lr, "inverse_time": lr / (1 + decay * k), "strongly_convex": lr / (mu * k)}[schedule]
        for i, g in enumerate(grads):
            spread = np.zeros_like(g)
            if k > 1:
                spread = np.maximum(v[i] / (1 - beta2 ** (k - 1)) - (m[i] / w[i]) ** 2, 0)
            if variance_window is not None:
                spread = np.var(seen[i][-variance_window:], axis=0) if k > 1 else np.zeros_like(g)
                seen[i].append(g)
            if variance == "tensor":
                spread = spread.mean() if spread.size else 0.0
            factor = 1 / (1 + gamma * spread)
            m[i] = factor * beta1 * m[i] + (1 - beta1) * g
            w[i] = factor * beta1 * w[i] + (1 - beta1)
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            m_hat, v_hat = m[i] / w[i], v[i] / (1 - beta2**k)
            if threshold_at:
                m_hat = threshold(m_hat, threshold_at / k, threshold_mode)
            m_hat = m_hat + correction / k
            root = np.sqrt(v_hat + eps) if eps_inside_root else np.sqrt(v_hat) + eps
            params[i] = params[i] - eta * (m_hat / root + weight_decay * params[i])
        trajectory.append([p.copy() for p in params])
    return trajectory, [lr] * len(trajectory)
