"""Rational numbers, vectors and symmetric matrices: what is decided here is decided without rounding."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from waddington.errors import ArgumentError

__all__ = ["Number", "Point", "definiteness", "dot", "product", "rational"]

Number = Fraction | int | float | str
"""A rational number; a text is ``"1/3"`` or ``"0.3"``, and a float is what it prints: 0.1 is 1/10."""
Point = tuple[Fraction, ...]


def rational(name: str, value: Number) -> Fraction:
    """Read a number as a fraction.

    Raises
    ------
    ArgumentError
        It is not finite, or no number.
    """
    try:
        return Fraction(repr(float(value))) if isinstance(value, float) else Fraction(value)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ArgumentError(
            f"cannot use {name}={value!r}: {name} must be a finite number, or a text such as '1/3'"
        ) from error


def dot(left: Point, right: Point) -> Fraction:
    """Multiply two vectors."""
    return sum((x * y for x, y in zip(left, right, strict=True)), Fraction(0))


def product(rows: Sequence[Point], vector: Point) -> Point:
    """Multiply a matrix by a vector."""
    return tuple(dot(row, vector) for row in rows)


def definiteness(rows: Sequence[Point]) -> Literal["definite", "semidefinite", "neither"]:
    """Say whether a symmetric matrix is positive definite, positive semidefinite and singular, or neither.

    By elimination: a negative pivot, or a zero one with anything left in its row, is neither.
    """
    left = [list(row) for row in rows]
    while left:
        pivot = next((at for at in range(len(left)) if left[at][at] != 0), None)
        if pivot is None:
            return "neither" if any(any(row) for row in left) else "semidefinite"
        if left[pivot][pivot] < 0:
            return "neither"
        row = left[pivot]
        left = [
            [each[j] - each[pivot] * row[j] / row[pivot] for j in range(len(row)) if j != pivot]
            for at, each in enumerate(left)
            if at != pivot
        ]
    return "definite"
