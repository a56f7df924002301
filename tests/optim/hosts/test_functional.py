"""torch.func and its surroundings: gradients of any making are stepped on; a step inside a transform is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.func import functional_call, grad, jacrev, jvp, vmap

from optim.hosts.hosted import (
    SWITCHED,
    Hosted,
    assert_close,
    assert_equal,
    batch,
    each_hosted,
    loss_of,
    net,
    train,
    weights,
)
from waddington.errors import ArgumentError, UnsupportedError

X = torch.linspace(-1.0, 1.0, 4, dtype=torch.float64)

TRANSFORMS: dict[str, Callable[[Callable[[torch.Tensor], torch.Tensor]], Any]] = {
    "grad": lambda f: grad(lambda x: f(x).sum())(X),
    "grad of grad": lambda f: grad(lambda x: grad(lambda y: f(y).sum())(x).sum())(X),
    "vmap": lambda f: vmap(f)(X),
    "jvp": lambda f: jvp(f, (X,), (torch.ones_like(X),)),
    "jacrev": lambda f: jacrev(f)(X),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@each_hosted
def test_a_step_inside_a_transform_is_refused_and_changes_nothing(hosted: Hosted, transform):
    model, plain = net(), net()
    optimizer, other = hosted.build(model.parameters()), hosted.build(plain.parameters())
    for built, owner in ((optimizer, model), (other, plain)):
        train(owner, built, range(3))
        loss_of(owner, 3).backward()

    def stepping(x: torch.Tensor) -> torch.Tensor:
        optimizer.step()
        return x * x

    with pytest.raises(UnsupportedError, match=r"torch\.func"):
        transform(stepping)
    assert_equal(weights(model), weights(plain))
    optimizer.step()
    other.step()
    assert_equal(weights(model), weights(plain))
    assert optimizer.diagnostics() == other.diagnostics()


@each_hosted
def test_a_step_on_what_a_transform_tracks_is_refused(hosted: Hosted):
    """The parameter is the transform's own input, so there is no .grad and nothing to write to."""
    param = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = hosted.build([param])

    def stepping(x: torch.Tensor) -> torch.Tensor:
        param.grad = torch.ones_like(param)
        optimizer.step()
        return (param * x).sum()

    with pytest.raises(UnsupportedError, match=r"torch\.func"):
        grad(stepping)(X)
    assert torch.equal(param, torch.zeros_like(param))
    assert not optimizer.state


@each_hosted
def test_functional_gradients_are_gradients(hosted: Hosted):
    model, plain = net(), net()
    optimizer, other = hosted.build(model.parameters()), hosted.build(plain.parameters())
    for step in range(6):
        x, y = batch(step)

        def loss(params: dict[str, torch.Tensor], x: torch.Tensor = x, y: torch.Tensor = y) -> torch.Tensor:
            return torch.nn.functional.mse_loss(functional_call(model, params, (x,)), y)

        found = grad(loss)({name: param.detach() for name, param in model.named_parameters()})
        for name, param in model.named_parameters():
            param.grad = found[name]
        optimizer.step()
        train(plain, other, [step])
    assert_close(weights(model), weights(plain), rtol=1e-9)


@each_hosted
def test_gradients_of_single_samples_add_up(hosted: Hosted):
    model, plain = net(), net()
    optimizer, other = hosted.build(model.parameters()), hosted.build(plain.parameters())

    def loss(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(functional_call(model, params, (x,)), y)

    for step in range(6):
        params = {name: param.detach() for name, param in model.named_parameters()}
        samples = vmap(grad(loss), in_dims=(None, 0, 0))(params, *batch(step))
        for name, param in model.named_parameters():
            param.grad = samples[name].mean(0)
        optimizer.step()
        train(plain, other, [step])
    assert_close(weights(model), weights(plain), rtol=1e-9)


@each_hosted
def test_a_step_without_grad_is_no_step(hosted: Hosted):
    """Functional gradients that nobody stored in .grad: torch's optimizers pass by, and so do ours."""
    model = net()
    optimizer = hosted.build(model.parameters())
    before = weights(model)
    assert torch.autograd.grad(loss_of(model, 0), list(model.parameters()))
    optimizer.step()
    assert_equal(weights(model), before)
    assert not optimizer.state


@each_hosted
def test_a_tensor_that_is_no_leaf_is_refused(hosted: Hosted):
    leaf = torch.ones(3, requires_grad=True)
    with pytest.raises(ValueError, match="can't optimize a non-leaf Tensor"):
        hosted.build([leaf * 2])
    optimizer = hosted.build([leaf])
    with pytest.raises(ValueError, match="can't optimize a non-leaf Tensor"):
        optimizer.add_param_group({"params": [leaf * 2]})


@each_hosted
def test_gradients_with_a_graph_leave_none_in_the_state(hosted: Hosted):
    """backward(create_graph=True), as for gradient penalties and Hessians; the state must not hold on to the graph."""
    model, plain = net(), net()
    optimizer, other = hosted.build(model.parameters()), hosted.build(plain.parameters())
    for step in range(6):
        grads = torch.autograd.grad(loss_of(model, step), list(model.parameters()), create_graph=True)
        for param, found in zip(model.parameters(), grads, strict=True):
            assert found.requires_grad
            param.grad = found
        optimizer.step()
        train(plain, other, [step])
    assert_equal(weights(model), weights(plain))
    entries = [entry for state in optimizer.state.values() for entry in state.values() if torch.is_tensor(entry)]
    assert entries
    assert not any(entry.requires_grad for entry in entries)
    assert all(param.is_leaf and param.requires_grad for param in model.parameters())


@each_hosted
def test_a_penalty_on_the_gradient_trains(hosted: Hosted):
    model, plain = net(), net()
    optimizer, adam = hosted.build(model.parameters()), torch.optim.Adam(plain.parameters(), lr=1e-2)
    for chosen, owner in ((optimizer, model), (adam, plain)):
        for step in range(6):
            chosen.zero_grad()
            loss = loss_of(owner, step)
            slopes = torch.autograd.grad(loss, list(owner.parameters()), create_graph=True)
            (loss + 0.1 * sum(slope.square().sum() for slope in slopes)).backward()
            chosen.step()
    assert all(param.isfinite().all() for param in model.parameters())
    assert optimizer.diagnostics()["skipped_steps"] == 0


@each_hosted
def test_an_ensemble_of_stacked_parameters_trains(hosted: Hosted):
    members = [net(seed) for seed in range(3)]
    stacked = {
        name: torch.stack([member.get_parameter(name).detach() for member in members]).requires_grad_()
        for name, _ in members[0].named_parameters()
    }
    optimizer = hosted.build(stacked.values())
    by_hand = {name: param.detach().clone().requires_grad_() for name, param in stacked.items()}
    other = hosted.build(by_hand.values())
    for step in range(8):
        x, y = batch(step)
        optimizer.zero_grad()
        found = vmap(lambda params, x=x: functional_call(members[0], params, (x,)))(stacked)
        (found - y).square().mean(dim=(1, 2)).sum().backward()
        optimizer.step()
        other.zero_grad()
        for index in range(len(members)):
            one = functional_call(members[0], {name: param[index] for name, param in by_hand.items()}, (x,))
            torch.nn.functional.mse_loss(one, y).backward()
        other.step()
    for name in stacked:
        torch.testing.assert_close(stacked[name], by_hand[name], rtol=1e-9, atol=1e-12)


def test_a_differentiable_step_is_refused():
    with pytest.raises(ArgumentError, match="cannot use differentiable=True"):
        SWITCHED.factory(net().parameters(), differentiable=True)
