"""What docs/conformance.md is made from asks for every optimizer and component of the package."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

import waddington.optim
from waddington.optim import registry

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def conformance(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("conformance", BENCHMARKS / "conformance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop("measuring", None)
    return module


def test_every_optimizer_and_component_is_asked_for_and_takes_a_step(conformance: ModuleType) -> None:
    asked = conformance.ours()
    classes = {
        name
        for name in waddington.optim.__all__
        if inspect.isclass(cls := getattr(waddington.optim, name)) and issubclass(cls, torch.optim.Optimizer)
        if cls is not waddington.optim.RuleOptimizer  # what optimizers derive from
    }
    registered = {name for name in registry.names() if registry.get(name).package == "waddington"}
    assert {"Averaged", "Projected", "AveragedAdamW", "AveragedASGDAdam"} <= classes | registered
    assert {name.removesuffix("(AdamW)") for name in asked} == classes | registered
    for make in asked.values():
        weight = nn.Parameter(torch.ones(3, 2))
        weight.grad = torch.ones(3, 2)
        make([weight]).step()
        assert not torch.equal(weight, torch.ones(3, 2))
