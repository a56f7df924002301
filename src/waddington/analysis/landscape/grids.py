"""The loss along lines, on planes and in boxes of the space of parameters, and paths seen there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from waddington._checks import check_count
from waddington.analysis.batches import Loss
from waddington.analysis.objective import Mode, Objective, evaluating
from waddington.analysis.records import Arrays, Saved
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
    directions: torch.Tensor,
    *,
    span: float | Sequence[tuple[float, float]] = 1.0,
    points: int | Sequence[int] = 25,
    paths: Mapping[str, torch.Tensor] | None = None,
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
        Parameters along paths, by name, each of shape (T, n): they are projected, and the grid is widened to hold them.
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
        Directions, ends or points do not fit.
    """
    with evaluating(model, loss, mode=mode, seed=seed) as objective:
        rows = _checked(directions, objective)
        center = objective.flat(objective.params)
        seen = {name: project(path, center, rows) for name, path in (paths or {}).items()}
        ends = _ends(span, len(rows), [place for place, _ in seen.values()])
        counts = [points] * len(rows) if isinstance(points, int) else list(points)
        if len(counts) != len(rows):
            raise ArgumentError(f"cannot use points={points!r}: accepted is one number, or {len(rows)}")
        for count in counts:
            check_count("points", count, 2)
        axes = [np.linspace(low, high, count) for (low, high), count in zip(ends, counts, strict=True)]
        middle = objective.value()
        values = _evaluate(objective, center, rows, list(itertools.product(*axes)), progress)
    return Landscape(
        axes=tuple(axes),
        loss=values.reshape(counts),
        center_loss=middle,
        names=tuple(names or [f"direction {at + 1}" for at in range(len(rows))]),
        shares=shares,
        paths={name: place for name, (place, _) in seen.items()},
        distances={name: away for name, (_, away) in seen.items()},
    )


def project(points: torch.Tensor, center: torch.Tensor, directions: torch.Tensor) -> tuple[Arrays, Arrays]:
    """Give the coordinates of points in the plane of some directions: the nearest point of the plane to each.

    Parameters
    ----------
    points
        Of shape (T, n).
    center
        Of shape (n,).
    directions
        Of shape (d, n), independent; they need be neither orthogonal nor of length 1.

    Returns
    -------
    coordinates, distances
        Of shapes (T, d) and (T,): in units of the directions, and how far each point lies from the plane.
    """
    away = (points - center).double()
    rows = directions.double()
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
        Two ``state_dict()`` of the model, or vectors of its parameters. Buffers of real numbers are interpolated, too,
        such as BatchNorm's running statistics; others are those of `end`.
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
    with evaluating(model, loss, mode=mode, seed=seed) as objective:
        first, last = _vector(objective, start, "start"), _vector(objective, end, "end")
        objective.place(first)
        ends = (_buffers(model, start), _buffers(model, end))
        if isinstance(start, torch.Tensor) or isinstance(end, torch.Tensor):
            ends = ({}, {})
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


def _checked(directions: torch.Tensor, objective: Objective) -> torch.Tensor:
    if directions.dim() != 2 or not 1 <= len(directions) <= 3 or directions.shape[1] != objective.size:
        raise ArgumentError(
            f"cannot use directions of shape {tuple(directions.shape)}: accepted are one to three of"
            f" {objective.size} coordinates, (1 to 3, {objective.size})"
        )
    rows = directions.to(dtype=objective.dtype, device=objective.device)
    if not bool(rows.isfinite().all()) or int(torch.linalg.matrix_rank(rows.double() @ rows.double().T)) < len(rows):
        raise ArgumentError(
            "cannot use directions that are not finite or not independent; accepted are independent"
            " ones, of which a small model has few"
        )
    return rows


def _ends(
    span: float | Sequence[tuple[float, float]], count: int, places: Sequence[Arrays]
) -> list[tuple[float, float]]:
    """Give the ends of each axis, wide enough for the paths and a tenth more."""
    ends = (
        [(-float(span), float(span))] * count
        if isinstance(span, int | float)
        else [(float(a), float(b)) for a, b in span]
    )
    if len(ends) != count or not all(low < high for low, high in ends):
        raise ArgumentError(f"cannot use span={span!r}: accepted is a number above zero, or {count} pairs (low, high)")
    for place in places:
        for at in range(count):
            low, high = float(place[:, at].min()), float(place[:, at].max())
            edge = 0.1 * (high - low)
            ends[at] = (min(ends[at][0], low - edge), max(ends[at][1], high + edge))
    return ends


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


def _buffers(model: nn.Module, state: State) -> dict[str, torch.Tensor]:
    if isinstance(state, torch.Tensor):
        return {}
    return {name: state[name].detach() for name, _ in model.named_buffers() if name in state}


def _between(first: torch.Tensor, last: torch.Tensor, share: float) -> torch.Tensor:
    return first.lerp(last, share) if first.is_floating_point() else last
