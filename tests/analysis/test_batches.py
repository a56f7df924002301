"""Batches are walked through again and again, and nothing random moves with it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from analysis.cases import build, data
from waddington.analysis import over_batches, sharpness
from waddington.errors import ArgumentError


def mean_loss(model: nn.Module, batch: Any) -> torch.Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def test_making_a_loss_of_a_loader_draws_no_random_number() -> None:
    loader = DataLoader(TensorDataset(*data()), batch_size=5, shuffle=True)
    before = torch.get_rng_state()
    over_batches(mean_loss, loader)
    assert torch.equal(before, torch.get_rng_state())


def test_a_loader_with_a_generator_of_its_own_gives_one_loss_and_is_left_as_it_was() -> None:
    """The last batch is smaller, so another order would be another loss."""
    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(TensorDataset(*data()), batch_size=5, shuffle=True, generator=generator)
    whole, model, before = over_batches(mean_loss, loader), build("mlp"), generator.get_state()
    assert sharpness(model, whole) == sharpness(model, whole)
    assert whole.sizes == [5, 5, 2]
    assert torch.equal(before, generator.get_state())


@pytest.mark.parametrize("given", [None, 3, {1: 2}, "batches", b"batches"])
def test_what_holds_no_batches_is_refused(given: Any) -> None:
    with pytest.raises(ArgumentError, match=f"batches={type(given).__name__}: it does not hold batches"):
        over_batches(mean_loss, given)


def test_a_loss_is_a_function_and_there_is_a_batch() -> None:
    with pytest.raises(ArgumentError, match="loss=int: accepted is a function, loss"):
        over_batches(3, [1])  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="without a batch"):
        over_batches(mean_loss, [])(build("mlp"))
