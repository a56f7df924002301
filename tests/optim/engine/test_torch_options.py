"""What torch's optimizers take besides: accepted where it asks for nothing, refused by name where it asks for more."""

from __future__ import annotations

import inspect

import pytest
import torch

from waddington.errors import ArgumentError
from waddington.optim import AMGT, RuleOptimizer, registry
from waddington.optim.engine.torch_options import TORCH_OPTIONS

OURS = {name: registry.get(name).cls for name in registry.names() if registry.get(name).package == "waddington"}
CLASSES = {name: cls for name, cls in OURS.items() if issubclass(cls, RuleOptimizer)}
each_class = pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)


def params():
    return [torch.ones(3, 2, requires_grad=True)]


@each_class
@pytest.mark.parametrize("value", [False, None])
def test_what_asks_for_nothing_changes_nothing(cls, value):
    options = dict.fromkeys(TORCH_OPTIONS, value)
    plain, given = cls(params()), cls(params(), **options)
    settings = [{k: v for k, v in o.param_groups[0].items() if k != "params"} for o in (plain, given)]
    assert settings[0] == settings[1]
    assert type(registry.build(cls.__name__, params(), **options)) is cls


@each_class
@pytest.mark.parametrize("name", TORCH_OPTIONS)
def test_what_asks_for_more_is_refused_with_the_reason(cls, name):
    message = rf"cannot use {name}=True with {cls.__name__}: .*; accepted are {name}=False and None"
    with pytest.raises(ArgumentError, match=message):
        cls(params(), **{name: True})
    with pytest.raises(ArgumentError, match=message):
        cls([{"params": params(), name: True}])


@each_class
def test_hosts_that_search_a_signature_for_fused_do_not_find_it(cls):
    assert not set(TORCH_OPTIONS) & set(inspect.signature(cls).parameters)


def test_groups_and_states_of_torchs_optimizers_are_taken_over():
    weights = params()
    adam = torch.optim.AdamW(weights, fused=True)
    weights[0].grad = torch.ones_like(weights[0])
    adam.step()
    optimizer = AMGT(torch.optim.AdamW(weights, foreach=False).param_groups)
    optimizer.load_state_dict(adam.state_dict())
    optimizer.step()
    assert optimizer.state[weights[0]]["step"] == 2
