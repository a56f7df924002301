"""Padam's power, by square roots where it is one of those, by ``pow`` elsewhere."""

from __future__ import annotations

import pytest
import torch

from optim.training import make_gradients, make_params, run
from reference.padam import padam
from waddington.optim import Padam

SHAPES = [(64, 65), (5,)]


@pytest.mark.parametrize("compile", ["auto", False])
@pytest.mark.parametrize("p", [1.0, 1 / 2, 1 / 4, 0.2, 1 / 8, 1 / 16, 1 / 32, 0.0])
def test_every_power_equals_its_reference(p, compile):
    gradients = make_gradients(6, shapes=SHAPES)
    params = make_params(shapes=SHAPES)
    trajectory, _ = padam([param.detach().numpy() for param in params], gradients, p=p, bias_correction=True)
    run(Padam(params, p=p, bias_correction=True, compile=compile), params, gradients)
    for found, expected in zip(params, trajectory[-1], strict=True):
        torch.testing.assert_close(found.detach(), torch.as_tensor(expected), rtol=1e-12, atol=1e-13)


def test_a_power_that_is_changed_between_steps_holds_from_the_next():
    gradients = make_gradients(2, shapes=SHAPES)
    params, others = make_params(shapes=SHAPES), make_params(shapes=SHAPES)
    changed, pow_only = Padam(params, p=1 / 8), Padam(others, p=1 / 8 + 1e-15)
    for optimizer, weights, grads in ((changed, params, gradients[:1]), (pow_only, others, gradients[:1])):
        run(optimizer, weights, grads)
        optimizer.param_groups[0]["p"] = 1 / 4
        run(optimizer, weights, gradients[1:])
    for found, expected in zip(params, others, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)
