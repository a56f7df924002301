"""Gradient descent on a quadratic, in rational numbers: which rates converge, overshoot, land or diverge.

Applications 1 and 2 of the paper are such functions. A rate that is exactly at a limit, and a start that is an
eigenvector, are told from their neighbours only without rounding: what rounds gives the other eigenvector a share, and
where that grows it wins in the end. So everything that is decided here is decided in fractions;
figures that need a root (eigenvalues, contraction) are floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal

import numpy as np

from waddington._checks import check_count, check_in_range
from waddington.analysis.bounds.amgt._exact import Number, Point, definiteness, dot, product, rational
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError

__all__ = ["Behaviour", "Kind", "Quadratic"]

Kind = Literal["stands still", "converges", "overshoots", "lands", "oscillates", "diverges"]
"""What a rate does, from best known to worst:

``"stands still"``: the start is the minimum. ``"converges"``: every component shrinks and none changes its sign.
``"overshoots"``: all shrink, some change sign at every step. ``"lands"``: one step gives the minimum. ``"oscillates"``:
a component changes its sign and keeps its size, no other grows. ``"diverges"``: a component grows.
"""


@dataclass(frozen=True)
class Behaviour:
    """What gradient descent with one rate does on a quadratic.

    Attributes
    ----------
    rate
        η.
    kind
        In a word, decided in fractions.
    contraction
        Largest ``|1 - η λ|`` over the eigenvalues that the start has a share in: the factor of the distance in the
        long run.
    eigenvalues
        Those eigenvalues, ascending, of shape (m,).
    """

    rate: Fraction
    kind: Kind
    contraction: float
    eigenvalues: tuple[float, ...]

    def steps_to(self, tolerance: float) -> float:
        """Give the steps after which the distance is at most `tolerance` of the first one; infinite if never."""
        check_in_range("tolerance", tolerance, 0.0, 1.0, open_low=True, open_high=True)
        if self.kind == "stands still":
            return 0.0
        if self.kind == "lands":
            return 1.0
        if self.kind in ("oscillates", "diverges"):
            return math.inf
        return float(math.ceil(math.log(tolerance) / math.log(self.contraction)))


@dataclass(frozen=True)
class Quadratic:
    """A function f(x) = ½ xᵀHx + c with H symmetric and positive definite; its minimum c is at 0.

    Numbers may be fractions, whole numbers, texts such as ``"1/3"``, or floats, which are what they print: 0.1 is 1/10.

    Parameters
    ----------
    hessian
        H, of shape (n, n).
    constant
        c.

    Raises
    ------
    ArgumentError
        H is not square, not symmetric, or not positive definite.
    """

    hessian: tuple[tuple[Number, ...], ...]
    constant: Number = 0

    def __post_init__(self) -> None:
        rows = [tuple(rational("hessian", entry) for entry in row) for row in self.hessian]
        if not rows or any(len(row) != len(rows) for row in rows):
            raise ArgumentError(f"cannot use hessian={self.hessian!r}: accepted is a square matrix")
        for i, row in enumerate(rows):
            for j in range(i):
                if row[j] != rows[j][i]:
                    raise ArgumentError(
                        f"cannot use a Hessian with {row[j]} at ({i + 1}, {j + 1}) and {rows[j][i]} at"
                        f" ({j + 1}, {i + 1}): a Hessian is symmetric"
                    )
        if definiteness(rows) != "definite":
            raise ArgumentError(f"cannot use hessian={self.hessian!r}: accepted is a positive definite one")
        object.__setattr__(self, "hessian", tuple(rows))
        object.__setattr__(self, "constant", rational("constant", self.constant))

    @property
    def dimension(self) -> int:
        """Coordinates n."""
        return len(self.hessian)

    @cached_property
    def eigenvalues(self) -> Arrays:
        """Eigenvalues of H, ascending, of shape (n,)."""
        return np.linalg.eigvalsh(np.array(self.hessian, dtype=np.float64))

    @property
    def condition_number(self) -> float:
        """Largest eigenvalue over the smallest, κ."""
        return float(self.eigenvalues[-1] / self.eigenvalues[0])

    @property
    def stability_limit(self) -> float:
        """``2 / λmax``: gradient descent converges from everywhere below this rate, and from almost nowhere above."""
        return float(2.0 / self.eigenvalues[-1])

    @property
    def best_rate(self) -> float:
        """``2 / (λmin + λmax)``, with the smallest contraction, ``(κ - 1) / (κ + 1)``."""
        return float(2.0 / (self.eigenvalues[0] + self.eigenvalues[-1]))

    def contraction(self, rate: Number) -> float:
        """Give ρ(η) = max ``|1 - η λ|``: the factor of the distance at a step, late and from almost any start."""
        return float(np.abs(1.0 - float(rational("rate", rate)) * self.eigenvalues).max())

    def equally_fast(self, rate: Number) -> float:
        """Give the rate on the other side of the best one with the same contraction.

        Between the two every rate is faster. It is negative where `rate` is above the stability limit.
        """
        low, high = float(self.eigenvalues[0]), float(self.eigenvalues[-1])
        given = float(rational("rate", rate))
        return (2.0 - given * low) / high if given <= self.best_rate else (2.0 - given * high) / low

    def value(self, point: Sequence[Number]) -> Fraction:
        """Give f at a point, exactly."""
        at = self._point(point)
        return dot(at, product(self._rows, at)) / 2 + Fraction(self.constant)

    def gradient(self, point: Sequence[Number]) -> Point:
        """Give Hx, exactly."""
        return product(self._rows, self._point(point))

    def descend(self, start: Sequence[Number], rate: Number | Callable[[int], Number], steps: int) -> tuple[Point, ...]:
        """Give the iterates of gradient descent, exactly.

        Parameters
        ----------
        start
            x_1, of shape (n,).
        rate
            η, or a function that gives the rate of step k from 1.
        steps
            How many; the digits of a fraction grow with each.

        Returns
        -------
        tuple
            Points, `steps` + 1 of them, the start first.
        """
        check_count("steps", steps, 0)
        found = [self._point(start)]
        for k in range(1, steps + 1):
            eta = rational("rate", rate(k) if callable(rate) else rate)
            slope = product(self._rows, found[-1])
            found.append(tuple(x - eta * g for x, g in zip(found[-1], slope, strict=True)))
        return tuple(found)

    def behaviour(self, rate: Number, start: Sequence[Number] | None = None) -> Behaviour:
        """Say what gradient descent with a fixed rate does.

        Parameters
        ----------
        rate
            η, above 0.
        start
            Where it begins; only eigenvectors that it has a share in count. None is a start with a share in all.

        Raises
        ------
        ArgumentError
            The rate is not above 0, or the start has another length.
        """
        eta = rational("rate", rate)
        check_in_range("rate", float(eta), 0.0, open_low=True, open_high=True)
        basis = self._reached(None if start is None else self._point(start))
        values = self._eigenvalues_on(basis)
        contraction = max((abs(1.0 - float(eta) * value) for value in values), default=0.0)
        return Behaviour(eta, self._kind(eta, basis), contraction, values)

    def steps_from(self, start: Sequence[Number], rate: Number, distance: float) -> float:
        """Give the steps from a start until ``‖x‖ <= distance``; infinite where the rate does not converge from there.

        Parameters
        ----------
        start
            Where it begins.
        rate
            η.
        distance
            In units of x, above 0.
        """
        check_in_range("distance", distance, 0.0, open_low=True, open_high=True)
        if self.behaviour(rate, start).kind in ("oscillates", "diverges"):
            return math.inf
        values, vectors = np.linalg.eigh(np.array(self.hessian, dtype=np.float64))
        shares = vectors.T @ np.array(self._point(start), dtype=np.float64)
        factors = np.abs(1.0 - float(rational("rate", rate)) * values)
        shares[factors >= 1.0] = 0.0  # what rounding alone put there: the exact start has no share in it

        def is_there(steps: int) -> bool:
            return bool(np.linalg.norm(shares * factors**steps) <= distance)

        high = 1
        while not is_there(high):
            high *= 2
        low = -1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if is_there(middle) else (middle, high)
        return float(high)

    @property
    def _rows(self) -> tuple[Point, ...]:
        return self.hessian  # type: ignore[return-value]  # fractions since __post_init__

    def _point(self, point: Sequence[Number]) -> Point:
        found = tuple(rational("point", entry) for entry in point)
        if len(found) != self.dimension:
            raise ArgumentError(f"cannot use a point of {len(found)} numbers: accepted are {self.dimension}")
        return found

    def _reached(self, start: Point | None) -> list[Point]:
        """Span what iterates from a start can reach: start, H start, …; all of the space without a start."""
        if start is None:
            return [tuple(Fraction(i == j) for j in range(self.dimension)) for i in range(self.dimension)]
        basis: list[Point] = []
        vector = start
        while definiteness(_gram([*basis, vector])) == "definite":
            basis.append(vector)
            if len(basis) == self.dimension:
                break
            vector = product(self._rows, vector)
        return basis

    def _form(self, basis: Sequence[Point], shift: Fraction) -> list[Point]:
        """Give Bᵀ(shift - H)B."""
        images = [product(self._rows, vector) for vector in basis]
        return [
            tuple(shift * dot(left, right) - dot(left, image) for right, image in zip(basis, images, strict=True))
            for left in basis
        ]

    def _eigenvalues_on(self, basis: Sequence[Point]) -> tuple[float, ...]:
        if not basis:
            return ()
        if len(basis) == self.dimension:
            return tuple(float(value) for value in self.eigenvalues)
        columns, _ = np.linalg.qr(np.array(basis, dtype=np.float64).T)
        return tuple(
            float(value) for value in np.linalg.eigvalsh(columns.T @ np.array(self.hessian, dtype=np.float64) @ columns)
        )

    def _kind(self, eta: Fraction, basis: Sequence[Point]) -> Kind:
        if not basis:
            return "stands still"
        if not any(any(row) for row in self._form(basis, 1 / eta)):
            return "lands"
        limit = definiteness(self._form(basis, 2 / eta))
        if limit == "definite":  # 2/η is above every eigenvalue
            return "overshoots" if definiteness(self._form(basis, 1 / eta)) == "neither" else "converges"
        return "oscillates" if limit == "semidefinite" else "diverges"


def _gram(vectors: Sequence[Point]) -> list[Point]:
    return [tuple(dot(left, right) for right in vectors) for left in vectors]
