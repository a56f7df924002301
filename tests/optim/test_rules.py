"""Rules that users write: the least one needs, and what is refused by name."""

from __future__ import annotations

import pytest
import torch

from waddington.optim._engine import RuleOptimizer
from waddington.optim._rule import Measured, Rule

OF_THE_ENGINE = {
    "betas": (0.9, 0.99), "eps": 0.0, "weight_decay": 0.0, "decoupled_weight_decay": True, "maximize": False,
    "nonfinite": "mask", "stochastic_rounding": False, "state_dtype": "float32",
}  # fmt: skip


def rule_of(update=lambda grad, measured, buffers, numbers, choices: grad, **parts):
    """Give a rule without anything but a direction, unless `parts` say otherwise."""
    nothing = {
        "buffers": lambda settings: (),
        "coefficients": lambda step, scalars, settings: {},
        "measure": lambda grad, buffers, numbers, choices: Measured({}),
    }
    return Rule(**nothing | parts, update=update)


def optimizer_of(rule, params, compile, **settings):
    class Mine(RuleOptimizer):
        _rule = rule

        def __init__(self, params):
            super().__init__(params, OF_THE_ENGINE | {"lr": 0.1, "compile": compile} | settings)

    return Mine(params)


def stepped(rule, compile, **settings):
    """Give what becomes of zeros whose gradient is 3."""
    param = torch.nn.Parameter(torch.zeros(8))
    param.grad = torch.full((8,), 3.0)
    optimizer_of(rule, [param], compile, **settings).step()
    return param.detach()


@pytest.mark.parametrize("compile", [False, True])
def test_a_rule_without_buffers_steps(compile):
    torch.testing.assert_close(stepped(rule_of(), compile), torch.full((8,), -0.3))
