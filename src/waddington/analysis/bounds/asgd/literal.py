"""The switch of Algorithms 1 and 2 to the letter, over arrays: it never switches.

Lines 8-13 compare the mean of abs(H) with the mean of H, tensor by tensor. H is a mean of squares, so both are the mean
of one array, the same sum in the same order: they are equal to the last bit, both signs are 0, both factors are 1/2.
Half is not zero, so either count goes up by one for every tensor. The counts are equal, line 17's ``<`` is false, and
line 20 takes α_max, at every step of every run. Equations 2-4 read as ``u f + C`` give the middle of the two rates,
likewise at every step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from waddington.analysis._numbers import as_numbers
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError

__all__ = ["literal_changes", "literal_counts", "literal_factors", "literal_takes_large"]


def literal_factors(second_moment: Arrays) -> tuple[float, float]:
    """Give f_min and f_max of one tensor (Eq. 2; lines 8-11): a half each.

    Parameters
    ----------
    second_moment
        H, of any shape with at least one entry. Entries that are not finite make both NaN, which counts as not zero.

    Raises
    ------
    ArgumentError
        It is empty, or an entry is negative: no mean of squares is.
    """
    numbers = as_numbers("second_moment", second_moment)
    given = np.asarray(second_moment)
    values = given if given.dtype.kind == "f" else numbers  # in its own precision, as the rule sums it
    if values.size == 0 or (values < 0).any():
        what = "no entry" if values.size == 0 else f"an entry of {values.min():g}"
        raise ArgumentError(f"cannot use a second moment with {what}; accepted: at least one entry, all from 0")
    with np.errstate(invalid="ignore", over="ignore"):
        mean_abs, mean = np.abs(values).mean(), values.mean()
        f_min = 0.5 * (np.sign(mean_abs - mean) + 1.0)
        f_max = 0.5 * (np.sign(mean - mean_abs) + 1.0)
    return float(f_min), float(f_max)


def literal_counts(second_moments: Iterable[Arrays]) -> tuple[int, int]:
    """Give how many of f_min and of f_max are not zero over the tensors of a model (lines 12 and 13)."""
    factors = [literal_factors(values) for values in second_moments]
    return sum(f_min != 0.0 for f_min, _ in factors), sum(f_max != 0.0 for _, f_max in factors)


def literal_takes_large(second_moments: Iterable[Arrays]) -> bool:
    """Say whether the rate of a step is α_max (lines 17-21)."""
    f_min, f_max = literal_counts(second_moments)
    return not f_max < f_min


def literal_changes(history: Sequence[Sequence[Arrays]]) -> int:
    """Count the steps at which the rate is another than at the step before.

    Parameters
    ----------
    history
        The second moments of a run: a step's tensors, step by step.
    """
    large = [literal_takes_large(step) for step in history]
    return sum(now != before for before, now in pairwise(large))
