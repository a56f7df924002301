"""ASGDAdam and ASGDAMSGrad in NumPy float64, straight from Algorithms 1 and 2 and from the relative rule's definition.

Slow, plain and independent of the package: what the implementation is checked against.
"""

from __future__ import annotations

import numpy as np

from reference.alignment import AlignmentRule, cosine


def sign_votes(tensors):
    """Lines 8-13 and 17 of Algorithm 1 over a list of arrays; True is α_max."""
    f_min_total = f_max_total = 0
    for h in filter(np.size, tensors):
        mean_abs, mean = np.abs(h).mean(), h.mean()
        f_min = 0.5 * (np.sign(mean_abs - mean) + 1)
        f_max = 0.5 * (np.sign(mean - mean_abs) + 1)
        f_min_total += np.count_nonzero(f_min)
        f_max_total += np.count_nonzero(f_max)
    return not f_max_total < f_min_total


def coordinate_votes(tensors, count_ratio):
    """Coordinates at or above their tensor's mean against those at or below; True is α_max."""
    above = sum(np.count_nonzero(h >= h.mean()) for h in filter(np.size, tensors))
    below = sum(np.count_nonzero(h <= h.mean()) for h in filter(np.size, tensors))
    return not above < count_ratio * below


class RelativeRule:
    """The relative and the linear rule, with the averages written as the weighted sums that they are."""

    def __init__(self, *, interval, memory, hysteresis, sharp_is_large=True, linear=False):
        self.interval, self.memory, self.hysteresis = interval, memory, hysteresis
        self.sharp_is_large, self.linear = sharp_is_large, linear
        self.squares, self.looks = [], 0
        self.reference = self.trend = self.variance = 0.0
        self.large = 1.0 if sharp_is_large else 0.0

    def __call__(self, grads):
        self.squares.append(sum((g**2).sum() for g in grads) / sum(g.size for g in grads))
        t = len(self.squares)
        if (t - 1) % self.interval:
            return self.large
        weights = (1 - 1 / self.interval) ** np.arange(t)[::-1]
        level = np.log(np.dot(weights, self.squares) / weights.sum())
        self.looks += 1
        w = max(1 / self.looks, 1 / self.memory)
        if self.looks == 1:
            self.reference = level
        d = level - self.reference
        e = d - self.trend
        self.variance = (1 - w) * self.variance + w * e**2
        self.reference += w * d
        self.trend += w * e
        z = e / max(np.sqrt(self.variance), 0.01)
        if self.looks == 1:
            return self.large  # nothing to compare with yet
        if self.linear:
            sharpness = 1 / (1 + np.exp(-z / self.hysteresis))
            self.large = sharpness if self.sharp_is_large else 1 - sharpness
        elif z > self.hysteresis:
            self.large = float(self.sharp_is_large)
        elif z < -self.hysteresis:
            self.large = float(not self.sharp_is_large)
        return self.large


def asgd(
    params,
    gradients,
    *,
    lr=1e-2,
    alpha_min=None,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    switch="alignment",
    large_rate_in="sharp",
    count_ratio=1.0,
    switch_interval=10,
    hysteresis=0.1,
    memory=10,
    alignment="clock",
    tau=50.0,
    bias_correction=True,
    amsgrad=False,
):
    """Run over a list of gradient lists; give the parameters after each step and the base rates."""
    beta1, beta2 = betas
    small = alpha_min
    if small is None:
        small = 0.0 if switch == "alignment" and alignment != "dual" else lr / 10
    params = [p.astype(np.float64) for p in params]
    n = [np.zeros_like(p) for p in params]
    h = [np.zeros_like(p) for p in params]
    h_max = [np.zeros_like(p) for p in params]
    rule = RelativeRule(
        interval=switch_interval,
        memory=memory,
        hysteresis=hysteresis,
        sharp_is_large=large_rate_in == "sharp",
        linear=switch == "linear",
    )
    aligned = AlignmentRule(alignment, tau)
    trajectory, rates = [], []
    for t, grads in enumerate(gradients, start=1):
        if switch == "alignment":
            weight = 1 - beta2 ** (t - 1) if bias_correction and t > 1 else 1.0
            before = [np.sqrt(a / weight) + eps for a in (h_max if amsgrad else h)]
            large = aligned(cosine(grads, n, before))
        n = [beta1 * a + (1 - beta1) * g for a, g in zip(n, grads, strict=True)]
        h = [beta2 * a + (1 - beta2) * g**2 for a, g in zip(h, grads, strict=True)]
        h_max = [np.maximum(a, b) for a, b in zip(h_max, h, strict=True)]
        if switch == "mean":
            large = float(sign_votes(h))
        elif switch == "momentum":
            large = float(sign_votes(n))
        elif switch == "coordinate":
            large = float(coordinate_votes(h, count_ratio))
        elif switch != "alignment":
            large = rule(grads)
        rate = small + (lr - small) * large
        c1, c2 = (1 - beta1**t, 1 - beta2**t) if bias_correction else (1.0, 1.0)
        second = h_max if amsgrad else h
        params = [
            p - rate * ((a / c1) / (np.sqrt(b / c2) + eps) + weight_decay * p)
            for p, a, b in zip(params, n, second, strict=True)
        ]
        trajectory.append([p.copy() for p in params])
        rates.append(rate)
    return trajectory, rates
