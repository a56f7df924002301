"""A decay of zero is an average of one value: every optimizer takes it, from the first step on."""

from __future__ import annotations

import pytest
import torch

from waddington.optim import registry
from waddington.optim.moments import ema_weight

OURS = [name for name in registry.names() if "betas" in registry.get(name).defaults and not registry.get(name).extra]


@pytest.mark.parametrize("compile", ["auto", False])
@pytest.mark.parametrize("name", [name for name in OURS if registry.get(name).package != "torch"])
@pytest.mark.parametrize("zeros", [(0,), (0, 1)], ids=str)
def test_steps_are_finite_and_go_downhill(name: str, zeros: tuple[int, ...], compile: object) -> None:
    spec = registry.get(name)
    betas = [0.0 if index in zeros else beta for index, beta in enumerate(spec.defaults["betas"])]
    parameter = torch.nn.Parameter(torch.linspace(1.0, 2.0, 32).reshape(4, 8))
    own = {"compile": compile} if "compile" in spec.arguments else {}
    optimizer = registry.build(name, [parameter], lr=1e-3, betas=tuple(betas), **own)
    for _ in range(3):
        parameter.grad = parameter.detach().clone()
        optimizer.step()
    assert torch.isfinite(parameter).all()
    assert (parameter < torch.linspace(1.0, 2.0, 32).reshape(4, 8)).any()


def test_amgt_without_memory_takes_signs() -> None:
    """By hand: with both decays 0 the moments are g and g², the variance 0, the factor 1: x - lr g / |g|."""
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = registry.build("AMGT", [parameter], lr=0.1, betas=(0.0, 0.0), eps=0.0)
    for expected in ([0.9, -1.9], [0.8, -1.8]):
        parameter.grad = parameter.detach().clone()
        optimizer.step()
        torch.testing.assert_close(parameter.detach(), torch.tensor(expected))


@pytest.mark.parametrize("step", [0, 1, 5])
def test_the_weight_of_an_average_without_memory(step: int) -> None:
    assert ema_weight(float(step), 0.0) == float(ema_weight(torch.tensor(float(step)), 0.0)) == min(step, 1)
