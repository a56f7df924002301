"""Paths of optimizers on a task."""

from __future__ import annotations

import pytest
import torch

from waddington.analysis import parameter_vector
from waddington.bench import get_task, task
from waddington.bench.arm import parse_arm
from waddington.bench.tracing import trace
from waddington.errors import ArgumentError


def test_paths_begin_at_one_start_and_end_where_training_does() -> None:
    arms = [parse_arm("Adam,lr=0.05"), parse_arm("SGD,lr=0.0005")]
    found = trace(get_task("rosenbrock"), arms, steps=20)
    assert list(found.paths) == [arm.name for arm in arms]
    assert [len(path) for path in found.paths.values()] == [21, 21]
    first, last = found.paths.values()
    assert torch.equal(first[0], last[0])
    assert torch.equal(last[-1], parameter_vector(found.model))
    assert found.loss(found.model) == found.loss(found.model)
    assert isinstance(found.optimizer, torch.optim.SGD)


@pytest.mark.parametrize("order", [1, -1])
def test_what_diverges_is_left_out_by_name_and_nothing_left_is_refused(order: int) -> None:
    steep = task(steps=5, name="steep")(lambda seed: get_task("rosenbrock").problem(seed))
    arms = [parse_arm("SGD,lr=1e30"), parse_arm("Adam,lr=0.1")]
    found = trace(steep, arms[::order])
    assert [*found.paths] == ["Adam (lr=0.1)"]
    assert found.diverged == ("SGD (lr=1e+30)",)
    assert torch.equal(found.paths["Adam (lr=0.1)"][-1], parameter_vector(found.model))
    assert isinstance(found.optimizer, torch.optim.Adam)
    with pytest.raises(ArgumentError, match="'steep': every run diverged; accepted are smaller rates"):
        trace(steep, arms[:1])
    with pytest.raises(ArgumentError, match="'steep' without an optimizer"):
        trace(steep, [])
    with pytest.raises(ArgumentError, match="steps=0"):
        trace(steep, [parse_arm("Adam")], steps=0)
