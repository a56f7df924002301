"""Names that have moved: the old address gives the same thing, and warns."""

from __future__ import annotations

import importlib

import pytest
import torch

from waddington.optim import AMGT, ASGDAdam, Switched, registry, switching
from waddington.optim.engine import RuleOptimizer

MOVED = [
    ("waddington.optim.switching", "Switched", "waddington.optim", "Switched"),
    ("waddington.optim.switching", "look", "waddington.optim.switching", "relative_deviation"),
    ("waddington.optim.masking", "Masked", "waddington.optim", "Masked"),
    ("waddington.optim.compression", "Compressed", "waddington.optim", "Compressed"),
    ("waddington.optim.lookahead", "Lookahead", "waddington.optim", "Lookahead"),
    ("waddington.optim._rule", "RateControl", "waddington.optim.rule", "RateControl"),
    ("waddington.optim._engine", "RuleOptimizer", "waddington.optim.engine", "RuleOptimizer"),
]


@pytest.mark.parametrize(("old", "name", "home", "new"), MOVED)
def test_an_old_address_gives_the_same_thing_and_warns(old, name, home, new):
    module = importlib.import_module(old)
    with pytest.warns(DeprecationWarning, match=rf"{old}.{name} has moved: use waddington.optim[\w.]*\.{new};"):
        found = getattr(module, name)
    assert found is getattr(importlib.import_module(home), new)


@pytest.mark.parametrize("old", sorted({old for old, *_ in MOVED}))
def test_an_unknown_name_is_no_attribute(old):
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        importlib.import_module(old).Nothing  # noqa: B018


def test_a_rule_of_old_names_is_the_same_rule():
    with pytest.warns(DeprecationWarning, match="_rule.Rule has moved"):
        from waddington.optim._rule import Rule
    with pytest.warns(DeprecationWarning, match="_rule.Measured has moved"):
        from waddington.optim._rule import Measured

    class Own(RuleOptimizer):
        _rule = Rule(
            buffers=lambda settings: (),
            coefficients=lambda step, scalars, settings: {"factor": 2.0},
            measure=lambda grad, buffers, numbers, choices: Measured({}, carry={"update": grad * numbers["factor"]}),
            update=lambda grad, measured, buffers, numbers, choices: measured.carry["update"],
        )

        def __init__(self, params):
            super().__init__(params, {**AMGT([torch.zeros(1)]).defaults, "lr": 0.5, "compile": False})

    param = torch.zeros(3, requires_grad=True)
    param.grad = torch.ones(3)
    with pytest.warns(DeprecationWarning, match="carry is called saved now"):
        Own([param]).step()
    assert param.tolist() == [-1.0, -1.0, -1.0]


# -- the coordinate rule's ratio, once `adaptive`


def params():
    return [torch.zeros(3, requires_grad=True)]


def test_adaptive_is_called_count_ratio_now():
    with pytest.warns(DeprecationWarning, match="adaptive= is called count_ratio= now"):
        assert ASGDAdam(params(), switch="coordinate", adaptive=0.5).param_groups[0]["count_ratio"] == 0.5
    with pytest.warns(DeprecationWarning, match="adaptive= is called count_ratio= now"):
        assert Switched(AMGT(params()), switch="coordinate", adaptive=0.5).param_groups[0]["count_ratio"] == 0.5
    with pytest.warns(DeprecationWarning, match="adaptive= is called count_ratio= now"):
        optimizer = ASGDAdam([{"params": params(), "adaptive": 0.5}], switch="coordinate")
    assert optimizer.param_groups[0]["count_ratio"] == 0.5
    with pytest.warns(DeprecationWarning, match="adaptive= is called count_ratio= now"):
        optimizer = registry.build("ASGDAdam", params(), switch="coordinate", adaptive=0.5)
    assert optimizer.param_groups[0]["count_ratio"] == 0.5
    with pytest.warns(DeprecationWarning, match="adaptive= is called count_ratio= now"):
        assert switching.count_vote(torch.ones(1), torch.ones(1), adaptive=0.5) == 0.5
    with pytest.raises(TypeError, match="ASGDAdam has no argument 'adaptiv'"):
        ASGDAdam(params(), adaptiv=0.5)


@pytest.mark.parametrize("make", [ASGDAdam, lambda params, **kwargs: Switched(AMGT(params), **kwargs)])
def test_a_state_with_the_old_name_is_loaded(make):
    saved = make(params(), switch="coordinate", count_ratio=0.5).state_dict()
    for group in saved["param_groups"]:
        group["adaptive"] = group.pop("count_ratio")
    optimizer = make(params())
    optimizer.load_state_dict(saved)
    (group,) = optimizer.param_groups
    assert group["count_ratio"] == 0.5
    assert "adaptive" not in group


def test_the_path_of_an_execution_was_its_how():
    (record,) = AMGT(params()).execution()
    with pytest.warns(DeprecationWarning, match="how is called path now"):
        assert record.how == record.path
