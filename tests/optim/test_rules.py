"""Rules that users write: the least one needs, and what is refused by name."""

from __future__ import annotations

import pytest
import torch

from waddington._errors import UnsupportedError
from waddington.optim import _compiled
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


# -- a kernel is named by what the rule does --


@pytest.mark.parametrize("compile", [False, True])
def test_rules_that_differ_in_a_lambda_alone_do_not_meet(compile):
    same = rule_of(lambda grad, measured, buffers, numbers, choices: grad)
    sign = rule_of(lambda grad, measured, buffers, numbers, choices: grad.sign())
    assert stepped(same, compile)[0].item() == pytest.approx(-0.3)
    assert stepped(sign, compile)[0].item() == pytest.approx(-0.1)


def test_a_function_that_is_edited_is_seen_by_the_next_optimizer():
    """As when a cell of a notebook, or a module of helpers, is run anew."""
    names = {"helper": lambda grad: grad}
    exec("def update(grad, measured, buffers, numbers, choices): return helper(grad)", names)
    rule = rule_of(names["update"])
    assert stepped(rule, True)[0].item() == pytest.approx(-0.3)
    names["helper"] = torch.sign
    assert stepped(rule, True)[0].item() == pytest.approx(-0.1)


def test_rules_that_do_the_same_share_a_kernel_and_keep_the_names_of_their_sums():
    def measured(name):
        return lambda grad, buffers, numbers, choices: Measured({}, {name: grad.abs()})

    def settled(name):
        return lambda totals, size, numbers, choices: {"mean": totals[name] / size}

    def update(grad, measured, buffers, numbers, choices):
        return grad - numbers["mean"] * 0.5

    for name in ("first", "second"):
        rule = rule_of(update, measure=measured(name), settle=settled(name))
        made = len(_compiled.kernels_made)
        assert stepped(rule, True)[0].item() == pytest.approx(-0.15)
    assert len(_compiled.kernels_made) == made


def test_a_length_used_as_a_number_is_not_the_number_that_it_is_traced_with():
    by_seven = rule_of(lambda grad, measured, buffers, numbers, choices: grad / 7)
    by_length = rule_of(lambda grad, measured, buffers, numbers, choices: grad / grad.numel())
    assert stepped(by_seven, True)[0].item() == pytest.approx(-0.3 / 7)
    with pytest.raises(UnsupportedError, match="length of a tensor"):
        stepped(by_length, True)
