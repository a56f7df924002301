from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from analysis.cases import build, data, flat, loss_of, quadratic, value
from waddington.analysis import (
    PathRecorder,
    interpolate,
    loss_landscape,
    path_directions,
    project,
    random_directions,
)
from waddington.errors import ArgumentError

SPECTRUM = [4.0, 2.0, 1.0, -0.5]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_surface_of_a_quadratic_is_its_formula(count: int) -> None:
    model = quadratic(SPECTRUM)
    directions = torch.randn(count, 4, generator=torch.Generator().manual_seed(0)).double()
    points = [5, 4, 3][:count]
    said: list[tuple[int, int]] = []
    found = loss_landscape(model, value, directions, span=0.7, points=points, progress=lambda *at: said.append(at))
    assert found.loss.shape == tuple(points)
    center = flat(model).numpy()
    for at in np.ndindex(*points):
        x = center + np.array([axis[i] for axis, i in zip(found.axes, at, strict=True)]) @ directions.numpy()
        assert found.loss[at] == pytest.approx(0.5 * x @ model.matrix.numpy() @ x)
    assert found.center_loss == pytest.approx(float(model().detach()))
    assert [axis[[0, -1]].tolist() for axis in found.axes] == [[-0.7, 0.7]] * count
    assert said == [(done, len(said)) for done in range(1, int(np.prod(points)) + 1)]


def test_the_model_is_left_as_it_was_to_the_bit_also_after_an_error() -> None:
    model, plain = build("batchnorm", torch.float32), loss_of("batchnorm", torch.float32)
    model.train()
    before = {name: part.clone() for name, part in model.state_dict().items()}
    directions, calls = random_directions(model, 2), []

    def loss(model: nn.Module) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 9:
            raise ZeroDivisionError("injected")
        return plain(model)

    for _ in range(2):
        if calls:
            loss_landscape(model, plain, directions, points=3, mode="train")
        else:
            with pytest.raises(ZeroDivisionError, match="injected"):
                loss_landscape(model, loss, directions, points=3, mode="train")
        assert model.training
        assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())


def test_a_grid_is_widened_to_hold_the_paths_and_they_lie_where_they_were() -> None:
    model = quadratic(SPECTRUM)
    directions = torch.eye(4).double()[:2] * 2.0
    path = flat(model) + torch.tensor([[0.0, 0, 0, 0], [8.0, -2, 3, 0], [2.0, 2, 0, 0]]).double()
    found = loss_landscape(
        model, value, directions, span=[(-1.0, 1.0), (-2.0, 0.5)], points=3, paths={"run": path}, names=("a", "b")
    )
    np.testing.assert_allclose(found.paths["run"], [[0.0, 0.0], [4.0, -1.0], [1.0, 1.0]])
    np.testing.assert_allclose(found.distances["run"], [0.0, 3.0, 0.0])
    np.testing.assert_allclose([axis[[0, -1]] for axis in found.axes], [[-1.0, 4.4], [-2.0, 1.2]])
    assert found.names == ("a", "b")


@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(3, 7))
def test_projections_are_nearest_points_and_meet_what_lies_in_the_plane(seed: int, count: int, size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows, center, inside = (torch.randn(n, size, generator=generator).double() for n in (count, 1, 4))
    weights = torch.randn(5, count, generator=generator).double()
    coordinates, distances = project(center[0] + weights @ rows, center[0], rows)
    np.testing.assert_allclose(coordinates, weights, atol=1e-6)
    np.testing.assert_allclose(distances, 0.0, atol=1e-6)
    coordinates, distances = project(inside, center[0], rows)
    left = inside - center - torch.as_tensor(coordinates) @ rows
    np.testing.assert_allclose(left @ rows.T, 0.0, atol=1e-6)
    np.testing.assert_allclose(distances, left.norm(dim=1), atol=1e-9)


def test_a_run_on_its_own_plane_ends_in_the_middle_of_the_picture() -> None:
    model = quadratic([3.0, 2.0, 1.0])
    optimizer, points = torch.optim.SGD(model.parameters(), lr=0.1), [flat(model)]
    for _ in range(12):
        optimizer.zero_grad()
        model().backward()
        optimizer.step()
        points.append(flat(model))
    path = torch.stack(points)
    plane = path_directions(path, 2)
    found = loss_landscape(model, value, plane.directions, span=0.1, points=5, paths={"SGD": path}, shares=plane.shares)
    np.testing.assert_allclose(found.paths["SGD"][-1], 0.0, atol=1e-12)
    assert found.shares is not None
    assert found.shares.sum() > 0.98
    assert found.distances["SGD"].max() < 0.2 * float((path[0] - path[-1]).norm())


def test_losses_that_are_no_number_are_kept() -> None:
    model = quadratic([1.0, 1.0, 1.0])
    loss = lambda model: model.first.sum().sub(2.5).log()  # noqa: E731
    found = loss_landscape(model, loss, torch.eye(3)[:1].double(), points=5)
    assert np.isnan(found.loss[:3]).all()
    assert np.isfinite(found.loss[4])


def test_between_two_states_ends_are_exact_and_running_statistics_go_along() -> None:
    first, last, x = build("batchnorm"), build("batchnorm"), data()[0]
    last.train()
    for at, param in enumerate(last.parameters()):
        param.data.add_(0.1 * at)
    for _ in range(3):
        last(x + 1.0)
    loss = loss_of("batchnorm")
    ends = [float(loss(model.eval()).detach()) for model in (first, last)]
    model = build("batchnorm")
    before = {name: part.clone() for name, part in model.state_dict().items()}
    found = interpolate(model, loss, first.state_dict(), last.state_dict(), points=3)
    assert found.loss[[0, 2]].tolist() == ends
    assert found.center_loss == ends[0]
    middle = {
        name: part.lerp(last.state_dict()[name], 0.5) if part.is_floating_point() else part
        for name, part in first.state_dict().items()
    }
    model.load_state_dict(middle)
    assert found.loss[1] == pytest.approx(float(loss(model.eval()).detach()))
    model.load_state_dict(before)
    by_vector = interpolate(model, loss, flat(first), flat(last), points=3)
    assert by_vector.loss[0] == ends[0]
    assert by_vector.loss[2] != ends[1]  # the model's own running statistics
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())
    beyond = interpolate(model, loss, flat(first), flat(last), points=4, beyond=0.5)
    np.testing.assert_allclose(beyond.axes[0], np.linspace(-0.5, 1.5, 4))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"directions": torch.ones(4)}, r"of shape \(4,\) and torch.float32: accepted are one to three of 4 real"),
        ({"directions": torch.eye(4)[:2] * 1j}, "torch.complex64: accepted are one to three of 4 real coordinates"),
        ({"directions": torch.ones(4, 4)}, r"of shape \(4, 4\)"),
        ({"directions": torch.ones(2, 3)}, r"of shape \(2, 3\)"),
        ({"directions": torch.ones(2, 4)}, "not finite or not independent"),
        ({"directions": torch.full((1, 4), torch.nan)}, "not finite or not independent"),
        ({"span": -1.0}, "span=-1.0"),
        ({"span": torch.inf}, "span=inf: accepted is a finite number above zero"),
        ({"span": None}, "span=None"),
        ({"span": "wide"}, "span='wide'"),
        ({"span": (1, 2)}, r"span=\(1, 2\): accepted is a finite number above zero, or 2 pairs"),
        ({"span": 1e-20}, "direction 1: in the precision of the parameters both ends are the same"),
        ({"span": [(0.0, 1.0)]}, r"span=\[\(0.0, 1.0\)\]: accepted is a finite number above zero, or 2 pairs"),
        ({"points": (3, 3, 3)}, r"points=\(3, 3, 3\): accepted is one number, or 2"),
        ({"points": 1}, "points=1"),
        ({"points": 3.0}, "points=3.0"),
        ({"names": ["one"]}, r"names=\['one'\]: accepted is one for each of 2 directions"),
        ({"names": "ab"}, "names='ab'"),
        ({"shares": np.ones(3)}, "shares=.*: accepted is one for each of 2 directions"),
        ({"paths": [torch.ones(2, 4)]}, "paths=list: accepted are paths by name"),
        ({"paths": {"a": torch.ones(2, 3)}}, r"paths\['a'\] of shape \(2, 3\).* of shape \(T, 4\)"),
        ({"paths": {"a": torch.full((2, 4), torch.nan)}}, r"paths\['a'\]: 2 of 2 points are not finite"),
    ],
)
def test_what_is_no_grid(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        loss_landscape(quadratic(SPECTRUM), value, **{"directions": torch.eye(4)[:2], "points": 3, **settings})


def test_states_that_do_not_fit_are_named() -> None:
    model, loss = build("linear"), loss_of("linear")
    with pytest.raises(ArgumentError, match="end: it lacks bias; accepted is a state_dict of the model"):
        interpolate(model, loss, model.state_dict(), {"weight": model.weight})
    with pytest.raises(ArgumentError, match="start: weight have another shape"):
        interpolate(model, loss, {"weight": torch.ones(2, 2), "bias": torch.ones(3)}, model.state_dict())


def test_directions_may_differ_much_in_length() -> None:
    found = loss_landscape(quadratic(SPECTRUM), value, torch.eye(4)[:2] * torch.tensor([[1.0], [1e-9]]), points=3)
    assert found.loss.shape == (3, 3)


def test_snapshots_of_a_path_are_taken_as_they_are() -> None:
    model = quadratic(SPECTRUM)
    recorder = PathRecorder(model)
    for _ in range(3):
        recorder.record()
        model.first.data.mul_(0.5)
    snapshots = recorder.path().snapshots
    plane = path_directions(snapshots, 1)
    found = loss_landscape(model, value, plane.directions, points=3, paths={"run": snapshots}, shares=plane.shares)
    np.testing.assert_allclose(
        np.diff(found.paths["run"][:, 0]) ** 2, np.diff(snapshots, axis=0)[:, :2].__pow__(2).sum(1)
    )
    with pytest.raises(ArgumentError, match=r"center=\(3,\): accepted is a tensor of shape \(4,\)"):
        project(snapshots, torch.ones(3), plane.directions)
    with pytest.raises(ArgumentError, match="not independent"):
        project(snapshots, torch.ones(4), torch.ones(2, 4))


def test_between_two_states_frozen_parameters_go_along_and_come_back() -> None:
    model, loss = build("mlp"), loss_of("mlp")
    model[0].requires_grad_(False)  # type: ignore[index]
    first, last = (build("mlp") for _ in range(2))
    for param in last.parameters():
        param.data.mul_(2.0)
    before = {name: part.clone() for name, part in model.state_dict().items()}
    model[0].weight.data.zero_()  # type: ignore[index, union-attr, operator]
    before["0.weight"] = torch.zeros_like(before["0.weight"])
    found = interpolate(model, loss, first.state_dict(), last.state_dict(), points=3)
    assert found.loss[[0, 2]].tolist() == [float(loss(end).detach()) for end in (first, last)]
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())


def test_a_line_needs_two_ends_of_one_kind_and_goes_on_by_a_finite_share() -> None:
    model, loss = build("batchnorm"), loss_of("batchnorm")
    whole = model.state_dict()
    part = {name: held for name, held in whole.items() if name != "1.running_mean"}
    for start, end in ((part, whole), (whole, part)):
        with pytest.raises(ArgumentError, match=r"it lacks 1.running_mean; accepted is a state_dict"):
            interpolate(model, loss, start, end)
    with pytest.raises(ArgumentError, match=r"start: 1.running_mean have another shape"):
        interpolate(model, loss, whole | {"1.running_mean": torch.zeros(7)}, whole)
    with pytest.raises(ArgumentError, match=r"a vector has no .*1.running_mean.* two states or two vectors"):
        interpolate(model, loss, flat(model), whole)
    for beyond in (-0.5, torch.inf, torch.nan):
        with pytest.raises(ArgumentError, match=r"beyond must be a number in \[0, inf\)"):
            interpolate(model, loss, whole, whole, beyond=beyond)


def test_a_default_device_moves_neither_directions_nor_paths() -> None:
    model, loss = build("mlp"), loss_of("mlp")
    points = torch.stack([flat(model) * at for at in (1.0, 2.0, 4.0)])
    with torch.device("meta"):
        found = loss_landscape(
            model, loss, random_directions(model, 1), points=2, paths={"run": points, "again": points.numpy()}
        )
        PathRecorder(model, sketch=4).record()
        assert path_directions(points, 1).directions.device.type == "cpu"
    assert np.isfinite(found.loss).all()
