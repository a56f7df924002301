from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from analysis.cases import build, data, dense, flat, loss_of, quadratic, value
from waddington.analysis import eigenvalues, hessian_trace, sharpness, spectral_density, suggest_lr
from waddington.errors import ArgumentError, UnsupportedError

SPECTRUM = [4.0, 2.0, 1.0, 0.5, -0.25]


@pytest.mark.parametrize("name", ["mlp", "tied"])
def test_eigenvalues_are_those_of_the_dense_hessian(name: str) -> None:
    model, loss = build(name), loss_of(name)
    wanted = torch.linalg.eigvalsh(dense(model, loss)[1]).numpy()
    found = eigenvalues(model, loss, largest=3, smallest=2)
    np.testing.assert_allclose(found.largest, wanted[::-1][:3], atol=1e-6)
    np.testing.assert_allclose(found.smallest, wanted[:2], atol=1e-6)
    assert found.converged
    assert not found.preconditioned
    assert found.parameter_norm == pytest.approx(float(flat(model).norm()))


def test_a_quadratic_has_the_spectrum_that_it_was_made_of() -> None:
    found = eigenvalues(quadratic(SPECTRUM), value, largest=2, smallest=3)
    np.testing.assert_allclose(np.r_[found.largest, found.smallest], [4.0, 2.0, -0.25, 0.5, 1.0], atol=1e-9)


def test_logistic_regression_at_zero_has_a_quarter_of_the_data_second_moment() -> None:
    x, y = data()
    model = nn.Linear(4, 1, bias=False).double()
    nn.init.zeros_(model.weight)
    loss = lambda model: nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], (y > 0).double())  # noqa: E731
    wanted = torch.linalg.eigvalsh(0.25 * x.T @ x / len(x)).max()
    assert sharpness(model, loss) == pytest.approx(float(wanted), rel=1e-6)


def test_single_precision_agrees_with_double() -> None:
    wanted = eigenvalues(build("mlp"), loss_of("mlp"), largest=1, smallest=1)
    found = eigenvalues(build("mlp", torch.float32), loss_of("mlp", torch.float32), largest=1, smallest=1)
    np.testing.assert_allclose(np.r_[found.largest, found.smallest], np.r_[wanted.largest, wanted.smallest], rtol=1e-3)


def test_dropout_in_train_mode_has_a_symmetric_hessian_of_its_mask() -> None:
    found = [
        eigenvalues(build("dropout"), loss_of("dropout"), mode="train", seed=seed).largest[0] for seed in (0, 0, 1)
    ]
    assert found[0] == found[1]
    assert found[0] != pytest.approx(found[2], rel=1e-3)


def test_what_has_not_settled_warns_and_is_a_lower_bound() -> None:
    model = quadratic(np.linspace(0.0, 1.0, 60).tolist())
    found = eigenvalues(model, value, max_products=4)
    assert not found.converged
    assert found.largest[0] < 1.0
    with pytest.warns(UserWarning, match="has not settled after 4 products: it is at least 0.9"):
        sharpness(model, value, max_products=4)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"largest": 4, "smallest": 2}, "largest=4 and smallest=2: accepted are 1 to 5 together"),
        ({"largest": 0}, "largest=0 and smallest=0"),
        ({"smallest": -1}, "smallest=-1"),
        ({"tolerance": 0.0}, "tolerance=0.0"),
        ({"max_products": 0}, "max_products=0"),
    ],
)
def test_what_cannot_be_wanted(wanted: dict[str, float], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        eigenvalues(quadratic(SPECTRUM), value, **wanted)  # type: ignore[arg-type]


def test_the_trace_of_a_diagonal_is_exact_and_of_a_rotation_within_its_error() -> None:
    class Bowl(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.x = nn.Parameter(torch.ones(5).double())

    diagonal = hessian_trace(Bowl(), lambda model: 0.5 * (torch.tensor(SPECTRUM) * model.x**2).sum(), samples=4)
    assert diagonal.mean == pytest.approx(sum(SPECTRUM))
    assert diagonal.standard_error == pytest.approx(0.0, abs=1e-9)
    found = hessian_trace(quadratic(SPECTRUM), value, samples=200)
    assert 0.0 < found.standard_error < 0.4
    assert abs(found.mean - sum(SPECTRUM)) < 4.0 * found.standard_error


@pytest.mark.parametrize("measure", [sharpness, eigenvalues, suggest_lr, spectral_density])
def test_curvature_that_is_not_finite_is_not_measurable(measure: Any) -> None:
    model, loss = build("mlp"), loss_of("mlp")
    with pytest.raises(UnsupportedError, match="the loss is nan here and a product with its Hessian is not finite"):
        measure(model, lambda model: loss(model) * torch.nan)
    root = lambda model: model.weight.abs().sqrt().sum()  # noqa: E731 - a slope without end at zero
    at_zero = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(at_zero.weight)
    with pytest.raises(UnsupportedError, match="the loss is 0 here and a product"):
        measure(at_zero, root)


@pytest.mark.parametrize("measure", [sharpness, suggest_lr, spectral_density])
def test_an_optimizer_of_another_model_meets_no_curvature_of_this_one(measure: Any) -> None:
    model, other, loss = build("mlp"), build("mlp"), loss_of("mlp")
    optimizer = torch.optim.Adam(other.parameters())
    loss(other).backward()
    optimizer.step()
    with pytest.raises(ArgumentError, match="the optimizer moves no parameter of this model"):
        measure(model, loss, optimizer=optimizer)
    with pytest.raises(ArgumentError, match=r"optimizer=str: accepted is a torch.optim.Optimizer"):
        measure(model, loss, optimizer="Adam")


def test_a_default_device_moves_no_random_vector() -> None:
    model, loss = build("mlp"), loss_of("mlp")
    wanted = [sharpness(model, loss), hessian_trace(model, loss).mean, spectral_density(model, loss, steps=3).mean]
    with torch.device("meta"):
        found = [sharpness(model, loss), hessian_trace(model, loss).mean, spectral_density(model, loss, steps=3).mean]
    assert found == wanted
