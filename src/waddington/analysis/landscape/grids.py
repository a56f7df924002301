"""The loss along lines, on planes and in boxes of the space of parameters, and paths seen there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from waddington._checks import check_count, check_in_range
from waddington.analysis.batches import Loss
from waddington.analysis.objective import Mode, Objective, evaluating
from waddington.analysis.records import Arrays, Saved
from waddington.analysis.vectors import real_points
from waddington.errors import ArgumentError

__all__ = ["Landscape", "Progress", "interpolate", "loss_landscape", "project"]

Progress = Callable[[int, int], None]
"""Is told how many evaluations are done, and of how many."""
State = Mapping[str, Any] | torch.Tensor
"""A model's state: a ``state_dict()``, or a vector of parameters of shape (n,)."""


@dataclass(frozen=True)
class Landscape(Saved):
    """The loss on a grid of one, two or three directions.

    Attributes
    ----------
    axes
        Coordinates of the grid, one array of shape (points,) for each direction; 0 is the center.
    loss
        Of shape (points of the first axis, points of the second, …); NaN and infinity are values like others.
    center_loss
        Loss at the center.
    names
        A name for each axis.
    shares
        Share of a path's variance that each direction holds, of shape (directions,); None for other directions.
    paths
        Coordinates of the paths that were projected, by name, each of shape (T, directions).
    distances
        How far each point of a path lies from the plane, by name, each of shape (T,), in the length of parameters.
    """

    axes: tuple[Arrays, ...]
    loss: Arrays
    center_loss: float
    names: tuple[str, ...]
    shares: Arrays | None = None
    paths: Mapping[str, Arrays] = field(default_factory=dict)
    distances: Mapping[str, Arrays] = field(default_factory=dict)


def loss_landscape(
    model: nn.Module,
    loss: Loss,
    directions: torch.Tensor | Arrays,
    *,
    span: float | Sequence[tuple[float, float]] = 1.0,
    points: int | Sequence[int] = 25,
    paths: Mapping[str, torch.Tensor | Arrays] | None = None,
    shares: Arrays | None = None,
    names: Sequence[str] | None = None,
    mode: Mode = "eval",
    seed: int = 0,
    progress: Progress | None = None,
) -> Landscape:
    """Compute the loss on a grid around the model's parameters.

    BatchNorm in mode ``"eval"`` keeps the statistics of the center, which fit its surroundings badly; with
    ``mode="train"`` and large batches each point has its own.

    Parameters
    ----------
    model, loss, mode, seed
        As for :func:`hessian_vector_product`. Half precision is accepted. The model is the center, and is as it was
        afterwards, to the bit, also after an error.
    directions
        Of shape (1 to 3, n): from :func:`random_directions` or :func:`path_directions`.
    span
        The grid goes from -span to span along each direction, in units of it; or a pair of ends for each.
    points
        Of the grid along each direction, or a number for each; an odd number meets the center.
    paths
        Parameters along paths, by name, finite, each of shape (T, n), such as the ``snapshots`` of a :class:`Path`:
        they are projected, and the grid is widened to hold them.
    shares
        As :func:`path_directions` gave them, to be kept with the result.
    names
        Of the directions; by default ``direction 1`` and so on.
    progress
        Is told how many evaluations are done, and of how many.

    Returns
    -------
    Landscape
        Plain arrays, which can be saved.

    Raises
    ------
    ArgumentError
        Directions, ends, points, paths, shares or names do not fit; the grid is too narrow for the precision of the
        parameters.
    """
    with evaluating(model, loss, mode=mode, seed=seed) as objective:
        rows = _checked(directions, objective)
        center = objective.flat(objective.params)
        seen = _projected(paths, center, rows)
        ends = _ends(span, len(rows), [place for place, _ in seen.values()])
        counts = _counts(points, len(rows))
        names = _one_for_each("names", names or [f"direction {at + 1}" for at in range(len(rows))], len(rows))
        shares = None if shares is None else np.asarray(_one_for_each("shares", shares, len(rows)))
        _check_width(objective, center, rows, ends)
        axes = [np.linspace(low, high, count) for (low, high), count in zip(ends, counts, strict=True)]
        middle = objective.value()
        values = _evaluate(objective, center, rows, list(itertools.product(*axes)), progress)
    return Landscape(
        axes=tuple(axes),
        loss=values.reshape(counts),
        center_loss=middle,
        names=tuple(names),
        shares=shares,
        paths={name: place for name, (place, _) in seen.items()},
        distances={name: away for name, (_, away) in seen.items()},
    )


def project(points: torch.Tensor | Arrays, center: torch.Tensor, directions: torch.Tensor) -> tuple[Arrays, Arrays]:
    """Give the coordinates of points in the plane of some directions: the nearest point of the plane to each.

    Parameters
    ----------
    points
        Finite, of shape (T, n).
    center
        Of shape (n,).
    directions
        Of shape (d, n), independent; they need be neither orthogonal nor of length 1.

    Returns
    -------
    coordinates, distances
        Of shapes (T, d) and (T,): in units of the directions, and how far each point lies from the plane.

    Raises
    ------
    ArgumentError
        Shapes do not fit, points are not finite, or directions are not independent.
    """
    rows = _independent(real_points("directions", directions))
    middle: Any = center
    if not isinstance(middle, torch.Tensor) or middle.shape != rows.shape[1:]:
        found = tuple(middle.shape) if isinstance(middle, torch.Tensor) else type(middle).__name__
        raise ArgumentError(f"cannot use center={found}: accepted is a tensor of shape ({rows.shape[1]},)")
    given = real_points("points", points, rows.shape[1]).to(center.device)
    away = given.double() - center.double()
    rows = rows.double().to(center.device)
    gram = rows @ rows.T
    coordinates = torch.linalg.solve(gram, rows @ away.T).T
    left = away - coordinates @ rows
    return coordinates.cpu().numpy(), left.norm(dim=1).cpu().numpy()


def interpolate(
    model: nn.Module,
    loss: Loss,
    start: State,
    end: State,
    *,
    points: int = 25,
    beyond: float = 0.0,
    mode: Mode = "eval",
    seed: int = 0,
    progress: Progress | None = None,
) -> Landscape:
    """Compute the loss on the straight line between two states (Goodfellow, Vinyals & Saxe 2015).

    Parameters
    ----------
    model, loss, mode, seed, progress
        As for :func:`loss_landscape`.
    start, end
        Two ``state_dict()`` of the model, or two vectors of its parameters. Of states, frozen parameters and buffers of
        real numbers are interpolated, too, such as BatchNorm's running statistics; other buffers are those of `end`.
        With vectors both are the model's own.
    points
        On the line.
    beyond
        How far the line goes on at both ends, as a share of its length.

    Returns
    -------
    Landscape
        Of one axis: 0 is `start`, 1 is `end`. The center is `start`.

    Raises
    ------
    ArgumentError
        The states do not fit the model.
    """
    check_count("points", points, 2)
    check_in_range("beyond", beyond, 0.0, open_high=True)
    with evaluating(model, loss, mode=mode, seed=seed) as objective:
        first, last = _vector(objective, start, "start"), _vector(objective, end, "end")
        ends = (_fixed(objective, start, "start"), _fixed(objective, end, "end"))
        if ends[0].keys() != ends[1].keys():
            missing = sorted(ends[0].keys() ^ ends[1].keys())
            raise ArgumentError(
                f"cannot go between a vector and a state_dict: a vector has no {', '.join(missing[:5])}; accepted are"
                " two states or two vectors"
            )
        axis = np.linspace(-beyond, 1.0 + beyond, points)
        values = np.empty(points)
        for at, share in enumerate([0.0, *axis]):
            objective.place(first.lerp(last, share) if share not in (0.0, 1.0) else (last if share else first))
            objective.hold({name: _between(ends[0][name], ends[1][name], share) for name in ends[0]})
            value = objective.value()
            if at == 0:
                middle = value
            else:
                values[at - 1] = value
                _tell(progress, at, points)
    return Landscape((axis,), values, middle, ("interpolation",))


def _evaluate(
    objective: Objective,
    center: torch.Tensor,
    rows: torch.Tensor,
    places: Sequence[tuple[float, ...]],
    progress: Progress | None,
) -> Arrays:
    values = np.empty(len(places))
    for at, place in enumerate(places):
        weights = torch.as_tensor(place, dtype=rows.dtype, device=rows.device)
        objective.place(center + weights @ rows)
        values[at] = objective.value()
        _tell(progress, at + 1, len(places))
    return values


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _checked(directions: torch.Tensor | Arrays, objective: Objective) -> torch.Tensor:
    given = directions if isinstance(directions, torch.Tensor) else torch.as_tensor(directions, device="cpu")
    if given.dim() != 2 or not 1 <= len(given) <= 3 or given.shape[1] != objective.size or given.is_complex():
        raise ArgumentError(
            f"cannot use directions of shape {tuple(given.shape)} and {given.dtype}: accepted are one to three of"
            f" {objective.size} real coordinates, (1 to 3, {objective.size})"
        )
    return _independent(given.to(dtype=objective.dtype, device=objective.device))


def _independent(rows: torch.Tensor) -> torch.Tensor:
    """Refuse directions that do not span as many dimensions, whatever their lengths."""
    largest = rows.double().abs().amax(dim=1, keepdim=True)
    scaled = rows.double() / largest
    scaled = scaled / scaled.norm(dim=1, keepdim=True)  # NaN where a row is zero
    if not bool(scaled.isfinite().all()) or int(torch.linalg.matrix_rank(scaled @ scaled.T)) < len(rows):
        raise ArgumentError(
            "cannot use directions that are not finite or not independent; accepted are independent"
            " ones, of which a small model has few"
        )
    return rows


def _projected(
    paths: Mapping[str, torch.Tensor | Arrays] | None, center: torch.Tensor, rows: torch.Tensor
) -> dict[str, tuple[Arrays, Arrays]]:
    if paths is not None and not isinstance(paths, Mapping):
        raise ArgumentError(f"cannot use paths={type(paths).__name__}: accepted are paths by name, a dictionary")
    return {
        name: project(real_points(f"paths[{name!r}]", path, len(center)), center, rows)
        for name, path in (paths or {}).items()
    }


def _counts(points: int | Sequence[int], dimensions: int) -> list[int]:
    counts: list[Any] = list(points) if isinstance(points, list | tuple) else [points] * dimensions
    if len(counts) != dimensions:
        raise ArgumentError(f"cannot use points={points!r}: accepted is one number, or {dimensions}")
    for count in counts:
        check_count("points", count, 2)
    return [int(count) for count in counts]


def _one_for_each(name: str, given: Any, dimensions: int) -> Any:
    if isinstance(given, str) or len(given) != dimensions:
        raise ArgumentError(f"cannot use {name}={given!r}: accepted is one for each of {dimensions} directions")
    return given


def _ends(
    span: float | Sequence[tuple[float, float]], count: int, places: Sequence[Arrays]
) -> list[tuple[float, float]]:
    """Give the ends of each axis, wide enough for the paths and a tenth more."""
    try:
        ends = [(-float(span), float(span))] * count  # type: ignore[arg-type]
    except (TypeError, ValueError):
        ends = _pairs(span)
    if len(ends) != count or not all(-np.inf < low < high < np.inf for low, high in ends):
        raise ArgumentError(
            f"cannot use span={span!r}: accepted is a finite number above zero, or {count} pairs (low, high)"
        )
    for place in places:
        for at in range(count):
            low, high = float(place[:, at].min()), float(place[:, at].max())
            edge = 0.1 * (high - low)
            ends[at] = (min(ends[at][0], low - edge), max(ends[at][1], high + edge))
    return ends


def _pairs(span: Any) -> list[tuple[float, float]]:
    """Give pairs of ends; none where it is something else."""
    try:
        return [(float(low), float(high)) for low, high in span]
    except (TypeError, ValueError):
        return []


def _check_width(
    objective: Objective, center: torch.Tensor, rows: torch.Tensor, ends: Sequence[tuple[float, float]]
) -> None:
    """Refuse a grid whose ends along a direction are the same parameters: its picture would be flat."""
    for at, (row, (low, high)) in enumerate(zip(rows, ends, strict=True)):
        lower, upper = objective.split(center + low * row), objective.split(center + high * row)
        if all(torch.equal(a, b) for a, b in zip(lower, upper, strict=True)):
            raise ArgumentError(
                f"cannot go from {low:g} to {high:g} along direction {at + 1}: in the precision of the parameters both"
                " ends are the same; accepted is a wider span"
            )


def _vector(objective: Objective, state: State, name: str) -> torch.Tensor:
    if isinstance(state, torch.Tensor):
        objective.split(state)
        return state.to(dtype=objective.dtype, device=objective.device)
    missing = [key for key in objective.names if key not in state]
    if missing:
        raise ArgumentError(
            f"cannot use {name}: it lacks {', '.join(missing[:5])}; accepted is a state_dict of the model"
        )
    wrong = [
        key for key, param in zip(objective.names, objective.params, strict=True) if state[key].shape != param.shape
    ]
    if wrong:
        raise ArgumentError(f"cannot use {name}: {', '.join(wrong[:5])} have another shape than in the model")
    return objective.flat([state[key] for key in objective.names])


def _fixed(objective: Objective, state: State, name: str) -> dict[str, torch.Tensor]:
    """Give what a state holds besides the parameters that require grad: frozen parameters and buffers."""
    if isinstance(state, torch.Tensor):
        return {}
    model = objective.model
    own = model.state_dict()
    wanted: dict[str, torch.Tensor] = {key: param for key, param in model.named_parameters() if not param.requires_grad}
    wanted |= {key: buffer for key, buffer in model.named_buffers() if key in own}
    missing = [key for key in wanted if key not in state]
    if missing:
        raise ArgumentError(
            f"cannot use {name}: it lacks {', '.join(missing[:5])}; accepted is a state_dict of the model"
        )
    wrong = [key for key, held in wanted.items() if state[key].shape != held.shape]
    if wrong:
        raise ArgumentError(f"cannot use {name}: {', '.join(wrong[:5])} have another shape than in the model")
    return {key: state[key].detach() for key in wanted}


def _between(first: torch.Tensor, last: torch.Tensor, share: float) -> torch.Tensor:
    if not first.is_floating_point() or share == 1.0:
        return last
    return first if share == 0.0 else first.lerp(last, share)
