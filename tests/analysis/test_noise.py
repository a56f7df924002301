from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from analysis.cases import build, data, loss_of
from waddington.analysis import GradientNoise, gradient_noise, noise_from_norms, over_batches, pooled_noise_scale
from waddington.errors import ArgumentError


def mean_loss(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def test_examples_one_by_one_have_the_variance_of_their_gradients() -> None:
    """With batches of one, tr Σ is the sample variance and |G|² + tr Σ/n the squared norm of the mean."""
    model, (x, y) = build("mlp"), data()
    y = torch.zeros_like(y)  # labels that agree: a gradient that the noise does not hide
    grads = []
    for at in range(len(x)):
        parts = torch.autograd.grad(mean_loss(model, (x[at : at + 1], y[at : at + 1])), list(model.parameters()))
        grads.append(torch.cat([part.flatten() for part in parts]).numpy())
    rows = np.array(grads)
    found = gradient_noise(model, over_batches(mean_loss, list(zip(x.split(1), y.split(1), strict=True))), 1)
    variance = rows.var(axis=0, ddof=1).sum()
    assert found.variance == pytest.approx(variance)
    assert found.squared_norm == pytest.approx((rows.mean(0) ** 2).sum() - variance / len(x))
    assert found.noise_scale == pytest.approx(found.variance / found.squared_norm)
    assert (found.batches, found.batch_size) == (12, 1)


def test_both_estimates_are_unbiased() -> None:
    """Gradients drawn as g + noise/√b: means over many draws meet |g|² and tr Σ."""
    rng = np.random.default_rng(0)
    true, size, batches, batch_size = np.array([0.3, -0.4, 0.0]), 3, 4, 8
    drawn = true + rng.normal(size=(20_000, batches, size)) * 2.0 / np.sqrt(batch_size)
    found = [noise_from_norms((rows**2).sum(1), float((rows.mean(0) ** 2).sum()), batch_size) for rows in drawn]
    assert np.mean([each.squared_norm for each in found]) == pytest.approx(0.25, abs=0.01)
    assert np.mean([each.variance for each in found]) == pytest.approx(12.0, rel=0.02)
    assert pooled_noise_scale(found) == pytest.approx(48.0, rel=0.05)


def test_what_noise_hides_is_no_number() -> None:
    hidden = noise_from_norms([1.0, 1.0], 0.4, 4)
    assert hidden.squared_norm < 0.0
    assert np.isnan(hidden.noise_scale)
    assert np.isnan(pooled_noise_scale([hidden, GradientNoise(0.1, 1.0, 2, 4)]))


def test_one_loss_or_one_batch_is_not_enough() -> None:
    model, batch = build("mlp"), data()
    with pytest.raises(ArgumentError, match="cannot measure noise with one loss; accepted is over_batches"):
        gradient_noise(model, loss_of("mlp"), 12)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="noise with 1 batches; accepted: at least 2"):
        gradient_noise(model, over_batches(mean_loss, [batch]), 12)
    with pytest.raises(ArgumentError, match="cannot pool no measurements"):
        pooled_noise_scale([])


@pytest.mark.parametrize(
    ("squares", "mean_square", "batch_size", "said"),
    [
        ([], 1.0, 4, "with 0 batches"),
        ([1.0, 2.0], 1.0, 0, "batch_size=0"),
        ([1.0, 2.0], 1.0, 2.5, "batch_size=2.5"),
        ([1.0, 2.0], 1.6, 4, "squares with the mean 1.5 and mean_square=1.6: accepted are squared norms"),
        ([-1.0, 2.0], 0.1, 4, "accepted are squared norms"),
        ([1.0, 2.0], -0.1, 4, "accepted are squared norms"),
    ],
)
def test_numbers_that_are_no_squared_norms_are_refused(
    squares: list[float], mean_square: float, batch_size: int, said: str
) -> None:
    with pytest.raises(ArgumentError, match=said):
        noise_from_norms(squares, mean_square, batch_size)


def test_gradients_that_agree_have_no_noise() -> None:
    model = build("mlp")
    found = gradient_noise(model, over_batches(lambda model, _: loss_of("mlp")(model), [0, 1, 2]), 4)
    assert found.variance == pytest.approx(0.0, abs=1e-12 * found.squared_norm)
    assert found.noise_scale == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("make", [lambda x, y: (x, y), lambda x, y: {"x": x, "y": y}, lambda x, y: [[x], y]])
def test_batches_that_differ_in_size_are_refused(make: Any) -> None:
    x, y = data()
    batches = [make(*pair) for pair in zip(x.split(5), y.split(5), strict=True)]
    whole = over_batches(lambda model, _: loss_of("mlp")(model), batches)
    with pytest.raises(ArgumentError, match=r"batches of 2, 5 examples; accepted are batches of one size"):
        gradient_noise(build("mlp"), whole, 5)
    assert (
        gradient_noise(build("mlp"), over_batches(lambda model, _: loss_of("mlp")(model), batches[:2]), 5).batches == 2
    )
