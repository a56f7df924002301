from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from analysis.cases import build, dense, flat, loss_of, quadratic, value
from waddington.analysis import generalization_gap, group_norms, measure_step
from waddington.errors import ArgumentError


def test_a_step_has_the_correlation_and_sharpness_of_brute_force() -> None:
    model, loss = build("mlp"), loss_of("mlp")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    loss(model).backward()
    before, (grad, hessian) = flat(model), dense(model, loss)
    found = measure_step(model, loss, optimizer.step)
    update = before - flat(model)
    assert found.correlation == pytest.approx(float(update @ grad))
    assert found.sharpness == pytest.approx(float(update @ hessian @ update))
    assert found.length == pytest.approx(float(update.norm()))
    assert found.cosine == pytest.approx(float(update @ grad / update.norm() / grad.norm()))
    assert found.curvature == pytest.approx(found.sharpness / found.length**2)
    assert found.after == pytest.approx(float(loss(model).detach()))
    assert found.correlation > 0.0


def test_on_a_quadratic_the_decrease_is_what_both_foretell() -> None:
    model = quadratic([4.0, 2.0, 1.0, -0.5])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    model().backward()
    found = measure_step(model, value, optimizer.step)
    assert found.actual == pytest.approx(found.predicted)
    assert found.cosine == pytest.approx(1.0)


def test_a_step_of_length_zero_has_no_direction() -> None:
    found = measure_step(quadratic([1.0, 2.0]), value, lambda: None)
    assert (found.length, found.correlation, found.sharpness) == (0.0, 0.0, 0.0)
    assert np.isnan(found.cosine)
    assert np.isnan(found.curvature)


def test_an_error_after_the_step_leaves_the_parameters_behind_it() -> None:
    model = build("linear")

    def step() -> None:
        with torch.no_grad():
            model.weight.add_(1.0)

    wanted = model.weight.detach() + 1.0
    with pytest.raises(ArgumentError, match="depends on no parameter"):
        measure_step(model, lambda model: torch.tensor(1.0), step)
    assert torch.equal(model.weight.detach(), wanted)


def test_norms_by_group_and_by_tensor() -> None:
    model, loss = build("tied"), loss_of("tied")
    params = list(model.parameters())
    grad = dense(model, loss)[0]
    groups = [{"params": params[:1]}, {"params": params[1:2]}]
    found = group_norms(model, loss, torch.optim.SGD(groups, lr=0.1))
    assert found.names == ("group 0", "group 1", "not in the optimizer")
    assert found.sizes.tolist() == [16, 4, 4]
    np.testing.assert_allclose(found.gradient, [part.norm() for part in grad.split([16, 4, 4])])
    np.testing.assert_allclose(found.parameter, [param.detach().norm() for param in params])
    assert group_norms(model, loss).names == ("down.weight", "down.bias", "up.bias")


def test_the_generalization_gap_is_of_losses_that_are_measured_alike() -> None:
    model, x = build("dropout"), torch.ones(4, 4).double()
    loss: Any = lambda y: lambda model: nn.functional.cross_entropy(model(x), torch.full((4,), y))  # noqa: E731
    model.train()
    gap = generalization_gap(model, loss(0), loss(1))
    model.eval()
    assert gap == pytest.approx(float((loss(1)(model) - loss(0)(model)).detach()))
    assert generalization_gap(model, loss(0), loss(0), mode="train") == 0.0
