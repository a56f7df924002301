"""Projections: feasible, nearest, idempotent, and no expansion, in the norm that they are meant in."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import ArgumentError
from waddington.optim.projection import (
    Ball,
    Box,
    Nonnegative,
    Simplex,
    as_set,
    ball_multiplier,
    project_ball,
    project_box,
    project_simplex,
)

property_settings = settings(deadline=None, max_examples=25)
number = st.floats(-1e3, 1e3)
weight = st.floats(-6.0, 6.0).map(lambda power: 10.0**power)
SETS = {
    "box": Box(-0.5, 2.0),
    "nonnegative": Nonnegative(),
    "ball": Ball(1.5, center=0.25),
    "simplex": Simplex(2.0),
}


@st.composite
def points(draw, count=2):
    """Give points of one dimension, and weights."""
    size = draw(st.integers(1, 12))
    rows = [draw(st.lists(number, min_size=size, max_size=size)) for _ in range(count)]
    weights = draw(st.lists(weight, min_size=size, max_size=size))
    return [torch.tensor(row, dtype=torch.float64) for row in (*rows, weights)]


def inside(kind, x, tolerance):
    """Move a projected point into its set where rounding has left it just outside; and tell how far that was."""
    if kind == "simplex":
        assert (x >= 0.0).all()
        assert abs(x.sum() - 2.0) <= tolerance
    elif kind == "ball":
        assert (x - 0.25).norm() <= 1.5 + tolerance
    else:
        low, high = (-0.5, 2.0) if kind == "box" else (0.0, math.inf)
        assert ((x >= low) & (x <= high)).all()


def norm(x, w):
    return (w * x.square()).sum().sqrt().item()


@property_settings
@pytest.mark.parametrize("kind", SETS)
@given(given_points=points())
def test_a_projection_is_feasible_idempotent_and_brings_no_two_points_further_apart(kind, given_points):
    a, b, w = given_points
    left, right = (SETS[kind].project(x, w) for x in (a, b))
    for x in (left, right):
        inside(kind, x, 1e-9)
    assert norm(SETS[kind].project(left, w) - left, w) <= 1e-9 * (1.0 + norm(left, w))
    assert norm(left - right, w) <= norm(a - b, w) * (1.0 + 1e-7) + 1e-9 * (norm(a, w) + norm(b, w))  # Lemma 2


@property_settings
@pytest.mark.parametrize("kind", SETS)
@given(given_points=points())
def test_no_point_of_the_set_is_nearer(kind, given_points):
    a, b, w = given_points
    nearest, other = SETS[kind].project(a, w), SETS[kind].project(b)
    product = (w * (a - nearest) * (other - nearest)).sum().item()
    assert product <= 1e-7 * (norm(a, w) + norm(nearest, w) + 1.0) * (norm(other, w) + norm(nearest, w) + 1.0)


@property_settings
@pytest.mark.parametrize("kind", SETS)
@given(given_points=points(1))
def test_equal_weights_are_the_euclidean_norm(kind, given_points):
    a, _ = given_points
    plain = SETS[kind].project(a)
    for factor in (1.0, 1e-3, 1e3):
        torch.testing.assert_close(SETS[kind].project(a, torch.full_like(a, factor)), plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["ball", "simplex"])
def test_scipy_finds_the_same_point(kind, weighted):
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    for size in (1, 2, 5):
        x, w = 3.0 * rng.standard_normal(size), np.exp(rng.standard_normal(size)) if weighted else np.ones(size)
        if kind == "simplex":
            bounds, constraint = [(0.0, None)] * size, {"type": "eq", "fun": lambda y: y.sum() - 2.0}
        else:
            bounds, constraint = None, {"type": "ineq", "fun": lambda y: 1.5**2 - ((y - 0.25) ** 2).sum()}
        found = optimize.minimize(
            lambda y, x=x, w=w: (w * (y - x) ** 2).sum(),
            np.full(size, 0.25),
            bounds=bounds,
            constraints=[constraint],
            options={"maxiter": 500, "ftol": 1e-14},
        )
        ours = SETS[kind].project(torch.tensor(x), torch.tensor(w) if weighted else None)
        np.testing.assert_allclose(ours.numpy(), found.x, atol=1e-5)


def test_the_multiplier_of_a_ball_puts_the_point_on_its_edge_over_twelve_decades_of_weights():
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-3, 1.0, 1e6):
        x = scale * torch.randn(50, generator=generator, dtype=torch.float64)
        w = 10.0 ** (12.0 * torch.rand(50, generator=generator, dtype=torch.float64) - 6.0)
        length = project_ball(x, 1e-3 * scale, weight=w).norm().item()
        assert length == pytest.approx(1e-3 * scale, rel=1e-10)


def test_a_point_inside_stays_to_the_last_bit():
    x = torch.tensor([0.1, -0.7, 0.3])
    assert torch.equal(project_ball(x, 1.0), x)
    assert torch.equal(project_ball(x, 1.0, weight=torch.tensor([1.0, 5.0, 0.1])), x)
    assert torch.equal(project_box(x, -1.0, torch.tensor([1.0, 2.0, 3.0])), x)
    assert ball_multiplier([x, x], None, 2.0) == 0.0


def test_several_tensors_can_be_one_point_of_a_ball():
    parts = [torch.tensor([3.0, 0.0], dtype=torch.float64), torch.tensor([[4.0]], dtype=torch.float64)]
    weights = [torch.ones(2, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)]
    for given_weights in (None, weights):
        assert ball_multiplier(parts, given_weights, 1.0).item() == pytest.approx(4.0)  # ‖(3, 0, 4)‖ = 5 = 1 + λ


def test_slices_of_a_simplex_are_points_of_their_own():
    x = torch.randn(4, 3, 2, dtype=torch.float64)
    w = torch.rand(4, 3, 2, dtype=torch.float64) + 0.1
    found = project_simplex(x, 1.0, dim=1, weight=w)
    for row in range(4):
        for column in range(2):
            alone = project_simplex(x[row, :, column], 1.0, weight=w[row, :, column])
            torch.testing.assert_close(found[row, :, column], alone)
    assert project_simplex(x, 1.0).sum().item() == pytest.approx(1.0)
    assert project_simplex(x, 1.0).shape == x.shape


def test_ties_and_points_far_away_are_no_trouble():
    torch.testing.assert_close(project_simplex(torch.zeros(4)), torch.full((4,), 0.25))
    torch.testing.assert_close(project_simplex(torch.tensor([1e8, -1e8, 0.0])), torch.tensor([1.0, 0.0, 0.0]))
    torch.testing.assert_close(project_ball(torch.tensor([1e30, 0.0])), torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("onto", [*SETS.values(), Simplex(3.0, dim=-1), Ball(2.0, over="group")])
def test_what_a_group_keeps_of_a_set_is_read_again(onto):
    assert as_set(onto.described()) == onto
    assert as_set(onto) is onto


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Box(1.0, 0.0), r"cannot use Box\(low=1.0, high=0.0\): low must be at most high"),
        (lambda: Box(math.nan, 1.0), "low must be at most high"),
        (lambda: Box(0.0, torch.tensor([1.0, -1.0])), "low must be at most high"),
        (lambda: Ball(0.0), "cannot use radius=0.0"),
        (lambda: Ball(over="model"), "'tensor', 'group'"),
        (lambda: Ball(center=math.nan), "cannot use center=nan: center must be finite"),
        (lambda: Ball(center=torch.tensor([0.0, math.inf])), "center must be finite"),
        (lambda: Ball(center="a"), "cannot use center='a': center must be a number or a tensor"),
        (lambda: Box(None, 1.0), "cannot use low=None: low must be a number or a tensor"),
        (lambda: Simplex(dim="a"), "cannot use dim='a': dim must be a whole number, or None"),
        (lambda: Simplex(dim=0.0), "cannot use dim=0.0"),
        (lambda: Simplex(math.inf), "cannot use total=inf"),
        (lambda: as_set("box"), r"cannot project onto 'box': accepted are Box\(low, high\)"),
        (lambda: as_set({"set": "cone"}), "accepted are Box"),
        (lambda: as_set({"set": "box"}), "accepted are Box"),
        (lambda: as_set({"set": "ball", "radius": 1.0, "size": 2}), "accepted are Box"),
        (lambda: as_set(3), "cannot project onto 3"),
    ],
)
def test_argument_errors(build, message):
    with pytest.raises(ArgumentError, match=message):
        build()
