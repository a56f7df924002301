"""LDAdam: its reference, its subspaces, what it owes, what it weighs, and the contract of every optimizer."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from optim.training import assert_same, make_gradients, make_model, make_params, run, train
from reference.ldadam import ldadam
from waddington.errors import ArgumentError
from waddington.optim import registry
from waddington.optim.ldadam import LDAdam, carry_moments, is_projected, leading_basis, next_basis

SHAPES = [(4, 3), (5,), (), (2, 3, 2), (0, 4), (6, 9), (5, 5), (1, 7)]
SMALL = {"lr": 1e-2, "rank": 2}
VARIANTS = {
    "defaults": {"lr": 1e-2},
    "rank 1": {"lr": 1e-2, "rank": 1, "betas": (0.9, 0.999)},
    "rank 2": SMALL,
    "rank 4": {"lr": 1e-2, "rank": 4},
    "no feedback": {**SMALL, "error_feedback": False},
    "rho 0": {**SMALL, "rho": 0.0},
    "decay": {**SMALL, "weight_decay": 0.1},
    "betas": {**SMALL, "betas": (0.0, 0.0)},
}


def problem(steps=30, dtype=torch.float64):
    return make_params(dtype, shapes=SHAPES), make_gradients(steps, shapes=SHAPES)


def twin(params):
    return [param.detach().clone().requires_grad_() for param in params]


def sample(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rotation(size, seed=0):
    return torch.linalg.qr(sample(size, size, seed=seed)).Q


# -- mathematics --


@pytest.mark.parametrize("kwargs", VARIANTS.values(), ids=VARIANTS)
def test_equals_its_float64_reference(kwargs):
    # Without momentum the subspace of noise turns so fast that rounding grows tenfold in ten steps.
    params, gradients = problem(15 if kwargs.get("rho") == 0.0 else 45)
    trajectory, rates = ldadam([param.detach().numpy().copy() for param in params], gradients, **kwargs)
    optimizer = LDAdam(params, **kwargs)
    for t, grads in enumerate(gradients):
        run(optimizer, params, [grads])
        assert optimizer.diagnostics()["base_rate"] == rates[t]
        for param, expected in zip(params, trajectory[t], strict=True):
            np.testing.assert_allclose(param.detach().numpy(), expected, rtol=0.0, atol=1e-11)


@pytest.mark.parametrize("rank", [None, 16, 6])
def test_what_has_nothing_to_save_is_adam(rank):
    params, gradients = problem()
    plain = twin(params)
    run(LDAdam(params, lr=1e-2, rank=rank, betas=(0.9, 0.99)), params, gradients)
    run(torch.optim.Adam(plain, lr=1e-2, betas=(0.9, 0.99)), plain, gradients)
    for a, b in zip(params, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
def test_gradients_in_one_row_are_adams(shape):
    """The subspace is that row's, and stays: nothing is carried, nothing is owed."""
    params = [torch.zeros(shape, dtype=torch.float64, requires_grad=True)]
    plain = twin(params)
    one = np.zeros(shape)
    one[(2, slice(None)) if shape == (4, 6) else (slice(None), 2)] = 1.0
    gradients = [[one * g] for (g,) in make_gradients(30, shapes=[shape])]
    optimizer = LDAdam(params, lr=1e-2, rank=1)
    run(optimizer, params, gradients)
    run(torch.optim.Adam(plain, lr=1e-2, betas=(0.908, 0.99)), plain, gradients)
    torch.testing.assert_close(params[0], plain[0], rtol=1e-11, atol=1e-13)
    assert optimizer.state[params[0]]["error"].abs().max() < 1e-12


def test_the_rows_coordinates_do_not_matter():
    """Adam would go elsewhere if the rows were mixed; the subspace is found in any coordinates."""
    turn, start = rotation(5), sample(5, 8)
    left, right = start.clone().requires_grad_(), (turn @ start).requires_grad_()
    gradients = [g for (g,) in make_gradients(30, shapes=[(5, 8)])]
    run(LDAdam([left], **SMALL), [left], [[g] for g in gradients])
    run(LDAdam([right], **SMALL), [right], [[turn.numpy() @ g] for g in gradients])
    torch.testing.assert_close(turn @ left, right, rtol=1e-9, atol=1e-11)


def test_a_tall_matrix_is_its_transpose():
    tall, lying = sample(8, 5).requires_grad_(), sample(8, 5).T.clone().requires_grad_()
    gradients = [g for (g,) in make_gradients(20, shapes=[(8, 5)])]
    run(LDAdam([tall], **SMALL), [tall], [[g] for g in gradients])
    run(LDAdam([lying], **SMALL), [lying], [[g.T] for g in gradients])
    torch.testing.assert_close(tall.T, lying, rtol=1e-10, atol=1e-12)


# -- subspaces --


def test_the_first_subspace_is_that_of_the_leading_singular_vectors():
    matrix = sample(6, 9)
    basis = leading_basis(matrix, 2)
    largest = torch.linalg.svdvals(matrix)[:2].square().sum()
    torch.testing.assert_close((basis.T @ matrix).square().sum(), largest)
    assert torch.equal(leading_basis(torch.full((3, 4), torch.nan), 2), torch.eye(3)[:, :2])


def test_power_iteration_converges_to_the_leading_singular_vectors():
    matrix, basis = sample(6, 9), torch.eye(6, dtype=torch.float64)[:, :2]
    for _ in range(200):
        basis = next_basis(matrix, basis)
    update = leading_basis(matrix, 2)
    torch.testing.assert_close(basis @ basis.T, update @ update.T)


@pytest.mark.parametrize("name", ["full", "of rank 1", "zero"])
def test_bases_are_orthonormal_whatever_the_gradient(name):
    param = torch.zeros(6, 9, dtype=torch.float64, requires_grad=True)
    optimizer = LDAdam([param], lr=1e-2, rank=3)
    for step in range(10):
        grad = {"full": sample(6, 9, seed=step), "of rank 1": sample(6, 1, seed=step) @ sample(1, 9), "zero": param * 0}
        run(optimizer, [param], [[grad[name].detach().numpy()]])
        basis = optimizer.state[param]["projector"]
        torch.testing.assert_close(basis.T @ basis, torch.eye(3, dtype=torch.float64))
    assert torch.isfinite(param).all()


def test_moments_stay_where_the_subspace_stays():
    exp_avg, exp_avg_sq, weights = (
        0.1 * sample(3, 4),
        sample(3, 4, seed=1).square(),
        (torch.tensor(0.3), torch.tensor(0.2)),
    )
    weights = tuple(weight.double() for weight in weights)
    found = carry_moments(exp_avg, exp_avg_sq, torch.eye(3, dtype=torch.float64), weights)
    torch.testing.assert_close(found, (exp_avg, exp_avg_sq))
    order = torch.eye(3, dtype=torch.float64)[[2, 0, 1]]
    torch.testing.assert_close(
        carry_moments(exp_avg, exp_avg_sq, order, weights), (exp_avg[[2, 0, 1]], exp_avg_sq[[2, 0, 1]])
    )
    nothing = carry_moments(exp_avg * 0, exp_avg_sq * 0, order, (weights[0] * 0, weights[1] * 0))
    assert not nothing[0].any()
    assert not nothing[1].any()


def test_carried_moments_are_those_of_uncorrelated_gradients():
    mean, spread = torch.tensor([[1.0], [-2.0]]).double(), torch.tensor([[0.5], [3.0]]).double()
    change = rotation(2)
    gradients = mean[None] + spread[None] * sample(400_000, 2, 1)
    turned = change @ gradients
    one = torch.ones((), dtype=torch.float64)
    found = carry_moments(mean, mean.square() + spread.square(), change, (one, one))
    torch.testing.assert_close(found[0], turned.mean(dim=0), rtol=0.0, atol=0.02)
    torch.testing.assert_close(found[1], turned.square().mean(dim=0), rtol=0.01, atol=0.0)


# -- error feedback --


@pytest.mark.parametrize("shape", [(5, 8), (8, 5)])
def test_what_is_not_applied_is_owed(shape):
    """Σ g = Σ P m + e + β1/(1-β1) P m after every step, though the subspace moves."""
    param = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    optimizer = LDAdam([param], **SMALL)
    given, applied = torch.zeros(2, *shape, dtype=torch.float64)
    state = optimizer.state[param]
    for step in range(40):
        grad = sample(*shape, seed=step)
        given += grad
        run(optimizer, [param], [[grad.numpy()]])
        momentum = state["projector"] @ state["exp_avg"]
        momentum = momentum if shape == (5, 8) else momentum.T
        applied += momentum
        owed = state["error"] + 0.908 / (1 - 0.908) * momentum
        torch.testing.assert_close(applied + owed, given, rtol=1e-11, atol=1e-11)
    assert state["error"].norm() > 0.1


def test_small_directions_have_their_turn():
    """A gradient of rank 2 in a subspace of rank 1: the lesser direction is followed only because it is owed."""
    left, right = rotation(4)[:, :2], rotation(6, seed=1)[:, :2]
    moved = {}
    for error_feedback in (True, False):
        param = torch.zeros(4, 6, dtype=torch.float64, requires_grad=True)
        optimizer = LDAdam([param], lr=1e-2, rank=1, error_feedback=error_feedback)
        for step in range(200):
            noisy = left @ torch.diag(torch.tensor([1.0, 0.4]).double()) @ right.T + 1e-3 * sample(4, 6, seed=step)
            run(optimizer, [param], [[noisy.numpy()]])
        moved[error_feedback] = -torch.diagonal(left.T @ param.detach() @ right)
    assert (moved[True] > 0.2).all()
    assert moved[False][0] > 0.2
    assert moved[False][1] < 0.1 * moved[True][1]


# -- diagnostics --


@pytest.mark.parametrize("shape", [(5, 8), (8, 5)])
@pytest.mark.parametrize("error_feedback", [True, False])
def test_figures_are_those_of_the_last_step(shape, error_feedback):
    param = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    optimizer = LDAdam([param], **SMALL, error_feedback=error_feedback)
    optimizer.record()
    for step in range(7):
        grad = sample(*shape, seed=step)
        run(optimizer, [param], [[grad.numpy()]])
        state, lying = optimizer.state[param], grad if shape == (5, 8) else grad.T
        inside = state["projector"] @ state["projector"].T @ lying
        debt = state["error"].square().sum().item() if error_feedback else 0.0
        figures = optimizer.diagnostics()
        assert figures["subspace_energy"] == pytest.approx((inside.norm() / grad.norm()).item() ** 2)
        assert figures["debt_energy"] == pytest.approx(debt / grad.square().sum().item())
    assert 0.0 < figures["subspace_energy"] < 1.0


def test_gradients_within_the_subspace_leave_no_debt():
    param = torch.zeros(6, 9, requires_grad=True)
    optimizer = LDAdam([param], **SMALL)
    optimizer.record()
    run(optimizer, [param], [[(sample(6, 2) @ sample(2, 9)).float().numpy()]] * 10)
    assert optimizer.diagnostics()["subspace_energy"] == pytest.approx(1.0, rel=1e-5)
    assert optimizer.diagnostics()["debt_energy"] < 1e-8


def test_what_takes_adam_has_its_whole_gradient_and_no_debt():
    params, gradients = problem()
    optimizer = LDAdam([("vector", params[1]), ("matrix", params[5])], **SMALL)
    optimizer.record()
    run(optimizer, [params[1], params[5]], [[grads[1], grads[5]] for grads in gradients])
    figures = optimizer.tensor_diagnostics()
    assert (figures["vector"]["subspace_energy"], figures["vector"]["debt_energy"]) == (1.0, 0.0)
    assert figures["matrix"]["subspace_energy"] < 1.0 < figures["matrix"]["debt_energy"]


# -- memory --


@pytest.mark.parametrize("shape", [(64, 256), (256, 64)])
def test_state_is_low_dimensional(shape):
    sizes = {}
    for name, build in {
        "adam": lambda p: torch.optim.Adam(p),
        "owing": lambda p: LDAdam(p, rank=8),
        "bare": lambda p: LDAdam(p, rank=8, error_feedback=False),
    }.items():
        param = torch.zeros(shape, requires_grad=True)
        optimizer = build([param])
        run(optimizer, [param], [[sample(*shape).numpy()]])
        state = optimizer.state[param]
        sizes[name] = sum(v.numel() * v.element_size() for k, v in state.items() if k not in ("step", "skipped_steps"))
    assert sizes["adam"] == 8 * 64 * 256
    assert sizes["bare"] == 4 * 8 * (64 + 2 * 256)
    assert sizes["owing"] == sizes["bare"] + 4 * 64 * 256
    assert sizes["bare"] < 0.15 * sizes["adam"]
    assert sizes["owing"] < 0.65 * sizes["adam"]


def test_others_hold_nothing_but_adams_moments():
    params, gradients = problem(2)
    optimizer = LDAdam(params, **SMALL)
    run(optimizer, params, gradients)
    for param in params:
        state = optimizer.state[param]
        if not is_projected(param, 2):
            assert state["exp_avg"].shape == param.shape
            assert state["projector"].numel() == state["error"].numel() == 0
    assert [is_projected(param, 2) for param in params] == [True, False, False, False, False, True, True, False]


# -- the contract --


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("error_feedback", [True, False])
def test_a_loaded_state_resumes_bit_for_bit(dtype, error_feedback):
    kwargs = {**SMALL, "error_feedback": error_feedback}
    params, gradients = problem(40, dtype)
    optimizer = LDAdam(params, **kwargs)
    run(optimizer, params, gradients[:17])
    resumed = twin(params)
    fresh = LDAdam(resumed, **kwargs)
    stream = io.BytesIO()
    torch.save(optimizer.state_dict(), stream)
    stream.seek(0)
    fresh.load_state_dict(torch.load(stream, weights_only=True))
    for param, other in zip(params, resumed, strict=True):
        for name, value in optimizer.state[param].items():
            assert fresh.state[other][name].dtype == value.dtype
            assert torch.equal(fresh.state[other][name], value)
    run(optimizer, params, gradients[17:])
    run(fresh, resumed, gradients[17:])
    assert_same(params, resumed)


def test_adams_state_is_taken_over_where_it_fits_and_refused_where_not():
    vector, matrix = torch.ones(5, requires_grad=True), torch.ones(4, 6, requires_grad=True)
    adam, optimizer = torch.optim.Adam([vector]), LDAdam([vector], **SMALL)
    run(adam, [vector], [[np.ones(5)]])
    optimizer.load_state_dict(adam.state_dict())
    assert torch.equal(optimizer.state[vector]["exp_avg"], adam.state[vector]["exp_avg"])
    optimizer.step()
    assert optimizer.state[vector]["step"].item() == 2
    adam, optimizer = torch.optim.Adam([matrix]), LDAdam([matrix], **SMALL)
    run(adam, [matrix], [[np.ones((4, 6))]])
    with pytest.raises(ArgumentError, match=r"cannot load exp_avg of shape \(4, 6\).*must have the shape \(2, 6\)"):
        optimizer.load_state_dict(adam.state_dict())
    assert not optimizer.state


@pytest.mark.parametrize("shape", [(4, 3), (7,), ()])
@pytest.mark.parametrize("rank", [1, 2])
def test_complex_tensors_take_adam(shape, rank):
    start = torch.view_as_complex(sample(*shape, 2))
    left, right = start.clone().requires_grad_(), torch.view_as_real(start).clone().requires_grad_()
    a, b = LDAdam([left], lr=1e-2, rank=rank), LDAdam([right], lr=1e-2, rank=None)
    for step in range(15):
        right.grad = sample(*shape, 2, seed=step)
        left.grad = torch.view_as_complex(right.grad)
        a.step()
        b.step()
    assert torch.equal(torch.view_as_real(left.detach()), right.detach())


def test_groups_may_differ_in_rank():
    params, gradients = problem()
    optimizer = LDAdam([{"params": params[:5]}, {"params": params[5:], "rank": None}], **SMALL)
    run(optimizer, params, gradients)
    assert optimizer.state[params[0]]["exp_avg"].shape == (2, 4)
    assert optimizer.state[params[5]]["exp_avg"].shape == (6, 9)


def test_fits_a_network():
    model, x, y = make_model()
    start = torch.nn.functional.mse_loss(model(x), y).item()
    optimizer = LDAdam(model.parameters(), lr=2e-2, rank=2)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, 300)
    for step in range(300):
        train(model, optimizer, x, y, 1, seed=step)
        scheduler.step()
    assert torch.nn.functional.mse_loss(model(x), y).item() < 0.01 * start


def test_low_precision_parameters_have_float32_state():
    params, gradients = problem(3, torch.bfloat16)
    optimizer = LDAdam(params, **SMALL)
    run(optimizer, params, gradients)
    assert all(param.dtype == torch.bfloat16 for param in params)
    assert {value.dtype for name, value in optimizer.state[params[5]].items()} == {torch.float32}


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"rank": 0}, r"cannot use rank=0: rank must be a whole number of at least 1, or None for Adam"),
        ({"rank": 2.0}, r"cannot use rank=2.0"),
        ({"rho": 1.0}, r"cannot use rho=1.0: rho must be a number in \[0, 1\)"),
        ({"rho": -0.1}, r"cannot use rho=-0.1"),
        ({"error_feedback": "yes"}, r"cannot use error_feedback='yes'"),
        ({"betas": (1.0, 0.9)}, r"cannot use betas\[0\]=1.0"),
        ({"eps": -1.0}, r"cannot use eps=-1.0"),
    ],
)
def test_argument_errors_name_argument_value_and_range(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        LDAdam(problem()[0], **kwargs)


def test_is_known_by_name():
    param = torch.zeros(4, 4, requires_grad=True)
    assert type(registry.build("ldadam", [param])) is LDAdam
    assert registry.build("LDAdam", [param], rank=2).param_groups[0]["rank"] == 2
