"""What the engine supplies for a rule of one's own, and which keys a parameter group may have."""

from __future__ import annotations

import inspect
from typing import get_args, get_type_hints

import pytest
import torch

from waddington.errors import ArgumentError
from waddington.optim import (
    AMGT,
    AMVT,
    Averaged,
    Compressed,
    Lookahead,
    Masked,
    MicroAdam,
    Projected,
    RuleOptimizer,
    Switched,
    registry,
)
from waddington.optim.communication import CompressionHook
from waddington.optim.engine.settings import DEFAULTS
from waddington.optim.projection import Ball
from waddington.optim.rule import Measured, Rule

SGD = Rule(
    buffers=lambda settings: (),
    scalars=lambda step, tensor_scalars, settings: {},
    update_moments=lambda grad, buffers, scalars, flags: Measured({}),
    update=lambda grad, measured, buffers, scalars, flags: grad,
)


class Bare(RuleOptimizer, rule=SGD):
    def __init__(self, params, lr=1e-3, **settings):
        super().__init__(params, {"lr": lr, **settings})


def zeros():
    param = torch.zeros(3, requires_grad=True)
    param.grad = torch.ones(3)
    return param


def test_a_rule_needs_no_setting_of_the_engine():
    optimizer = Bare([param := zeros()])
    assert {name: optimizer.defaults[name] for name in DEFAULTS} == dict(DEFAULTS)
    optimizer.step()
    assert param.tolist() == pytest.approx([-1e-3] * 3)


def test_a_constructor_that_passes_settings_on_has_those_of_the_engine_and_no_others():
    optimizer = Bare([param := zeros()], lr=0.5, maximize=True, weight_decay=0.0, foreach=False)
    optimizer.step()
    assert param.tolist() == [0.5] * 3
    assert "foreach" not in optimizer.defaults
    assert {"compile", "nonfinite", "weight_decay"} <= set(Bare.arguments())
    with pytest.raises(TypeError, match=r"Bare has no argument 'maximise': accepted are .*maximize"):
        Bare([zeros()], maximise=True)
    with pytest.raises(ArgumentError, match="nonfinite must be one of 'mask'"):
        Bare([zeros()], nonfinite="ignore")


def test_the_registry_knows_the_arguments_of_such_a_class():
    assert registry.build(Bare, [zeros()], lr=0.25, compile=False).param_groups[0]["lr"] == 0.25
    with pytest.raises(ArgumentError, match=r"cannot use eps=0.1 with Bare"):
        registry.build(Bare, [zeros()], eps=0.1)


def test_a_rule_of_whole_tensors_skips_what_it_cannot_mask():
    assert MicroAdam([zeros()]).defaults["nonfinite"] == "skip"

    class Whole(RuleOptimizer, rule=Rule(
        buffers=SGD.buffers, scalars=SGD.scalars, update_moments=SGD.update_moments, update=SGD.update,
        whole_tensor_reason="looks at all of it",
    )):  # fmt: skip
        def __init__(self, params):
            super().__init__(params, {})

    assert Whole([zeros()]).defaults["nonfinite"] == "skip"


def test_a_class_without_a_rule_says_so():
    class Empty(RuleOptimizer):
        def __init__(self, params):
            super().__init__(params, {})

    with pytest.raises(ArgumentError, match=r"cannot make a Empty: it names no rule; .*rule=LION"):
        Empty([zeros()])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("weight_decy", "all but 'weight_decay'"),
        ("non_finite", "all but 'nonfinite'"),
        ("params", "accepted are identifiers, other than params"),
        ("base_lr", "accepted are identifiers"),
        ("my setting", "cannot name a setting 'my setting'"),
    ],
)
def test_a_setting_that_is_misspelt_or_taken_is_refused(name, said):
    class Mine(RuleOptimizer, rule=SGD):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1, name: 1.0})

    with pytest.raises(ArgumentError, match=said):
        Mine([zeros()])


@pytest.mark.parametrize("key", ["weight_decy", "amsgrad", "beta"])
def test_a_key_of_a_group_that_nobody_reads_is_refused(key):
    group = {"params": [zeros()], key: True}
    with pytest.raises(ArgumentError, match=f"cannot use the key '{key}' in a parameter group of AMGT.*weight_decay"):
        AMGT([group])
    optimizer = AMGT([zeros()])
    with pytest.raises(ArgumentError, match=key):
        optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1


def test_keys_of_hosts_and_what_the_other_groups_have_are_accepted():
    optimizer = AMVT([{"params": [zeros()], "name": "body", "lr_scale": 0.5, "betas": (0.8, 0.9)}], lr=0.1)
    torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)
    known = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
    optimizer.add_param_group({**known, "params": [zeros()]})
    switched = Switched(AMGT([zeros()]))
    switched.add_param_group({"params": [zeros()], "alpha_min": 1e-4})


# -- closed sets --

SIGNED = [
    *{spec.cls for spec in map(registry.get, registry.names()) if spec.package == "waddington"},
    *(Averaged, Switched, Masked, Compressed, Lookahead, Projected, Ball, CompressionHook),
]


@pytest.mark.parametrize("cls", sorted(SIGNED, key=lambda cls: cls.__name__), ids=lambda cls: cls.__name__)
def test_an_argument_that_is_one_of_some_words_says_which_to_a_type_checker(cls):
    hints = get_type_hints(cls.__init__)
    words = {
        name: parameter.default
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if isinstance(parameter.default, str)
    }
    for name, default in words.items():
        accepted = [word for part in (hints[name], *get_args(hints[name])) for word in get_args(part) or [part]]
        assert default in accepted, f"{cls.__name__}({name}=) is {hints[name]}"
        assert str not in accepted


@pytest.mark.parametrize(
    "cls", [spec.cls for spec in map(registry.get, registry.names()) if spec.package == "waddington"],
    ids=lambda cls: cls.__name__,
)  # fmt: skip
def test_arguments_stand_in_the_order_of_torchs(cls):
    torchs = list(inspect.signature(torch.optim.AdamW.__init__).parameters)[:6]
    parameters = inspect.signature(cls.__init__).parameters
    assert list(parameters)[:6] == torchs == ["self", "params", "lr", "betas", "eps", "weight_decay"]
    kinds = {parameter.kind for parameter in list(parameters.values())[6:]}
    assert kinds <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
    group = cls([zeros()], 1e-3, (0.8, 0.9), 1e-6, 0.5).param_groups[0]
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.8, 0.9), 1e-6, 0.5)
