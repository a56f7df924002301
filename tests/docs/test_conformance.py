"""docs/conformance.md has a row for every optimizer and component of the package: none is left out in silence."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import torch

import waddington.optim
from waddington.optim import registry

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def test_every_optimizer_and_component_of_ours_has_a_row() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("\n## waddington\n")[2].partition("\n## ")[0]
    rows = {name.removesuffix("(AdamW)") for name in re.findall(r"^\| (\S+) \|", section, flags=re.MULTILINE)}
    classes = {
        name
        for name in waddington.optim.__all__
        if inspect.isclass(cls := getattr(waddington.optim, name)) and issubclass(cls, torch.optim.Optimizer)
        if cls is not waddington.optim.RuleOptimizer  # what optimizers derive from
    }
    registered = {name for name in registry.names() if registry.get(name).package == "waddington"}
    assert {"Averaged", "AveragedAdamW", "AveragedASGDAdam"} <= classes | registered
    assert classes | registered <= rows, "run: make conformance"
