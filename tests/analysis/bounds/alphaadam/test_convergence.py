"""Theorem 3.8: as printed and mended, against a bowl and a small net on digits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from waddington.analysis.bounds import judge
from waddington.analysis.bounds.alphaadam import Descent, convergence_bound, fitted_bound, masked_gradient_norm
from waddington.errors import ArgumentError
from waddington.optim import AlphaAdam

DESCENT = Descent(dimension=4, smoothness=2.0, lr=0.01, betas=(0.5, 0.9))


def test_the_mended_bound_by_hand() -> None:
    bound = convergence_bound(DESCENT, 5.0, least_loss=1.0)
    lost = (0.01 * DESCENT.slack + DESCENT.bend) * math.log(100.0 / 2.0) + 4.0
    assert bound(100.0) == pytest.approx(math.sqrt(10.0) * lost / (2.0 * 0.01 * (math.sqrt(101.0) - math.sqrt(3.0))))
    assert bound(2.0) == math.inf  # before t0 = 3
    assert bound.trivial == pytest.approx(math.sqrt(2.0 * 4.0 * 2.0 * 5.0))
    assert sum(float(term(np.array(100.0))) for term in bound.terms.values()) == pytest.approx(float(bound(100.0)))
    since = bound.useful_from()
    assert bound(0.99 * since) > bound.trivial > bound(1.01 * since)


def test_the_printed_bound_by_hand() -> None:
    bound = convergence_bound(DESCENT, 5.0, form="printed")
    lost = (DESCENT.slack + DESCENT.bend) * math.log(101.0 / 3.0) + 5.0
    assert bound(100.0) == pytest.approx(math.sqrt(10.0) / 2.0 * lost / (10.0 - math.sqrt(2.0)))


def test_the_sums_of_the_proof_are_bounded_the_wrong_way() -> None:
    t = np.arange(14, 2001)
    assert (1.0 / t).sum() > math.log(2001 / 14)  # the paper has <=
    assert (1.0 / t).sum() < math.log(2000 / 13)
    assert (t**-0.5).sum() < 2.0 * (math.sqrt(2000) - math.sqrt(13))  # the paper has >=
    assert (t**-0.5).sum() > 2.0 * (math.sqrt(2001) - math.sqrt(14))


def test_a_small_rate_violates_the_printed_bound_and_not_the_mended() -> None:
    # f = x²/2 from 1 with a rate of 1e-9: after 100 steps the gradient is still 1
    descent = Descent(dimension=1, smoothness=1.0, lr=1e-9)
    steps, norm = np.arange(14.0, 101.0), np.ones(87)
    options = {"full_batch": True, "exact_smoothness": True, "eps": 0.0}
    printed = judge(convergence_bound(descent, 0.5, form="printed", **options), steps, norm)
    assert not printed.holds
    assert printed.first_violation == 20.0  # √10/2 · ½ / (√T - √13) is below 1
    assert not printed.violated  # it is the bound that is wrong, no assumption
    assert judge(convergence_bound(descent, 0.5, **options), steps, norm).holds


def test_assumptions_that_a_setting_lacks_are_named() -> None:
    descent = Descent(dimension=4, smoothness=2.0, lr=0.01, betas=(0.96, 0.9), multiplier=(1.0, 4.0))
    found = {
        each.name: each.holds
        for each in convergence_bound(descent, 1.0, least_loss=-1.0, start=20, full_batch=False, eps=1e-8).assumptions
    }
    assert found == {
        "decays": False,
        "a bare update": False,
        "full batch": False,
        "smoothness": None,
        "non-negative loss": False,
        "an ε of zero": False,
        "late start": False,
    }
    unknown = {each.name for each in convergence_bound(DESCENT, 1.0).assumptions if each.holds is None}
    assert unknown == {"full batch", "smoothness", "an ε of zero"}


def test_the_norm_over_the_mask_by_hand() -> None:
    model = nn.Linear(2, 1, bias=False).double()
    optimizer = AlphaAdam(model.parameters(), strict_mask=True)
    for grad in ([1.0, -1.0], [0.5, 2.0]):
        model.weight.grad = torch.tensor([grad]).double()
        optimizer.step()
    # m = 0.9 (0.1, -0.1) + 0.1 (0.5, 2) = (0.14, 0.11)
    model.weight.grad = torch.tensor([[3.0, -1.0]]).double()
    assert masked_gradient_norm(model, optimizer) == (3.0, 4.0, 0.5)
    model.weight.grad = torch.tensor([[0.0, -1.0]]).double()
    assert masked_gradient_norm(model, optimizer) == (0.0, 1.0, 0.0)
    assert masked_gradient_norm(model, optimizer, strict=False).kept == 0.5
    model.weight.grad = None
    assert masked_gradient_norm(model, optimizer).whole == 0.0
    with pytest.raises(ArgumentError, match="no state"):
        masked_gradient_norm(model, AlphaAdam(model.parameters()))


def test_a_small_net_on_digits_descends_at_the_rate_and_the_bound_says_nothing() -> None:
    table = load_digits()
    x, y = torch.as_tensor(table.data[:100] / 16.0), torch.as_tensor(table.target[:100])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, 10)).double()
    options = {"strict_mask": True, "compensation": "none", "bias_correction": False}
    optimizer = AlphaAdam(model.parameters(), lr=0.05, **options)
    norms, losses = [], []
    for step in range(1, 301):
        optimizer.param_groups[0]["lr"] = 0.05 / math.sqrt(step)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        losses.append(float(loss.detach()))
        if step > 1:
            norms.append(masked_gradient_norm(model, optimizer))
        optimizer.step()
    steps, curve = np.arange(2.0, 301.0), np.minimum.accumulate([each.masked for each in norms])
    fitted = judge(fitted_bound(steps, curve, until=20.0), steps, curve)
    assert fitted.holds
    assert fitted.tightest == pytest.approx(1.0)
    assert np.mean([each.kept for each in norms]) > 0.5  # the norm is of most coordinates
    descent = Descent(dimension=64 * 6 + 6 + 70, smoothness=1.0, lr=0.05)
    late = slice(descent.start - 2, None)
    theorem = judge(
        convergence_bound(descent, losses[descent.start - 1], full_batch=True, eps=1e-8),
        steps[late],
        np.minimum.accumulate([each.masked for each in norms[late]]),
    )
    assert theorem.holds
    assert theorem.is_vacuous
    assert not theorem.confirms


def test_what_is_refused() -> None:
    with pytest.raises(ArgumentError, match="start=1"):
        convergence_bound(DESCENT, 1.0, start=1)
    with pytest.raises(ArgumentError, match="first_loss=0"):
        convergence_bound(DESCENT, 0.0, least_loss=1.0)
    with pytest.raises(ArgumentError, match="form='other'"):
        convergence_bound(DESCENT, 1.0, form="other")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="steps from 2 on"):
        fitted_bound([1.0, 2.0], [1.0, 1.0], until=10.0)
    with pytest.raises(ArgumentError, match="at least one of them up to there"):
        fitted_bound([20.0, 30.0], [1.0, 1.0], until=10.0)
