"""What an optimizer divides by: held against the step that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from analysis.cases import build, dense, flat, loss_of, quadratic, value
from waddington import optim
from waddington.analysis import eigenvalues, sharpness, spectral_density, suggest_lr
from waddington.analysis.preconditioner import denominators, guess_of, inverse_roots, reference_rate
from waddington.errors import ArgumentError, UnsupportedError

Make = Callable[[Any], torch.optim.Optimizer]


def train(model: nn.Module, loss: Any, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.Adam(p, lr=1e-3, betas=(0.0, 0.99), eps=1e-3),
        lambda p: torch.optim.AdamW(p, lr=1e-3, betas=(0.0, 0.99), weight_decay=0.0),
        lambda p: torch.optim.Adam(p, lr=1e-3, betas=(0.0, 0.99), amsgrad=True),
        lambda p: torch.optim.RMSprop(p, lr=1e-3, alpha=0.9),
        lambda p: torch.optim.RMSprop(p, lr=1e-3, alpha=0.9, centered=True, eps=1e-3),
        lambda p: torch.optim.Adagrad(p, lr=1e-3),
        lambda p: torch.optim.Adagrad(p, lr=1e-3, lr_decay=0.1),
        lambda p: torch.optim.NAdam(p, lr=1e-3, betas=(0.0, 0.99)),
        lambda p: torch.optim.RAdam(p, lr=1e-3, betas=(0.0, 0.99)),  # not rectified yet
        lambda p: torch.optim.RAdam(p, lr=1e-3, betas=(0.0, 0.5)),
        lambda p: optim.ASGDAdam(p, lr=1e-3, alpha_min=1e-3, betas=(0.0, 0.99)),
        lambda p: optim.ASGDAMSGrad(p, lr=1e-3, alpha_min=1e-3, betas=(0.0, 0.99)),
        lambda p: optim.Padam(p, lr=1e-3, betas=(0.0, 0.99)),
        lambda p: optim.Padam(p, lr=1e-3, betas=(0.0, 0.99), bias_correction=True, p=0.25),
        lambda p: optim.AMVT(p, lr=1e-3, betas=(0.0, 0.99, 0.99)),
        lambda p: optim.AMVT(p, lr=1e-3, betas=(0.0, 0.99, 0.99), variance="moments"),
        lambda p: optim.AMGT(p, lr=1e-3, betas=(1e-9, 0.99), schedule="constant", eps_inside_root=True, eps=1e-3),
        lambda p: optim.Switched(torch.optim.Adam(p, lr=1e-3, betas=(0.0, 0.99)), alpha_min=1e-3),
    ],
)
def test_without_momentum_the_step_is_the_rate_times_the_gradient_over_the_denominator(make: Make) -> None:
    model, loss = build("mlp"), loss_of("mlp")
    optimizer = make(model.parameters())
    train(model, loss, optimizer)
    before, grad = flat(model), dense(model, loss)[0]
    train(model, loss, optimizer, steps=1)
    divisor = torch.cat([part.flatten() for part in denominators(optimizer, list(model.parameters()))])
    torch.testing.assert_close(before - flat(model), 1e-3 * grad / divisor, rtol=2e-3, atol=1e-9)


def test_adadelta_is_divided_by_its_gradients_over_its_steps() -> None:
    model, loss = build("mlp"), loss_of("mlp")
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1e-3, rho=1.0 - 1e-12, eps=1.0)
    train(model, loss, optimizer, steps=1)
    for state in optimizer.state.values():  # stays so: ρ is nearly 1
        state["square_avg"].fill_(8.0)
        state["acc_delta"].fill_(3.0)
    before, grad = flat(model), dense(model, loss)[0]
    train(model, loss, optimizer, steps=1)
    divisor = torch.cat([part.flatten() for part in denominators(optimizer, list(model.parameters()))])
    torch.testing.assert_close(divisor, torch.full_like(divisor, 1.5), rtol=1e-9, atol=0.0)
    torch.testing.assert_close(before - flat(model), 1e-3 * grad / divisor, rtol=1e-9, atol=1e-15)


def test_preconditioned_sharpness_is_that_of_the_dense_matrix() -> None:
    model, loss = build("mlp"), loss_of("mlp")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, eps=1e-3)
    train(model, loss, optimizer)
    divisor = torch.cat([part.flatten() for part in denominators(optimizer, list(model.parameters()))])
    wanted = torch.linalg.eigvals(dense(model, loss)[1] / divisor[:, None]).real.numpy()
    found = eigenvalues(model, loss, largest=1, smallest=1, optimizer=optimizer)
    np.testing.assert_allclose([found.largest[0], found.smallest[0]], [wanted.max(), wanted.min()], rtol=1e-5)
    assert found.preconditioned
    assert sharpness(model, loss, optimizer) == found.largest[0]


def test_what_an_optimizer_does_not_move_is_left_out() -> None:
    model = quadratic([4.0, 2.0, 1.0, 0.5])
    optimizer = torch.optim.Adam([model.first], betas=(0.9, 0.99), eps=1.0)
    train(model, value, optimizer)
    divisor = denominators(optimizer, [model.first])[0]
    block = model.matrix[:2, :2]  # type: ignore[index]
    wanted = torch.linalg.eigvals(block / divisor[:, None]).real
    found = eigenvalues(model, value, largest=1, smallest=1, optimizer=optimizer)
    np.testing.assert_allclose([found.largest[0], found.smallest[0]], [wanted.max(), wanted.min()], rtol=1e-6)
    with pytest.raises(ArgumentError, match="accepted are 1 to 2 together"):
        eigenvalues(model, value, largest=3, optimizer=optimizer)


def test_groups_with_rates_of_their_own() -> None:
    model = quadratic([1.0, 1.0, 1.0])
    optimizer = torch.optim.SGD([{"params": [model.first], "lr": 0.0}, {"params": [model.second], "lr": 0.5}])
    assert reference_rate(optimizer) == 0.5
    first, second = inverse_roots(optimizer, [model.first, model.second], preconditioned=False, relative_rates=True)
    assert (first.tolist(), second.tolist()) == ([0.0, 0.0], [1.0])
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    with pytest.raises(ArgumentError, match=r"rates \[0.0, 0.0\]: accepted is at least one above zero"):
        reference_rate(optimizer)


def test_what_has_no_denominator_says_why() -> None:
    model, loss = build("mlp"), loss_of("mlp")
    params = list(model.parameters())
    for fresh in (torch.optim.Adam(params), torch.optim.Adagrad(params), optim.ASGDAdam(params)):
        if isinstance(fresh, optim.ASGDAdam):
            fresh.init_state()  # as Adagrad, which has its state before its first step
        with pytest.raises(ArgumentError, match=f"{type(fresh).__name__}: it has not stepped with a parameter of"):
            denominators(fresh, params)
    with pytest.raises(ArgumentError, match="is in none of its groups"):
        denominators(torch.optim.Adam(params[:1]), params[1:])
    train(model, loss, optimizer := optim.LDAdam(params, rank=2))
    with pytest.raises(UnsupportedError, match="none is a second moment in the shape"):
        denominators(optimizer, params)
    for optimizer in (torch.optim.SGD(params, lr=0.1), optim.Averaged(torch.optim.SGD(params, lr=0.1, momentum=0.9))):
        train(model, loss, optimizer)
        with pytest.raises(UnsupportedError, match=r"SGD divides its steps by nothing.* accepted are no optimizer"):
            sharpness(model, loss, optimizer)


class Inherited(torch.optim.Adam):
    """Steps as Adam."""


class Own(torch.optim.Adam):
    """Has a step of its own."""

    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


def test_what_is_guessed_of_an_optimizer_is_said() -> None:
    model, loss = build("mlp"), loss_of("mlp")
    for make in (Inherited, optim.ASGDAdam, lambda p: optim.Averaged(optim.AMVT(p))):
        train(model, loss, optimizer := make(model.parameters()))
        assert guess_of(optimizer) is None
    train(model, loss, optimizer := optim.Masked(Own(model.parameters())))
    for measure in (sharpness, spectral_density):
        with pytest.warns(UserWarning, match="Own is neither torch's nor this package's: .* is guessed"):
            measure(model, loss, optimizer=optimizer)
    assert any("is guessed from the names" in note for note in suggest_lr(model, loss, optimizer).notes)
