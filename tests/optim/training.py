"""Small trainings that the contracts are held against."""

from __future__ import annotations

import numpy as np
import torch

SHAPES = [(4, 3), (5,), (), (2, 3, 2), (0, 4)]


def make_params(dtype=torch.float64, seed=0, shapes=SHAPES):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes]


def make_gradients(steps, seed=1, shapes=SHAPES):
    """Gradients that fall, rise and scatter, so that the switches have something to see."""
    rng = np.random.default_rng(seed)
    scale = np.exp(np.sin(np.arange(steps) / 4) + 0.3 * rng.standard_normal(steps))
    return [[s * rng.standard_normal(shape) for shape in shapes] for s in scale]


def run(optimizer, params, gradients):
    for grads in gradients:
        for param, grad in zip(params, grads, strict=True):
            param.grad = torch.as_tensor(grad, dtype=torch.float64).reshape(param.shape).to(param.dtype)
        optimizer.step()


def values(params):
    return [param.detach().clone() for param in params]


def assert_same(left, right):
    for a, b in zip(left, right, strict=True):
        assert torch.equal(a, b)


def make_model(seed=0, dtype=torch.float32):
    torch.default_generator.manual_seed(seed)  # the same draws, without a stack written down for each accelerator
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).to(dtype)
    x = torch.randn(32, 6, dtype=dtype)
    return model, x, torch.sin(x[:, :1])


def train(model, optimizer, x, y, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    loss = torch.zeros(())
    for _ in range(steps):
        index = torch.randint(len(x), (8,), generator=generator)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x[index]), y[index])
        loss.backward()
        optimizer.step()
    return loss.item()
