"""The alignment statistic and its three readings in NumPy float64, from the equations alone."""

from __future__ import annotations

import numpy as np


def cosine(grads, moments, denominators):
    """Give c of one step: g, m and w of every tensor, the latter two as they were before it."""
    product = sum((g * m / w).sum() for g, m, w in zip(grads, moments, denominators, strict=True))
    gradient = sum((g**2 / w).sum() for g, w in zip(grads, denominators, strict=True))
    update = sum((m**2 / w).sum() for m, w in zip(moments, denominators, strict=True))
    return product / np.sqrt(gradient * update) if gradient > 0 and update > 0 else 0.0


class AlignmentRule:
    """Turns cosines into f, of which the rate is α_min + (lr - α_min) f."""

    def __init__(self, reading, tau):
        self.reading, self.tau = reading, tau
        self.t = self.noise = self.alarms = 0
        self.mean = self.variance = self.cusum = 0.0
        self.large, self.window = 1.0, []

    def __call__(self, c):
        self.t += 1
        self.mean += (c - self.mean) / min(self.t, 20)
        self.variance += ((c - self.mean) ** 2 - self.variance) / min(self.t, 100)
        if self.t > 10:
            self.cusum = max(0.0, self.cusum + c / np.sqrt(self.variance) - 0.5)
        if self.cusum > 8:
            self.alarms += 1
            self.noise = self.cusum = 0
        else:
            self.noise += self.mean < 0
        if self.reading == "clock":
            return (1 + self.noise / self.tau) ** -0.5
        if self.reading == "dual":
            if self.mean > 0.02:
                self.large = 1.0
            if self.mean < -0.02:
                self.large = 0.0
        else:
            self.window.append(c)
            if len(self.window) >= 75 / self.large:
                self.large *= 0.5 if np.mean(self.window) < 0 else 1.0
                self.window = []
        return self.large
