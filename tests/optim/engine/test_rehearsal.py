"""What a rule may not do is refused when an optimizer is made, with what to do instead."""

from __future__ import annotations

import math

import pytest
import torch

from waddington.errors import ArgumentError
from waddington.optim import ASGDAdam, RuleOptimizer
from waddington.optim.engine import rehearsal
from waddington.optim.rule import Measured, Rule

NOTHING = {
    "buffers": lambda settings: ("exp_avg",),
    "scalars": lambda step, tensor_scalars, settings: {},
    "update_moments": lambda grad, buffers, scalars, flags: Measured({"exp_avg": grad}),
    "update": lambda grad, measured, buffers, scalars, flags: grad,
}


def made(**parts):
    class Mine(RuleOptimizer, rule=Rule(**NOTHING | parts)):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1, "betas": (0.9, 0.99)})

    return Mine([torch.zeros(3, requires_grad=True)])


def updated(direction):
    return {"update": lambda grad, measured, buffers, scalars, flags: direction(grad)}


def branched(grad):
    return grad if grad.abs().max() > 1 else -grad


READS = {
    "if": updated(lambda grad: grad if grad[0] > 0 else -grad),
    "float": updated(lambda grad: grad * float(grad[0])),
    "item": updated(lambda grad: grad * grad[0].item()),
    "a number": {
        "scalars": lambda step, tensor_scalars, settings: {"gain": 2.0},
        "update": lambda grad, measured, buffers, scalars, flags: grad if scalars["gain"] > 1 else -grad,
    },
    "the step": {"scalars": lambda step, tensor_scalars, settings: {"warm": 1.0 if step > 10 else step / 10}},
    "math": {"scalars": lambda step, tensor_scalars, settings: {"warm": math.sqrt(step)}},
}


@pytest.mark.parametrize("how", READS)
def test_the_value_of_a_tensor_is_not_read(how):
    with pytest.raises(ArgumentError, match=r"(reads the value of a tensor|torch's select) in .*torch\.where|terms"):
        made(**READS[how])


NOT_ELEMENTWISE = {
    "sum": lambda grad: grad / grad.sum(),
    "norm": lambda grad: grad / grad.norm(),
    "mean": lambda grad: grad - grad.mean(),
    "max": lambda grad: grad / grad.abs().max(),
    "branch on a sum": branched,
    "length": lambda grad: grad / grad.numel(),
    "cumsum": lambda grad: grad.cumsum(0),
    "flip": lambda grad: grad.flip(0),
    "sort": lambda grad: grad.sort().values,
    "noise": torch.rand_like,
}


@pytest.mark.parametrize("how", NOT_ELEMENTWISE)
def test_a_coordinate_knows_nothing_of_those_beside_it(how):
    with pytest.raises(
        ArgumentError, match=r"taken over a whole tensor, a sum, a mean, a norm, is named in the `terms`"
    ):
        made(**updated(NOT_ELEMENTWISE[how]))


def test_what_was_refused_is_had_by_terms_and_from_sums():
    optimizer = made(
        update_moments=lambda grad, buffers, scalars, flags: Measured({"exp_avg": grad}, {"square": grad.square()}),
        from_sums=lambda totals, size, scalars, flags: {"norm": totals["square"].sqrt()},
        update=lambda grad, measured, buffers, scalars, flags: grad / scalars["norm"],
    )
    (param,) = optimizer.param_groups[0]["params"]
    param.grad = torch.tensor([3.0, 0.0, 4.0])
    optimizer.step()
    assert param.tolist() == pytest.approx([-0.06, 0.0, -0.08])


WRONG = {
    "a name without its tuple": ({"buffers": lambda settings: "exp_avg"}, "cannot use `buffers` = 'exp_avg'"),
    "no identifier": ({"buffers": lambda settings: ("exp avg",)}, "accepted is a tuple of identifiers"),
    "a setting's name": ({"buffers": lambda settings: ("maximize",)}, "cannot name a buffer of a rule 'maximize'"),
    "no dict": ({"scalars": lambda step, tensor_scalars, settings: 3.0}, "`scalars` gives, a float"),
    "a number's name": ({"scalars": lambda step, ts, settings: {"lr": 1.0}}, "cannot name a number of a rule 'lr'"),
    "a setting that is none": (
        {"scalars": lambda step, ts, settings: {"b": settings["beta"]}},
        "'beta' in a rule: it is none of the settings .*Did you mean 'betas'",
    ),
    "no Measured": ({"update_moments": lambda g, b, s, f: {"exp_avg": g}}, "a dict: accepted is a Measured"),
    "a buffer's shape": ({"update_moments": lambda g, b, s, f: Measured({"exp_avg": 0.0})}, "'exp_avg' gives, a float"),
    "no direction": (updated(lambda grad: None), "`update` gives, a NoneType: .* tensor of the gradient's shape"),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_a_function_is_not_there_for_is_named(how):
    parts, said = WRONG[how]
    with pytest.raises(ArgumentError, match=said):
        made(**parts)


def test_one_group_of_a_kind_is_enough_also_of_a_loaded_state(monkeypatch):
    rehearsed = []
    run = rehearsal._Rehearsal.run
    monkeypatch.setattr(rehearsal._Rehearsal, "run", lambda self: rehearsed.append(1) or run(self))
    decays = [0.1 * number for number in range(6)]
    optimizer = ASGDAdam([{"params": [torch.zeros(2, requires_grad=True)], "weight_decay": each} for each in decays])
    optimizer.load_state_dict(optimizer.state_dict())
    assert len(rehearsed) <= 2  # the groups of a state have their keys in another order
    state = optimizer.state_dict()
    state["param_groups"][3]["maximize"] = True
    optimizer.load_state_dict(state)
    assert len(rehearsed) <= 3


@pytest.mark.parametrize(
    "direction", [lambda grad: grad.mul_(2.0), lambda grad: torch.add(grad, grad, out=grad)], ids=["in place", "out"]
)
def test_a_rule_that_writes_into_the_gradient_is_told_so(direction):
    with pytest.raises(ArgumentError, match="writes into the gradient"):
        made(**updated(direction))


@pytest.mark.parametrize(
    ("value", "said"), [("a", "'gain', a str: accepted is one number"), (torch.ones(3), r"'gain', of shape \(3,\)")]
)
def test_scalars_are_one_number_each(value, said):
    with pytest.raises(ArgumentError, match=said):
        made(scalars=lambda step, tensor_scalars, settings: {"gain": value})
