"""A model and its loss are one function, and the model is left as it was."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from analysis.cases import build, data, dense, flat, loss_of
from waddington.analysis import hessian_vector_product, load_parameter_vector, over_batches, parameter_vector
from waddington.analysis.objective import evaluating
from waddington.errors import ArgumentError, UnsupportedError


def test_buffers_that_change_the_loss_are_the_same_at_every_evaluation() -> None:
    """Spectral normalization moves a buffer at each forward pass in training."""
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)), nn.Linear(4, 3)).double()
    with evaluating(model, loss_of("mlp"), mode="train") as objective:
        assert len({objective.value() for _ in range(4)}) == 1


@pytest.mark.parametrize("name", ["mlp", "linear", "tied", "batchnorm", "attention", "recurrent", "embedding"])
def test_gradients_and_products_are_those_of_brute_force(name: str) -> None:
    model, loss = build(name).eval(), loss_of(name)
    if name in ("recurrent", "embedding"):  # torch.func cannot take these apart
        vector = torch.linspace(-1.0, 1.0, flat(model).numel(), dtype=torch.float64)
        with evaluating(model, loss, order=2) as objective:
            center, product = objective.flat(objective.params), objective.hvp(vector)
            objective.place(center + 1e-5 * vector)
            ahead = objective.gradient()
            objective.place(center - 1e-5 * vector)
            torch.testing.assert_close(product, (ahead - objective.gradient()) / 2e-5, rtol=1e-6, atol=1e-8)
        return
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        grad, hessian = dense(model, loss)
    with evaluating(model, loss, order=2) as objective:
        torch.testing.assert_close(objective.gradient(), grad)
        for at in range(0, objective.size, 5):
            unit = torch.zeros(objective.size).double()
            unit[at] = 1.0
            torch.testing.assert_close(objective.hvp(unit), hessian[at])


def test_batchnorm_in_train_mode_is_differentiated_through_its_batch() -> None:
    model, loss = build("batchnorm"), loss_of("batchnorm")
    vector = torch.linspace(-1.0, 1.0, flat(model).numel(), dtype=torch.float64)
    with evaluating(model, loss, mode="train", order=2) as objective:
        center, product = objective.flat(objective.params), objective.hvp(vector)
        objective.place(center + 1e-5 * vector)
        ahead = objective.gradient()
        objective.place(center - 1e-5 * vector)
        torch.testing.assert_close(product, (ahead - objective.gradient()) / 2e-5, rtol=1e-5, atol=1e-8)


def test_dropout_is_one_mask_for_every_evaluation_and_another_for_another_seed() -> None:
    model, loss = build("dropout"), loss_of("dropout")
    values = {}
    for seed in (0, 1):
        with evaluating(model, loss, mode="train", seed=seed) as objective:
            values[seed] = {objective.value() for _ in range(3)}
            assert len(values[seed]) == 1
    assert values[0] != values[1]


def test_the_mean_over_batches_is_the_loss_of_all_of_them() -> None:
    model, (x, y) = build("mlp"), data()
    vector = torch.linspace(-1.0, 1.0, flat(model).numel(), dtype=torch.float64)
    batches = list(zip(x.split(4), y.split(4), strict=True))
    by_batch = over_batches(lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1]), batches)
    torch.testing.assert_close(by_batch(model), loss_of("mlp")(model))
    found = [hessian_vector_product(model, loss, vector) for loss in (loss_of("mlp"), by_batch)]
    torch.testing.assert_close(found[0], found[1])
    with evaluating(model, by_batch, order=1) as pieces, evaluating(model, loss_of("mlp"), order=1) as whole:
        torch.testing.assert_close(pieces.gradient(), whole.gradient())
        assert pieces.value() == pytest.approx(whole.value())


def test_a_shuffling_loader_gives_the_same_batches_every_time() -> None:
    x, y = data()
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, y), batch_size=5, shuffle=True, drop_last=True
    )
    loss = over_batches(lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1]), loader)
    with evaluating(build("mlp"), loss) as objective:
        assert len({objective.value() for _ in range(3)}) == 1


def test_a_shared_parameter_counts_once_and_a_frozen_one_not_at_all() -> None:
    assert parameter_vector(build("tied")).numel() == 16 + 4 + 4
    model = build("mlp")
    model[0].bias.requires_grad_(False)  # type: ignore[union-attr, operator]
    assert parameter_vector(model).numel() == flat(build("mlp")).numel() - 5
    with evaluating(model, loss_of("mlp"), order=2) as objective:
        assert objective.names == ["0.weight", "2.weight", "2.bias"]
        assert objective.hvp(torch.ones(objective.size)).shape == (objective.size,)


def test_a_vector_of_parameters_is_loaded_where_it_came_from() -> None:
    model = build("tied", torch.float32)
    model.up.bias.requires_grad_(False)  # type: ignore[union-attr, operator]
    before = parameter_vector(model)
    load_parameter_vector(model, torch.arange(20.0).double())
    assert parameter_vector(model).tolist() == list(range(20))
    assert model.up.weight is model.down.weight  # type: ignore[union-attr]
    load_parameter_vector(model, before)
    assert torch.equal(parameter_vector(model), before)
    with pytest.raises(ArgumentError, match=r"accepted is the shape \(20,\)"):
        load_parameter_vector(model, torch.zeros(24))


def test_parameters_of_two_dtypes_meet_in_the_wider_one() -> None:
    model = build("mlp", torch.float32)
    model[2].double()  # type: ignore[operator]
    x, y = data(torch.float32)
    loss = lambda model: nn.functional.cross_entropy(model[2](model[1](model[0](x)).double()), y)  # noqa: E731
    with evaluating(model, loss, order=2) as objective:
        assert objective.hvp(torch.ones(objective.size)).dtype == torch.float64


def test_what_the_loss_does_not_reach_or_bends_nowhere_has_curvature_zero() -> None:
    model = build("linear")
    loss = lambda model: model.weight.sum()  # noqa: E731
    assert not hessian_vector_product(model, loss, torch.ones(15)).any()


def test_graphs_are_gone_when_the_block_has_ended() -> None:
    """`backward(create_graph=True)` would keep them alive through `.grad`."""
    model, plain = build("mlp"), loss_of("mlp")
    alive: list[weakref.ref[torch.Tensor]] = []

    def loss(model: nn.Module) -> torch.Tensor:
        found = plain(model)
        alive.append(weakref.ref(found))
        return found

    gc.disable()
    try:
        hessian_vector_product(model, loss, torch.ones(flat(model).numel()))
        assert not [ref for ref in alive if ref() is not None]
    finally:
        gc.enable()
    assert all(param.grad is None for param in model.parameters())


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_gradients_can_be_asked_for_where_they_are_off(around: Any) -> None:
    model, loss = build("mlp"), loss_of("mlp")
    with around():
        assert hessian_vector_product(model, loss, torch.ones(43)).any()


def test_a_surrounding_autocast_is_off_and_one_of_the_loss_is_refused() -> None:
    model, loss = build("mlp", torch.float32), loss_of("mlp", torch.float32)
    plain = hessian_vector_product(model, loss, torch.ones(43))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(plain, hessian_vector_product(model, loss, torch.ones(43)))

    def mixed(model: nn.Module) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return loss(model)

    with pytest.raises(UnsupportedError, match=r"half precision: aten.* gives torch.bfloat16; accepted is a"):
        hessian_vector_product(model, mixed, torch.ones(43))
    with evaluating(model, mixed) as objective:  # a surface needs no second derivative
        assert np.isfinite(objective.value())


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2.0

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad * 2.0


def forever() -> Iterator[int]:
    yield from range(3)


def checkpointed(reentrant: bool) -> Any:
    x = torch.ones(2, 4, dtype=torch.float64, requires_grad=True)
    return lambda model: checkpoint(model, x, use_reentrant=reentrant).square().sum()


def drawing(batches: Iterator[int]) -> Any:
    return lambda model: model.weight.square().sum() * next(batches)


def complex_model() -> nn.Module:
    return nn.Linear(2, 2, dtype=torch.complex64)


@pytest.mark.parametrize(
    ("model", "loss", "error", "said"),
    [
        (build("linear").requires_grad_(False), loss_of("linear"), ArgumentError, "no parameter requires grad"),
        (build("linear"), lambda m: 3.0, ArgumentError, "a loss that gives float"),
        (build("linear"), lambda m: m.weight, ArgumentError, r"gives shape \(3, 4\), torch.float64"),
        (build("linear"), lambda m: m.weight.detach().sum(), ArgumentError, "depends on no parameter"),
        (
            build("linear"),
            drawing(iter(range(1, 9))),
            ArgumentError,
            "at the same parameters; accepted is a loss on fixed",
        ),
        (build("linear"), over_batches(lambda m, b: m.weight.sum(), []), ArgumentError, "without a batch"),
        (nn.LazyLinear(3), lambda m: m.weight.sum(), ArgumentError, "has no shape yet"),
        (complex_model(), lambda m: m.weight.abs().sum(), UnsupportedError, "'weight': it is complex"),
        (build("linear", torch.bfloat16), loss_of("linear", torch.bfloat16), UnsupportedError, "it is torch.bfloat16"),
        (
            build("linear"),
            lambda m: Once.apply(m.weight).square().sum(),
            UnsupportedError,
            "once_differentiable; accepted",
        ),
        (build("linear"), checkpointed(True), UnsupportedError, "reentrant checkpoint; accepted is checkpoint"),
    ],
)
def test_what_is_no_function_or_has_no_second_derivative_is_refused(
    model: nn.Module, loss: Any, error: type[Exception], said: str
) -> None:
    size = sum(p.numel() for p in model.parameters() if p.requires_grad and not isinstance(model, nn.LazyLinear))
    with pytest.raises(error, match=said):
        hessian_vector_product(model, loss, torch.ones(size))


def test_a_checkpoint_that_is_not_reentrant_is_differentiated_twice() -> None:
    model, vector = build("linear"), torch.linspace(-1.0, 1.0, 15).double()
    plain = lambda model: model(torch.ones(2, 4).double()).square().sum()  # noqa: E731
    found = [hessian_vector_product(model, loss, vector) for loss in (checkpointed(False), plain)]
    torch.testing.assert_close(*found)


def test_batches_that_can_be_walked_through_once_are_refused() -> None:
    with pytest.raises(ArgumentError, match="generator: it can be walked through once"):
        over_batches(lambda model, batch: model.weight.sum(), forever())


def test_a_vector_of_another_length_and_a_mode_that_is_none_are_refused() -> None:
    with pytest.raises(
        ArgumentError, match=r"the model has 15 coordinates that require grad; accepted is the shape \(15,\)"
    ):
        hessian_vector_product(build("linear"), loss_of("linear"), torch.ones(3))
    with pytest.raises(ArgumentError, match="mode='test'"):
        hessian_vector_product(build("linear"), loss_of("linear"), torch.ones(15), mode="test")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, None])
def test_a_seed_is_one_that_every_generator_takes(seed: Any) -> None:
    with pytest.raises(ArgumentError, match=r"cannot use seed=.*: seed must be a whole number in \[0, 4294967295\]"):
        hessian_vector_product(build("linear"), loss_of("linear"), torch.zeros(15), seed=seed)


def test_a_loss_of_another_model_is_refused_and_is_no_zero() -> None:
    model, other, loss = build("mlp"), build("mlp"), loss_of("mlp")
    with pytest.raises(ArgumentError, match="it depends on no parameter of the model that requires grad"):
        hessian_vector_product(model, lambda _: loss(other), torch.ones(43))
    with evaluating(model, lambda _: loss(other), order=1) as objective, pytest.raises(ArgumentError, match="depends"):
        objective.gradient()


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(ArgumentError, match="loss=Tensor: accepted is a function of the model"):
        hessian_vector_product(build("mlp"), torch.ones(()), torch.ones(43))  # type: ignore[arg-type]


def test_a_small_loss_that_is_no_function_is_refused_all_the_same() -> None:
    model, loss, scale = build("linear"), loss_of("linear"), iter([1.0, 2.0, 3.0])
    with pytest.raises(ArgumentError, match=r"gives .* and then .* at the same parameters"):
        hessian_vector_product(model, lambda model: 1e-9 * next(scale) * loss(model), torch.zeros(15))


def test_a_loss_that_differentiates_the_model_itself_is_one_like_others() -> None:
    """As a differential equation's: u' = u, of a line u = ax + b at x = 0 and 1."""
    model = nn.Linear(1, 1).double()

    def residual(model: nn.Module) -> torch.Tensor:
        x = torch.tensor([[0.0], [1.0]], dtype=torch.float64, requires_grad=True)
        u = model(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        return (slope - u).square().mean()

    # slope - u is a - b at 0 and -b at 1.
    wanted = torch.tensor([[1.0, -1.0], [-1.0, 2.0]], dtype=torch.float64)
    for loss in (residual, over_batches(lambda model, _: residual(model), [0, 1])):
        for row in range(2):
            found = hessian_vector_product(model, loss, torch.eye(2, dtype=torch.float64)[row])
            torch.testing.assert_close(found, wanted[row])
        with evaluating(model, loss) as objective:
            assert objective.value() == pytest.approx(float(residual(model).detach()))


def test_an_error_in_a_loss_is_its_own() -> None:
    with pytest.raises(RuntimeError, match="does not require grad"), evaluating(build("mlp"), broken):
        pass


def broken(model: nn.Module) -> torch.Tensor:
    return torch.autograd.grad(torch.ones((), requires_grad=False), list(model.parameters()))[0].sum()
