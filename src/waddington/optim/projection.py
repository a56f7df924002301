"""Projections onto convex sets: the nearest point of a set, in the Euclidean norm or in one weighted by coordinates.

The analyses of adaptive methods in constrained problems (Reddi, Kale and Kumar 2018, "On the Convergence of Adam and
Beyond"; Theorem 1 and Lemma 2 of the ASGDAdam paper, which take them over) keep the iterates in a set χ of bounded
diameter by projecting each step in the norm of the method's own denominator H::

    Π(x) = argmin over y in χ of  Σ w_i (y_i - x_i)²,      w = the diagonal of H^p, p in (0, 1/2]

Then ‖Π(a) - Π(b)‖ ≤ ‖a - b‖ in that norm (Lemma 2), and the bounds of the unconstrained method hold. With w = 1 it is
the Euclidean projection. What the sets need, from the conditions of Karush, Kuhn and Tucker:

box, nonnegative
    Coordinates do not meet, so no weight changes anything: ``y = min(max(x, low), high)``.
ball of radius r around c
    ``y = c + w / (w + λ) (x - c)`` with the λ ≥ 0 at which ``‖y - c‖ = r``, 0 inside (:func:`ball_multiplier`).
simplex, y ≥ 0 and Σ y = s
    ``y = max(x - μ / w, 0)`` with the μ at which the sum is s; found exactly by one sort of w x (Held, Wolfe and
    Crowder 1974; Duchi et al. 2008 for w = 1).

All functions are of tensors, differentiate nothing, and wait for no device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, get_args

import torch

from waddington._checks import check_choice, check_in_range
from waddington.errors import ArgumentError

__all__ = [
    "SETS",
    "Ball",
    "Box",
    "ConvexSet",
    "Nonnegative",
    "Over",
    "SetName",
    "Simplex",
    "as_set",
    "ball_multiplier",
    "project_ball",
    "project_box",
    "project_simplex",
    "shrink_to_center",
]

Over = Literal["tensor", "group"]
"""What a set is of: each tensor, or all of a parameter group together."""

_NEWTON_STEPS = 40
"""Newton's method squares its error once it is near; forty steps also bridge weights that differ 1e12-fold."""


def project_box(x: torch.Tensor, low: float | torch.Tensor, high: float | torch.Tensor) -> torch.Tensor:
    """Give the nearest point with every coordinate in [low, high], in any norm weighted by coordinates.

    Parameters
    ----------
    x
        Any shape.
    low, high
        Numbers or tensors that broadcast against `x`; infinite where there is no bound.
    """
    return x.clamp(min=low).clamp(max=high)


def ball_multiplier(
    distances: Sequence[torch.Tensor], weights: Sequence[torch.Tensor] | None, radius: float | torch.Tensor
) -> torch.Tensor:
    """Give the multiplier λ of the projection onto a ball in the space of several tensors, 0-d, float64.

    ``1/‖y(λ) - c‖`` is a power mean of ``(w + λ)/(w |x - c|)``, so it is increasing and concave in λ, and Newton's
    method from below never passes the root. It starts where a ball in the Euclidean norm of the smallest weight would
    have it.

    Parameters
    ----------
    distances
        ``x - c`` of each tensor.
    weights
        Of the same shapes, positive; None is 1.
    radius
        Above 0.
    """
    exact = torch.float32 if distances[0].device.type == "mps" else torch.float64
    d = torch.cat([part.reshape(-1).to(exact) for part in distances])
    w = torch.ones_like(d) if weights is None else torch.cat([part.reshape(-1).to(exact) for part in weights])
    length = d.norm()
    excess = torch.where(length > radius, length / radius - 1.0, 0.0)
    if weights is None or d.numel() == 0:
        return excess
    found = w.min() * excess
    # A graphics card would be waited for, and a compiler has no number to look at.
    can_look = type(d) is torch.Tensor and d.device.type == "cpu" and not torch.compiler.is_compiling()
    for _ in range(_NEWTON_STEPS):
        share = w / (w + found)
        norm = (share * d).norm()
        # The derivative of 1/‖share d‖ is Σ share² d² / (w + λ) / ‖share d‖³.
        slope = ((share * d).square() / (w + found)).sum() / norm**3
        before, found = found, found + torch.where(norm > radius, (1.0 / radius - 1.0 / norm) / slope, 0.0)
        if can_look and torch.equal(before, found):
            break  # so would all the other steps leave it
    return found


def project_ball(
    x: torch.Tensor,
    radius: float | torch.Tensor = 1.0,
    *,
    center: float | torch.Tensor = 0.0,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Give the nearest point of the Euclidean ball of a radius around a center.

    Parameters
    ----------
    x
        Any shape.
    radius
        Above 0.
    center
        A number or a tensor that broadcasts against `x`.
    weight
        Of the norm in which the nearest is meant, positive, of the shape of `x`; None is Euclidean.
    """
    d = x - center
    multiplier = ball_multiplier([d], None if weight is None else [weight], radius).to(x.dtype)
    return shrink_to_center(x, center, weight, multiplier)


def shrink_to_center(
    x: torch.Tensor, center: float | torch.Tensor, weight: torch.Tensor | None, multiplier: torch.Tensor
) -> torch.Tensor:
    """Give ``c + w/(w + λ) (x - c)``; exactly `x` at λ = 0."""
    share = 1.0 / (1.0 + multiplier) if weight is None else weight / (weight + multiplier)
    return torch.where(multiplier > 0.0, center + share * (x - center), x)


def project_simplex(
    x: torch.Tensor, total: float | torch.Tensor = 1.0, *, dim: int | None = None, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Give the nearest point with no negative coordinate and coordinates that sum to a total.

    Parameters
    ----------
    x
        Any shape with at least one coordinate.
    total
        Above 0.
    dim
        Along which each slice is a point of its own; None takes the whole tensor for one.
    weight
        Of the norm in which the nearest is meant, positive, of the shape of `x`; None is Euclidean.
    """
    if dim is None:
        flat = None if weight is None else weight.reshape(-1)
        return project_simplex(x.reshape(-1), total, dim=0, weight=flat).view_as(x)
    exact = torch.float32 if x.device.type == "mps" else torch.float64
    values = x.movedim(dim, -1).to(exact)
    w = torch.ones_like(values) if weight is None else weight.movedim(dim, -1).to(exact)
    inverse = w.reciprocal()
    ranked, order = (w * values).sort(dim=-1, descending=True)
    # With the first k coordinates above zero, the sum is that total at this μ; the right k is the last whose smallest
    # coordinate is above zero at its own μ, as the first one's always is.
    multipliers = (values.gather(-1, order).cumsum(-1) - total) / inverse.gather(-1, order).cumsum(-1)
    last = (ranked > multipliers).sum(-1, keepdim=True).clamp_min(1) - 1
    is_kept = w * values >= ranked.gather(-1, last)
    found = torch.where(is_kept, (values - multipliers.gather(-1, last) * inverse).clamp_min(0.0), 0.0)
    # What the sum has lost to rounding, beside coordinates much larger than the total, is spread in the same way.
    share = torch.where(is_kept, inverse, 0.0)
    missing = total - found.sum(-1, keepdim=True)
    found = (found + missing * share / share.sum(-1, keepdim=True)).clamp_min(0.0)
    return found.movedim(-1, dim).to(x.dtype)


# -- sets --


class ConvexSet(ABC):
    """A set onto which :class:`~waddington.optim.Projected` projects; the classes below are all there are."""

    kind: ClassVar[str]
    is_elementwise: ClassVar[bool] = False
    """Whether each coordinate is projected by itself, so that weights and shards make no difference."""

    @abstractmethod
    def project(self, x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """Give the nearest point to a tensor, in the norm weighted by coordinates."""

    def described(self) -> dict[str, Any]:
        """Say in plain values what it is, as parameter groups keep it (:func:`as_set` reads it)."""
        return {"set": self.kind} | {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True)
class Nonnegative(ConvexSet):
    """No coordinate below zero."""

    kind: ClassVar[str] = "nonnegative"
    is_elementwise: ClassVar[bool] = True

    def project(self, x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """Give the nearest point; no weight changes it."""
        return x.clamp_min(0.0)


@dataclass(frozen=True)
class Box(ConvexSet):
    """Every coordinate in [low, high].

    Attributes
    ----------
    low, high
        Numbers, infinite where there is no bound, or tensors that broadcast against the parameters.
    """

    low: float | torch.Tensor
    high: float | torch.Tensor
    kind: ClassVar[str] = "box"
    is_elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        low, high = _numbers("low", self.low), _numbers("high", self.high)
        if not bool((low <= high).all()):
            raise ArgumentError(
                f"cannot use Box(low={self.low!r}, high={self.high!r}): low must be at most high, and both numbers"
            )

    def project(self, x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """Give the nearest point; no weight changes it."""
        low, high = (bound.to(x) if isinstance(bound, torch.Tensor) else bound for bound in (self.low, self.high))
        return project_box(x, low, high)


@dataclass(frozen=True)
class Ball(ConvexSet):
    """Parameters whose Euclidean distance from a center is at most a radius.

    Attributes
    ----------
    radius
        Above 0.
    center
        A number or a tensor that broadcasts against the parameters.
    over
        ``"tensor"``: each parameter has a ball of its own; ``"group"``: all of a parameter group are one point.
    """

    radius: float = 1.0
    center: float | torch.Tensor = 0.0
    over: Over = "tensor"
    kind: ClassVar[str] = "ball"

    def __post_init__(self) -> None:
        check_in_range("radius", self.radius, 0.0, open_low=True, open_high=True)
        if not bool(_numbers("center", self.center).isfinite().all()):
            raise ArgumentError(f"cannot use center={self.center!r}: center must be finite")
        check_choice("over", self.over, get_args(Over))

    def project(self, x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """Give the nearest point."""
        center = self.center.to(x) if isinstance(self.center, torch.Tensor) else self.center
        return project_ball(x, self.radius, center=center, weight=weight)


@dataclass(frozen=True)
class Simplex(ConvexSet):
    """No coordinate below zero, and coordinates that sum to a total: weights of a mixture, say.

    Attributes
    ----------
    total
        Above 0.
    dim
        Along which each slice of a parameter sums to it; None: the whole parameter.
    """

    total: float = 1.0
    dim: int | None = None
    kind: ClassVar[str] = "simplex"

    def __post_init__(self) -> None:
        check_in_range("total", self.total, 0.0, open_low=True, open_high=True)
        if self.dim is not None and (isinstance(self.dim, bool) or not isinstance(self.dim, int)):
            raise ArgumentError(f"cannot use dim={self.dim!r}: dim must be a whole number, or None")

    def project(self, x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """Give the nearest point."""
        return x if x.numel() == 0 else project_simplex(x, self.total, dim=self.dim, weight=weight)


def _numbers(name: str, given: Any) -> torch.Tensor:
    """Give a number or a tensor as a tensor, on the processor if it is none yet, and refuse all else."""
    if not isinstance(given, float | int | torch.Tensor):
        raise ArgumentError(f"cannot use {name}={given!r}: {name} must be a number or a tensor")
    return given if isinstance(given, torch.Tensor) else torch.tensor(given, device="cpu")  # whatever the default is


SetName = Literal["ball", "nonnegative", "simplex"]
"""Sets that are wholly said by their name: those of size 1."""

SETS: dict[str, type[ConvexSet]] = {cls.kind: cls for cls in (Box, Ball, Simplex, Nonnegative)}
"""The sets by name."""


def as_set(given: ConvexSet | str | Mapping[str, Any]) -> ConvexSet:
    """Give a set that was named (``"nonnegative"``, ``"ball"``, ``"simplex"``), described or is one already.

    Raises
    ------
    ArgumentError
        It is none, or a box without bounds.
    """
    if isinstance(given, ConvexSet):
        return given
    if isinstance(given, Mapping) and given.get("set") in SETS:
        described = {name: value for name, value in given.items() if name != "set"}
        if described.keys() == {field.name for field in fields(SETS[given["set"]])}:  # type: ignore[arg-type]
            return SETS[given["set"]](**described)
    if isinstance(given, str) and given in SETS and given != "box":
        return SETS[given]()
    raise ArgumentError(
        f"cannot project onto {given!r}: accepted are Box(low, high), Ball(radius), Simplex(total) and Nonnegative()"
        " of waddington.optim.projection, and the names 'nonnegative', 'ball' and 'simplex' for those of size 1"
    )
