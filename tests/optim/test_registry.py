"""Optimizers by name."""

from __future__ import annotations

import pytest
import torch

from waddington._errors import ArgumentError, UnknownNameError
from waddington.optim import ASGDAdam, registry

PARAM = [torch.zeros(2, requires_grad=True)]


def test_names_are_the_guides_comparison_and_the_baselines():
    assert registry.names() == ("Adam", "AMSGrad", "AdamW", "SGD", "ASGDAdam", "ASGDAMSGrad", "Padam")


@pytest.mark.parametrize("name", registry.names())
def test_each_builds_with_its_defaults_and_says_where_it_is_from(name):
    spec = registry.get(name.upper())
    assert spec.name == name
    assert spec.paper
    assert spec.switching == ("alpha_min" in spec.defaults)
    cls, kwargs = registry.resolve(name)
    assert kwargs == {**spec.defaults, **spec.kwargs}
    optimizer = registry.build(name, PARAM)
    assert type(optimizer) is cls
    assert optimizer.param_groups[0]["lr"] == spec.defaults["lr"]


@pytest.mark.parametrize(
    "name", [name for name in registry.names() if registry.get(name).cls.__module__.startswith("waddington")]
)
def test_our_defaults_are_the_signatures(name):
    spec = registry.get(name)
    group = spec.cls(PARAM).param_groups[0]
    assert {key: group[key] for key in spec.defaults} == spec.defaults


def test_defaults_of_a_spec_cannot_be_changed_through_a_resolution():
    registry.resolve("ASGDAdam")[1]["lr"] = 7.0
    assert registry.get("ASGDAdam").defaults["lr"] == 1e-2


def test_overrides_reach_the_optimizer():
    optimizer = registry.build("asgdadam", PARAM, lr=3e-3, alpha_min=1e-3, switch_interval=5, betas=(0.8, 0.99))
    assert isinstance(optimizer, ASGDAdam)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["alpha_min"], group["switch_interval"], group["betas"]) == (3e-3, 1e-3, 5, (0.8, 0.99))
    assert registry.build("AMSGrad", PARAM).param_groups[0]["amsgrad"] is True


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match=r"unknown optimizer 'ASGDAdm'.*'ASGDAdam'.*Padam"):
        registry.get("ASGDAdm")


@pytest.mark.parametrize(
    ("name", "override"),
    [("SGD", {"betas": (0.9, 0.99)}), ("Adam", {"alpha_min": 1e-4}), ("AMSGrad", {"amsgrad": False})],
)
def test_an_override_without_an_argument_is_refused_or_left_out_on_request(name, override):
    with pytest.raises(ArgumentError, match=rf"cannot use {next(iter(override))}=.* with {name}: accepted are lr"):
        registry.resolve(name, **override)
    assert registry.resolve(name, ignore_unsupported=True, **override) == registry.resolve(name)


def test_a_value_out_of_range_is_refused():
    with pytest.raises(ArgumentError, match="cannot use p=2"):
        registry.build("Padam", PARAM, p=2)
