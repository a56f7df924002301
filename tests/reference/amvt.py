"""AMVT in NumPy float64, from Section 3.2, Algorithms 1 and 2; momentum by curvature from amvt_momentum's formulas."""

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
    momentum="constant",
    momentum_limits=(0.0, 0.99),
    warmup_steps=0,
):
    """Run over a list of gradient lists; give the parameters after each step and the (constant) base rates."""
    b1, b2, b3 = betas
    params = [p.astype(np.float64) for p in params]
    m, v, s = ([np.zeros_like(p) for p in params] for _ in range(3))
    decay, weight, up, down = ([value for _ in params] for value in (b1, 0.0, 0.0, 0.0))
    previous = [None for _ in params]  # gradient, momentum and denominator of the step before
    trajectory = []

    def estimate(i, t):
        m_hat, v_hat = m[i] / weight[i], v[i] / (1 - b2**t)
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
                reach = np.where(spread > 0, outlier_threshold * np.sqrt(spread), np.inf)
                g = np.clip(g, mean - reach, mean + reach)
            noise = rise = length = 0.0
            if previous[i] is not None:
                last, n, root = previous[i]
                noise, share = (g - last) ** 2 / 2, 1 - decay[i]
                if momentum_bias_correction:
                    share = share / weight[i]
                rise = np.sum(-n / root * (g - last)) - np.sum(share * noise / root)
                length = np.sum(n / root * n)
            else:
                noise = g**2 / 2
            used = decay[i]
            m[i] = used * m[i] + (1 - decay[i]) * g
            weight[i] = decay[i] * weight[i] + (1 - decay[i])
            v[i] = b2 * v[i] + (1 - b2) * g**2
            s[i] = b3 * s[i] + (1 - b3) * (g - m[i]) ** 2
            m_hat, v_hat, s_hat = estimate(i, t)
            penalty = (1 + s_hat / (v_hat + eps)) ** -0.5
            n = m_hat if momentum_bias_correction else m[i]
            direction = penalty / np.sqrt(v_hat + eps) * n
            previous[i] = g, n, np.sqrt(v_hat + s_hat + eps)
            if momentum == "curvature":
                up[i], down[i] = b3 * up[i] + (1 - b3) * rise, b3 * down[i] + (1 - b3) * length
                if down[i] > 0:
                    a = max(up[i], 0) / down[i]
                    damped = np.clip(((1 - a) / (1 + a)) ** 2, *momentum_limits)
                    spread = np.sum(noise + eps)
                    signal = max(np.sum(m_hat**2) - (1 - used) / (1 + used) * spread, 0)
                    decay[i] = b1 + (damped - b1) * signal / (signal + spread)
            if clip_update is not None:
                direction = np.clip(direction, -clip_update, clip_update)
            before = params[i]
            rate = lr * min(1.0, t / warmup_steps) if warmup_steps else lr
            params[i] = before - rate * direction
            params[i] = params[i] - weight_decay * before * (1.0 if decoupled == "literal" else rate)
        trajectory.append([p.copy() for p in params])
    return trajectory, [lr] * len(trajectory)
