"""Nets run by matrix products: values and gradients are those of autograd."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from waddington.twin.plan.agent.towers import FlatGradients, Tower

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


def net_of(widths: list[int], activation: str) -> nn.Sequential:
    """Make linear layers with an activation between them, in float64."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs, dtype=torch.float64), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


@given(
    widths=st.lists(st.integers(1, 9), min_size=2, max_size=7),
    activation=st.sampled_from(["tanh", "relu"]),
    rows=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_outputs_and_gradients_are_those_of_autograd(
    widths: list[int], activation: Any, rows: list[int], seed: int
) -> None:
    torch.manual_seed(seed)
    net = net_of(widths, activation)
    gradients = FlatGradients(list(net.parameters()))
    tower = Tower([layer for layer in net if isinstance(layer, nn.Linear)], activation, gradients)
    for n in rows:  # the arrays of another number of rows are other arrays
        x, by_output = torch.randn(n, widths[0], dtype=torch.float64), torch.randn(n, widths[-1], dtype=torch.float64)
        expected = net(x)
        found = tower.forward(x)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        grads = torch.autograd.grad(expected, list(net.parameters()), by_output)
        tower.backward(by_output)
        for parameter, grad in zip(net.parameters(), grads, strict=True):
            torch.testing.assert_close(gradients.of(parameter), grad, rtol=1e-11, atol=1e-11)


def test_parameters_are_read_at_each_pass() -> None:
    layer = nn.Linear(1, 1)
    tower = Tower([layer], "tanh")
    with torch.no_grad():
        layer.weight.fill_(2.0)
        layer.bias.fill_(1.0)
    assert tower.forward(torch.tensor([[3.0]])).item() == 7.0
    layer.weight.data = torch.tensor([[5.0]])  # as an optimizer may replace it
    assert tower.forward(torch.tensor([[3.0]])).item() == 16.0


@pytest.mark.parametrize("scale", [0.0, 0.1, 100.0, math.nan])
def test_clipping_is_that_of_torch(scale: float) -> None:
    torch.manual_seed(0)
    net = net_of([3, 4, 2], "tanh")
    gradients = FlatGradients(list(net.parameters()))
    gradients.flat.normal_().mul_(scale)
    given_grads = gradients.flat.clone()
    gradients.clip(0.5)
    gradients.attach()
    found = torch.cat([parameter.grad.flatten() for parameter in net.parameters()])  # type: ignore[union-attr]
    gradients.flat.copy_(given_grads)
    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    torch.testing.assert_close(found, gradients.flat, rtol=1e-13, atol=0.0, equal_nan=True)


def test_the_fast_tanh_is_tanh_to_rounding() -> None:
    x = torch.linspace(-12.0, 12.0, 10_001)
    layers = [nn.Linear(1, 1), nn.Linear(1, 1)]
    with torch.no_grad():
        for layer in layers:
            layer.weight.fill_(1.0)
            layer.bias.zero_()
    found = Tower(layers, "tanh").forward(x.unsqueeze(1)).squeeze(1)
    assert (found.double() - x.double().tanh()).abs().max() < 2e-7
