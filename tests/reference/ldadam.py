"""LDAdam in NumPy float64, straight from Algorithm 1 of Robert et al. (2025), left projection; tall ones transposed."""

from __future__ import annotations

import numpy as np


class Matrix:
    def __init__(self, shape, rank):
        rows, columns = shape
        self.P = np.zeros((rows, rank))
        self.m, self.v = np.zeros((rank, columns)), np.zeros((rank, columns))
        self.e = np.zeros(shape)

    def direction(self, g, t, betas, eps, rank, rho, error_feedback):
        beta1, beta2 = betas
        a = g + self.e if error_feedback else g
        if t == 1:
            P = np.linalg.svd(a)[0][:, :rank]
            m_tilde, v_tilde = self.m, self.v
        else:
            m_hat, v_hat = self.m / (1 - beta1 ** (t - 1)), self.v / (1 - beta2 ** (t - 1))
            b = rho * self.P @ m_hat + (1 - rho) * a
            P = np.linalg.qr(b @ b.T @ self.P)[0]
            R = P.T @ self.P
            m_tilde = R @ self.m
            v_tilde = (1 - beta2 ** (t - 1)) * np.abs(R**2 @ (v_hat - m_hat**2) + (R @ m_hat) ** 2)
        g_low = P.T @ a
        self.e = a - P @ g_low + beta1 / (1 - beta1) * (self.P @ self.m - P @ m_tilde)
        self.P = P
        self.m = beta1 * m_tilde + (1 - beta1) * g_low
        self.v = beta2 * v_tilde + (1 - beta2) * g_low**2
        return P @ (self.m / (1 - beta1**t) / (np.sqrt(self.v / (1 - beta2**t)) + eps))


class Plain:
    def __init__(self, shape):
        self.m, self.v = np.zeros(shape), np.zeros(shape)

    def direction(self, g, t, betas, eps, *_):
        beta1, beta2 = betas
        self.m = beta1 * self.m + (1 - beta1) * g
        self.v = beta2 * self.v + (1 - beta2) * g**2
        return self.m / (1 - beta1**t) / (np.sqrt(self.v / (1 - beta2**t)) + eps)


def is_tall(x):
    return x.ndim == 2 and x.shape[0] > x.shape[1]


def lying(x):
    return x.T if is_tall(x) else x


def is_matrix(x, rank):
    return x.ndim == 2 and min(x.shape) > rank


def ldadam(
    params,
    gradients,
    *,
    lr=1e-3,
    betas=(0.908, 0.99),
    eps=1e-8,
    weight_decay=0.0,
    rank=16,
    rho=0.908,
    error_feedback=True,
):
    """Run over a list of gradient lists; give the parameters after each step and the (constant) rates."""
    params = [x.astype(np.float64) for x in params]
    states = [Matrix(lying(x).shape, rank) if is_matrix(x, rank) else Plain(lying(x).shape) for x in params]
    trajectory = []
    for t, grads in enumerate(gradients, start=1):
        for i, g in enumerate(grads):
            g = lying(np.asarray(g, dtype=np.float64))
            found = states[i].direction(g, t, betas, eps, rank, rho, error_feedback)
            if is_tall(params[i]):
                found = found.T
            params[i] = params[i] - lr * (found + weight_decay * params[i])
        trajectory.append([x.copy() for x in params])
    return trajectory, [lr] * len(trajectory)
