"""MicroAdam in NumPy float64, straight from Algorithms 1 and 2 of Modoranu et al. (2024)."""

from __future__ import annotations

import math

import numpy as np


def bfloat16(x):
    """Round to bfloat16 by way of float32, halves to even."""
    bits = np.atleast_1d(x).astype(np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)


def float32(x):
    return np.atleast_1d(x).astype(np.float32).astype(np.float64)


ROUND = {"bfloat16": bfloat16, "float32": float32}


def chunks(size, length):
    return [np.arange(start, min(start + length, size)) for start in range(0, size, length)]


def through_four_bits(x, bucket_size, rounded):
    """Q⁻¹(Q(x)): what is owed at the next step."""
    out = np.zeros_like(x)
    for bucket in chunks(len(x), bucket_size):
        low, high = rounded(x[bucket].min())[0], rounded(x[bucket].max())[0]
        unit = (high - low) / 15
        if unit == 0:
            out[bucket] = low
        else:
            codes = np.clip(np.floor((x[bucket] - low) / unit + 0.5), 0, 15)
            out[bucket] = codes * unit + low
    return out


def top(x, block_size, density):
    kept = []
    for block in chunks(len(x), block_size):
        order = np.argsort(-np.abs(x[block]), kind="stable")
        kept.extend(block[order[: math.ceil(density * len(block))]])
    return np.array(kept, dtype=int)


def microadam(
    params,
    gradients,
    *,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    window=10,
    density=0.01,
    block_size=32_768,
    bucket_size=100_000,
    value_dtype="bfloat16",
):
    """Run over a list of gradient lists; give the parameters after each step and the (constant) rates."""
    rounded = ROUND[value_dtype]
    params = [x.astype(np.float64) for x in params]
    owed = [np.zeros(x.size) for x in params]
    sent = [[] for _ in params]
    trajectory = []
    for t, grads in enumerate(gradients, start=1):
        for i, g in enumerate(grads):
            a = np.asarray(g, dtype=np.float64).reshape(-1) + owed[i]
            index = top(a, block_size, density)
            sparse = np.zeros_like(a)
            sparse[index] = rounded(a[index])
            sent[i].append(sparse)
            a[index] = 0.0
            owed[i] = through_four_bits(a, bucket_size, rounded)
            recent = list(enumerate(reversed(sent[i][-window:])))
            m, v = (
                (1 - beta) / (1 - beta**t) * sum(beta**age * past**power for age, past in recent)
                for beta, power in zip(betas, (1, 2), strict=True)
            )
            update = (m / (eps + np.sqrt(v))).reshape(params[i].shape)
            params[i] = params[i] - lr * (update + weight_decay * params[i])
        trajectory.append([x.copy() for x in params])
    return trajectory, [lr] * len(trajectory)
