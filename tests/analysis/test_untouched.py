"""Whatever an analysis or its loss does, the model is left as it was."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from analysis.cases import build, loss_of
from waddington.analysis.objective import evaluating


def everything(model: nn.Module) -> dict[str, Any]:
    """Take all that an analysis must not change."""
    return {
        **{f"state {name}": value.clone() for name, value in model.state_dict().items()},
        **{f"grad {name}": None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        **{f"mode {name}": module.training for name, module in model.named_modules()},
        **{f"id {name}": id(value) for name, value in [*model.named_parameters(), *model.named_buffers()]},
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].copy(),  # type: ignore[union-attr, call-overload] # noqa: NPY002
        "python": random.getstate(),
    }


def assert_untouched(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before.keys() == after.keys()
    for name, value in before.items():
        other = after[name]
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other), name
        elif isinstance(value, np.ndarray):
            assert (value == other).all(), name
        else:
            assert value == other, name


@pytest.mark.parametrize("name", ["batchnorm", "dropout", "recurrent", "tied"])
@pytest.mark.parametrize("mode", ["train", "eval", "as-is"])
def test_the_model_and_all_generators_are_left_as_they_were(name: str, mode: Any) -> None:
    model, loss = build(name), loss_of(name)
    model.train()
    next(model.children()).eval()  # modes that differ
    loss(model).backward()
    before = everything(model)
    with evaluating(model, loss, mode=mode, order=2) as objective:
        first = objective.hvp(torch.ones(objective.size))
        objective.gradient()
        objective.place(torch.zeros(objective.size))
        objective.value()
        second = objective.hvp(torch.ones(objective.size))
    assert not torch.equal(first, second)
    assert_untouched(before, everything(model))


@pytest.mark.parametrize("where", ["at once", "later"])
def test_an_error_in_the_loss_leaves_the_model_untouched(where: str) -> None:
    model, plain = build("batchnorm"), loss_of("batchnorm")
    model.train()
    before = everything(model)
    calls = iter([True] if where == "at once" else [False, False, False, True])

    def loss(model: nn.Module) -> torch.Tensor:
        torch.rand(3)
        found = plain(model)
        if next(calls):
            raise KeyError("injected")
        return found

    def analyse() -> None:
        with evaluating(model, loss, mode="train") as objective:
            objective.value()
            objective.place(torch.zeros(objective.size))
            objective.value()

    with pytest.raises(KeyError, match="injected"):
        analyse()
    assert_untouched(before, everything(model))


@pytest.mark.parametrize("how", ["clamps", "rebinds", "goes backward", "zeroes", "freezes"])
def test_a_loss_that_changes_the_model_leaves_it_as_it_was(how: str) -> None:
    model, loss = build("mlp"), loss_of("mlp")
    loss(model).backward()
    before, required = everything(model), [param.requires_grad for param in model.parameters()]

    def changing(model: nn.Module) -> torch.Tensor:
        weight = model[0].weight  # type: ignore[index]
        if how == "clamps":
            with torch.no_grad():
                weight.clamp_(-0.1, 0.1)
        elif how == "rebinds":  # as layers do that bound their norm
            weight.data = torch.renorm(weight.data, 2, 0, 0.1)
        elif how == "zeroes":
            model.zero_grad()
        value = loss(model)
        if how == "goes backward" and torch.is_grad_enabled():
            value.backward(retain_graph=True)
        if how == "freezes":
            weight.requires_grad_(False)
        return value

    with evaluating(model, changing, order=1) as objective:
        objective.value() if how == "freezes" else objective.gradient()
    assert_untouched(before, everything(model))
    assert required == [param.requires_grad for param in model.parameters()]
