"""An optimizer is named one way everywhere: name, module:name, class or factory; all else is refused by name."""

from __future__ import annotations

import functools

import pytest
import torch

from waddington.errors import ArgumentError, UnknownNameError
from waddington.optim import AMVT, ASGDAdam, registry

PARAM = [torch.zeros(2, requires_grad=True)]
FORMS = {
    "name": ("asgdadam", ASGDAdam),
    "address": ("torch.optim:RAdam", torch.optim.RAdam),
    "class": (torch.optim.RAdam, torch.optim.RAdam),
    "partial": (functools.partial(AMVT, variance="moments"), AMVT),
    "lambda": (lambda params: torch.optim.RAdam(params, lr=0.5), torch.optim.RAdam),
}


@pytest.fixture
def names(monkeypatch):
    """Names that are registered here are forgotten afterwards."""
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_built(form):
    given, cls = FORMS[form]
    assert type(registry.build(given, PARAM)) is cls


@pytest.mark.parametrize("form", [form for form in FORMS if form != "lambda"])
def test_arguments_reach_what_has_them_and_are_refused_by_name_elsewhere(form):
    given, _ = FORMS[form]
    assert registry.build(given, PARAM, lr=0.25).param_groups[0]["lr"] == 0.25
    with pytest.raises(ArgumentError, match=r"cannot use momentun=0.9 with .*: accepted are .*betas"):
        registry.build(given, PARAM, lr=0.25, momentun=0.9)
    _, kwargs = registry.resolve(given, ignore_unsupported=True, momentun=0.9)
    assert "momentun" not in kwargs


def test_a_factory_keeps_what_it_says_and_refuses_what_it_does_not_take():
    partial, made = FORMS["partial"][0], FORMS["lambda"][0]
    assert registry.build(partial, PARAM).param_groups[0]["variance"] == "moments"
    assert registry.build(made, PARAM).param_groups[0]["lr"] == 0.5
    with pytest.raises(ArgumentError, match=r"cannot use lr=0.1 .*takes the parameters alone"):
        registry.build(made, PARAM, lr=0.1)


def test_a_class_has_the_defaults_that_it_is_written_with_and_a_name_those_of_the_registry():
    assert registry.build(torch.optim.SGD, PARAM).param_groups[0]["momentum"] == 0.0
    assert registry.build("SGD", PARAM).param_groups[0]["momentum"] == 0.9
    assert registry.name_of(torch.optim.SGD) == "torch.optim.sgd:SGD"
    assert registry.name_of(torch.optim.Adam) == "Adam"
    assert registry.name_of("amvt") == "AMVT"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "optimizer=3: accepted are"),
        (torch.nn.Linear, "optimizer=Linear: accepted are"),
        (torch.optim.Adam(PARAM), "a Adam that is built already: accepted are"),
        (lambda params, lr: None, "cannot be called with the parameters alone"),
        ("Adma", "Did you mean 'Adam'"),
        ("torch.optim:Nope", "no attribute 'Nope'; accepted are"),
        ("no_such_module:X", "No module named"),
    ],
)
def test_what_is_no_optimizer_is_refused_by_name(given, said):
    with pytest.raises(ArgumentError, match=said):
        registry.build(given, PARAM)


def test_a_factory_of_something_else_is_refused_when_it_is_called():
    with pytest.raises(ArgumentError, match="it gives a list"):
        registry.build(lambda params: list(params), PARAM)


@pytest.mark.parametrize("form", ["partial", "lambda"])
def test_what_cannot_be_imported_has_no_name(form):
    with pytest.raises(ArgumentError, match="cannot name the optimizer"):
        registry.name_of(FORMS[form][0])


@pytest.mark.usefixtures("names")
def test_ones_own_optimizer_gets_a_name():
    registry.register("Gentle", torch.optim.SGD, defaults={"momentum": 0.5}, paper="of one's own")
    assert registry.build("gentle", PARAM).param_groups[0]["momentum"] == 0.5
    assert "Gentle" in registry.names()
    for name, said in (("GENTLE", "'Gentle' is taken"), ("a:b", "without a colon"), ("", "without a colon")):
        with pytest.raises(ArgumentError, match=said):
            registry.register(name, torch.optim.SGD)
    with pytest.raises(UnknownNameError):
        registry.register("Other", "Adma")
    with pytest.raises(ArgumentError, match=r"cannot use moment=0.5"):
        registry.register("Other", torch.optim.SGD, defaults={"moment": 0.5})
