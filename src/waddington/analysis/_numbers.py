"""Numbers that a user hands to a function, as float64, or refused by the name that the function has for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from waddington._checks import shown
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError

__all__ = ["as_numbers", "as_pair"]


def as_numbers(name: str, values: Any) -> Arrays:
    """Give numbers, or arrays of them, as float64.

    Parameters
    ----------
    name
        What the function calls them.
    values
        Anything that NumPy reads as real numbers.

    Raises
    ------
    ArgumentError
        They are none: texts, None, complex numbers, objects, rows of unlike length, whole numbers beyond float64.
    """
    try:
        found = np.asarray(values)
        if found.dtype.kind not in "biuf":
            found = np.asarray([_real(one) for one in found.ravel()], dtype=np.float64).reshape(found.shape)
        return found.astype(np.float64, copy=False)
    except (OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise ArgumentError(
            f"cannot use {name}={shown(values)}: {name} must be a number, or an array of numbers"
        ) from error


def as_pair(name: str, value: Any) -> tuple[float, float]:
    """Give two numbers, such as betas.

    Raises
    ------
    ArgumentError
        They are not two, or no numbers.
    """
    found = as_numbers(name, value)
    if found.shape != (2,):
        raise ArgumentError(f"cannot use {name}={shown(value)}: {name} must be two numbers")
    first, second = found.tolist()
    return first, second


def _real(value: Any) -> float:
    """Give what is a number by itself, such as a fraction; a text is none, even where it reads as one."""
    if isinstance(value, str | bytes | complex | np.complexfloating):
        raise TypeError(f"found {value!r}")
    return float(value)
