from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from analysis.cases import build, flat
from waddington.analysis import path_directions, random_directions
from waddington.errors import ArgumentError


def parts(model: nn.Module, row: torch.Tensor) -> dict[str, torch.Tensor]:
    named = list(model.named_parameters())
    pieces = row.split([param.numel() for _, param in named])
    return {name: piece.view(param.shape) for (name, param), piece in zip(named, pieces, strict=True)}


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ConvTranspose2d(3, 2, 2), nn.Flatten(), nn.Linear(8, 4)
    ).double()


def test_every_filter_has_the_norm_of_the_models_own() -> None:
    model = network()
    with torch.no_grad():
        model[4].weight[1].zero_()  # type: ignore[union-attr, index, operator]
    own = dict(model.named_parameters())
    for row in random_directions(model, 2):
        found = parts(model, row)
        for name, over in {"0.weight": (1, 2, 3), "2.weight": (0, 2, 3), "4.weight": (1,)}.items():
            length = [torch.linalg.vector_norm(part.detach(), dim=over) for part in (found[name], own[name])]
            torch.testing.assert_close(*length)
        for name in ("0.bias", "1.weight", "1.bias", "2.bias", "4.bias"):
            assert not found[name].any()


def test_by_layer_each_tensor_has_its_norm_and_by_none_numbers_are_normal() -> None:
    model = build("mlp")
    found = parts(model, random_directions(model, 1, normalize="layer")[0])
    for name in ("0.weight", "2.weight"):
        torch.testing.assert_close(found[name].norm(), dict(model.named_parameters())[name].detach().norm())
    plain = random_directions(nn.Linear(50, 50), 1, normalize="none")
    assert (float(plain.mean()), float(plain.std())) == (pytest.approx(0.0, abs=0.1), pytest.approx(1.0, abs=0.1))


def test_a_seed_gives_the_same_directions_and_leaves_the_generator_alone() -> None:
    model, state = build("mlp"), torch.get_rng_state()
    first, second = random_directions(model, 2, seed=3), random_directions(model, 2, seed=4)
    assert torch.equal(first, random_directions(model, 2, seed=3))
    assert not torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


def test_a_model_without_weights_has_no_direction() -> None:
    with pytest.raises(ArgumentError, match="two dimensions that is not zero; accepted is normalize='none'"):
        random_directions(nn.LayerNorm(4), 1)


def test_directions_of_a_path_are_its_principal_components() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(9, 30)) @ np.diag([9.0, 4.0, *[0.1] * 28])
    found = path_directions(torch.as_tensor(points), 2)
    moved = points - points.mean(0)
    _, values, rows = np.linalg.svd(moved, full_matrices=False)
    np.testing.assert_allclose(np.abs(found.directions.numpy() @ rows[:2].T), np.eye(2), atol=1e-6)
    np.testing.assert_allclose(found.shares, values[:2] ** 2 / (values**2).sum())
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(2), atol=1e-9)


def test_a_path_in_a_plane_lies_in_it_whole() -> None:
    steps = torch.linspace(0.0, 1.0, 7).double()
    basis = torch.randn(2, 12, generator=torch.Generator().manual_seed(0)).double()
    found = path_directions(torch.stack([steps, steps**2], dim=1) @ basis, 2)
    assert found.shares.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("points", "count", "said"),
    [
        (torch.zeros(2, 5), 2, r"of points of shape \(2, 5\): accepted is \(T, n\), T > 2"),
        (torch.zeros(5), 1, r"of shape \(5,\)"),
        (torch.zeros(4, 5), 1, "1 directions of a path that moves along fewer"),
        (torch.arange(4.0)[:, None] * torch.ones(5), 2, "2 directions of a path that moves along fewer"),
    ],
)
def test_what_is_no_path(points: torch.Tensor, count: int, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        path_directions(points, count)


@given(st.integers(0, 10_000), st.integers(1, 3))
def test_shares_fall_and_never_pass_one(seed: int, count: int) -> None:
    points = torch.randn(6, 8, generator=torch.Generator().manual_seed(seed)).double()
    shares = path_directions(points, count).shares
    assert (np.diff(shares) <= 1e-12).all()
    assert 0.0 < shares.sum() <= 1.0 + 1e-9


def test_a_flat_vector_of_the_model_has_as_many_coordinates() -> None:
    assert random_directions(build("tied"), 3).shape == (3, flat(build("tied")).numel())


def test_directions_are_at_least_in_single_precision_whatever_is_given() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        found = random_directions(build("mlp", dtype), 1)
        assert found.dtype == torch.float32
        assert float(found.norm()) == pytest.approx(float(random_directions(build("mlp"), 1).norm()), rel=1e-2)
    whole = torch.randint(-9, 9, (6, 8), generator=torch.Generator().manual_seed(0))
    for points in (whole, whole.numpy(), whole.bfloat16()):
        plane = path_directions(points, 2)
        assert plane.directions.dtype == torch.float32
        np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-6)
        np.testing.assert_allclose(plane.shares, path_directions(whole.double(), 2).shares)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_shares_do_not_depend_on_the_scale_of_a_path(scale: float) -> None:
    points = torch.randn(6, 8, generator=torch.Generator().manual_seed(0)).double()
    np.testing.assert_allclose(path_directions(points * scale, 2).shares, path_directions(points, 2).shares)


def test_a_path_that_left_the_numbers_is_refused() -> None:
    points = torch.ones(5, 3)
    points[4] = torch.inf
    with pytest.raises(ArgumentError, match="1 of 5 points are not finite"):
        path_directions(points)


def test_a_seed_is_a_whole_number() -> None:
    for seed in (-1, 0.5, None):
        with pytest.raises(ArgumentError, match="seed must be a whole number"):
            random_directions(build("mlp"), seed=seed)  # type: ignore[arg-type]
