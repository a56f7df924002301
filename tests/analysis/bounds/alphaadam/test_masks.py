"""Both masks on one gradient: one lies in the other, and what that does to GC; then along a run on digits."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import nn

from waddington.analysis import measure_step
from waddington.analysis.bounds.alphaadam import (
    MaskComparison,
    compare_masks,
    correlation_gap,
    expected_agreement,
    mask_shares,
    masked_updates,
)
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim import AlphaAdam

values = st.one_of(st.just(0.0), st.floats(-1e6, 1e6), st.floats(-1e-200, 1e-200))
rows = st.lists(st.tuples(values, values, st.floats(0.0, 1e6)), min_size=1, max_size=30)
decays = st.tuples(st.floats(0.0, 0.999), st.floats(0.0, 0.9999))


def columns(drawn: list[tuple[float, float, float]]) -> list[torch.Tensor]:
    return list(torch.tensor(drawn, dtype=torch.float64).T)


@settings(deadline=None, max_examples=100)
@given(rows, decays)
def test_the_asynchronous_mask_lies_in_the_synchronous_and_never_has_the_higher_correlation(drawn, betas) -> None:
    grad, exp_avg, exp_avg_sq = columns(drawn)
    pair = masked_updates(grad, exp_avg, exp_avg_sq, betas=betas)
    assert bool((pair.asynchronous <= pair.synchronous).all())
    terms = correlation_gap(grad, pair)
    assert bool((terms >= 0.0).all())
    # exactly, of the numbers that the arrays hold: the sum over S1 is that over S2 and the terms
    products = [Fraction(float(a)) * Fraction(float(b)) for a, b in zip(grad, pair.update, strict=True)]
    over = [
        sum((p for p, kept in zip(products, mask, strict=True) if kept > 0), Fraction(0))
        for mask in (pair.synchronous, pair.asynchronous)
    ]
    only = [p for p, a, b in zip(products, pair.synchronous, pair.asynchronous, strict=True) if a > b]
    assert over[0] - over[1] == sum(only, Fraction(0)) >= 0
    assert math.fsum(terms.tolist()) == pytest.approx(float(sum(only, Fraction(0))), rel=1e-12)


def test_the_gap_by_hand() -> None:
    # m_t = 0.9 m + 0.1 g: the second coordinate turns around, from -0.1 to 0.01; the third does not, from -1 to -0.8
    grad, exp_avg = torch.tensor([1.0, 1.0, 1.0]).double(), torch.tensor([2.0, -0.1, -1.0]).double()
    pair = masked_updates(grad, exp_avg, torch.ones(3).double(), betas=(0.9, 0.999), eps=0.0)
    assert pair.synchronous.tolist() == [1.0, 1.0, 0.0]
    assert pair.asynchronous.tolist() == [1.0, 0.0, 0.0]
    assert pair.update.tolist() == pytest.approx([1.9, 0.01, -0.8])
    assert correlation_gap(grad, pair).tolist() == pytest.approx([0.0, 0.01, 0.0])


def test_masks_of_other_gradients_are_refused() -> None:
    pair = masked_updates(torch.ones(2), torch.ones(2), torch.ones(2))
    with pytest.raises(ArgumentError, match="2 coordinates are kept by the asynchronous one alone"):
        correlation_gap(torch.ones(2), pair._replace(synchronous=torch.zeros(2)))


@settings(deadline=None, max_examples=50)
@given(st.floats(0.01, 0.99), st.floats(0.0, 1.0, exclude_min=True, exclude_max=True))
def test_the_term_that_the_proof_takes_for_negative_is_positive(beta1: float, share: float) -> None:
    correlation = -share * (1.0 - beta1) / beta1  # all that the proof allows
    assert expected_agreement(beta1, correlation) >= 0.0
    assert expected_agreement(0.9, -0.05) == pytest.approx(0.055)


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    table = load_digits()
    return torch.as_tensor(table.data[:400] / 16.0), torch.as_tensor(table.target[:400])


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 10)).double()


def test_both_masks_along_a_run_on_digits() -> None:
    x, y = digits()
    model, generator = net(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    full = lambda model: nn.functional.cross_entropy(model(x), y)  # noqa: E731
    found = []
    for step in range(80):
        at = torch.randint(len(x), (50,), generator=generator)
        loss = lambda model, at=at: nn.functional.cross_entropy(model(x[at]), y[at])  # noqa: E731
        if step and step % 8 == 0:
            found.append(compare_masks(model, loss, optimizer, full_loss=full))
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
    for each in found:
        assert each.only_asynchronous == 0.0
        assert each.only_synchronous == pytest.approx(each.kept[0] - each.kept[1])
        assert each.correlation[0, 0] - each.correlation[0, 1] == pytest.approx(each.gap, rel=1e-9)
    shares = mask_shares(found)
    assert shares.losses == ("batch", "full")
    assert shares.correlation[0].tolist() == [0.0, 0.0]  # GC_async > GC_sync, of the batch: nowhere
    assert shares.correlation[1, 0] < 0.5
    assert (shares.sharpness > 0.7).all()
    assert mask_shares(found, uphill=True).correlation[0].tolist() == [1.0, 1.0]
    assert shares.points == 9


@pytest.mark.parametrize("mask", ["synchronous", "asynchronous"])
def test_the_masked_update_is_what_the_optimizer_does(mask: str, tmp_path) -> None:
    x, y = digits()
    model = net()
    loss = lambda model: nn.functional.cross_entropy(model(x[:60]), y[:60])  # noqa: E731
    options = {"mask": mask, "compensation": "full", "alpha_max": 2.0}
    optimizer = AlphaAdam(model.parameters(), lr=1e-2, **options)
    for _ in range(5):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
    found = compare_masks(model, loss, optimizer, compensation="full", alpha_max=2.0)
    optimizer.zero_grad()
    loss(model).backward()
    taken = measure_step(model, loss, optimizer.step)
    column = ["synchronous", "asynchronous"].index(mask)
    assert 0.01 * found.correlation[0, column] == pytest.approx(taken.correlation, rel=1e-6)
    assert 1e-4 * found.sharpness[0, column] == pytest.approx(taken.sharpness, rel=1e-6)
    assert 0.01 * found.length[column] == pytest.approx(taken.length, rel=1e-6)
    again = MaskComparison.load(found.save(tmp_path / "found.npz"))
    np.testing.assert_array_equal(again.correlation, found.correlation)
    with pytest.raises(ArgumentError, match="cannot count over comparisons"):
        mask_shares([])


def test_optimizers_without_moments_are_refused() -> None:
    model = net()
    x, y = digits()
    loss = lambda model: nn.functional.cross_entropy(model(x), y)  # noqa: E731
    with pytest.raises(ArgumentError, match=r"no state of '0\.weight'; accepted: after a step"):
        compare_masks(model, loss, torch.optim.AdamW(model.parameters()))
    partly = torch.optim.AdamW(model[0].parameters())
    loss(model).backward()
    partly.step()
    with pytest.raises(ArgumentError, match=r"'2\.weight' is in none of its groups"):
        compare_masks(model, loss, partly)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    sgd.step()
    with pytest.raises(UnsupportedError, match="accepted: optimizers that keep exp_avg and exp_avg_sq"):
        compare_masks(model, loss, sgd)
