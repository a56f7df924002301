"""Which conditions a simulated screen holds, and which cells receive them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington._checks import check_in_range
from waddington._text import counted
from waddington.errors import ArgumentError
from waddington.twin.data.conditions import Condition, Perturbation, condition_columns, make_condition
from waddington.twin.simulate.network import MYELOID

__all__ = ["default_conditions", "lay_out_screen", "spread_cells"]

_ACTIVATED = ("Gata2", "Gata1", "EKLF", "Fli1", "Cebpa", "Pu.1", "EgrNab", "Gfi1")
"""Regulators whose activation moves cells: Fog1, SCL and cJun only follow others and have no such effect."""

_DOUBLES = (
    # Two edits that push the same way: the second adds little.
    "Gata1 activation, Pu.1 knockout",
    "Gata2 knockout, Pu.1 activation",
    "Cebpa knockout, Pu.1 knockout",
    "Gata1 knockout, Fog1 knockout",
    "EgrNab knockout, cJun knockout",
    "Fli1 activation, Pu.1 knockout",
    "EKLF activation, Gata1 activation",
    "EgrNab activation, Gfi1 knockout",
    # The second edit redirects what the first one sends out.
    "EgrNab knockout, Pu.1 activation",
    "Fli1 knockout, Gata1 activation",
    # Edits of different branches: additive; both sides of the first choice at once: more than additive.
    "EKLF knockout, Gfi1 knockout",
    "Gata1 knockout, Pu.1 knockout",
)


def _read(text: str) -> Condition:
    pairs = [part.split() for part in text.split(",")]
    return make_condition(Perturbation(gene, mode) for gene, mode in pairs)


def default_conditions() -> tuple[Condition, ...]:
    """List the conditions of the default screen, control first.

    Returns
    -------
    tuple[Condition, ...]
        Control, the knock-out of each of the 11 regulators, the activation of 8, and 12 doubles whose singles are both
        present: 32 conditions.
    """
    singles = [(Perturbation(gene, "knockout"),) for gene in MYELOID.genes]
    singles += [(Perturbation(gene, "activation"),) for gene in _ACTIVATED]
    return ((), *singles, *(_read(text) for text in _DOUBLES))


def spread_cells(
    n_cells: int, conditions: Sequence[Condition], *, control_fraction: float = 0.4
) -> npt.NDArray[np.int64]:
    """Share cells out: a fixed part to control, the rest evenly.

    Parameters
    ----------
    n_cells
        Cells in all.
    conditions
        Distinct conditions; control may or may not be among them.
    control_fraction
        Part of the cells left unperturbed, where control is among the conditions and others are too.

    Returns
    -------
    numpy.ndarray
        Cells for each condition, shape (conditions,), summing to ``n_cells``.

    Raises
    ------
    ArgumentError
        When there are no conditions, some repeat, or there are fewer cells than conditions.
    """
    check_in_range("control_fraction", control_fraction, 0.0, 1.0, open_low=True, open_high=True)
    if not conditions:
        raise ArgumentError("cannot use conditions=(): at least one is needed; the control is the empty condition ()")
    if len(set(conditions)) != len(conditions):
        raise ArgumentError("cannot use conditions: some are listed twice; accepted is each once")
    if n_cells < len(conditions):
        raise ArgumentError(
            f"cannot use n_cells={n_cells}: {counted(len(conditions), 'condition')}, so at least "
            f"{counted(len(conditions), 'cell')} are needed"
        )
    perturbed = [index for index, condition in enumerate(conditions) if condition]
    counts = np.zeros(len(conditions), dtype=np.int64)
    if len(perturbed) < len(conditions):
        n_control = round(control_fraction * n_cells) if perturbed else n_cells
        counts[[index for index, condition in enumerate(conditions) if not condition]] = max(
            1, min(n_control, n_cells - len(perturbed))
        )
    if perturbed:
        share, left = divmod(n_cells - int(counts.sum()), len(perturbed))
        counts[perturbed] = share
        counts[perturbed[:left]] += 1
    return counts


def lay_out_screen(
    n_cells: int,
    conditions: Sequence[Condition],
    *,
    control_fraction: float,
    hours: Sequence[float],
    n_batches: int,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Give cells conditions, hours and batches in random order; hours and batches are crossed in each condition.

    Parameters
    ----------
    n_cells, conditions, control_fraction
        As in :func:`spread_cells`.
    hours
        Hours of harvest, none negative.
    n_batches
        Batches, at least one.
    rng
        Source of the order of cells.

    Returns
    -------
    tuple[pandas.DataFrame, numpy.ndarray]
        ``obs`` with ``perturbation``, ``perturbation_mode``, ``time`` and ``batch``; each cell's index of condition.

    Raises
    ------
    ArgumentError
        When a number is outside its range, or there are fewer cells than conditions.
    """
    check_in_range("n_batches", n_batches, 1)
    if not len(hours) or not min(hours) >= 0:
        raise ArgumentError(f"cannot use hours={tuple(hours)!r}: accepted is at least one hour, none of them negative")
    counts = spread_cells(n_cells, conditions, control_fraction=control_fraction)
    codes = np.repeat(np.arange(len(conditions)), counts)
    # A cell's rank in its condition, offset by condition so that small ones don't all begin with the first hour.
    rank = np.concatenate([np.arange(size) + code for code, size in enumerate(counts)])
    shuffled = rng.permutation(n_cells)
    codes, rank = codes[shuffled], rank[shuffled]
    columns = np.array([condition_columns(one) for one in conditions], dtype=object)[codes]
    batches = np.array([f"batch{number}" for number in range(1, n_batches + 1)], dtype=object)
    obs = pd.DataFrame(
        {
            "perturbation": pd.Categorical(columns[:, 0]),
            "perturbation_mode": pd.Categorical(columns[:, 1]),
            "time": np.asarray(hours, dtype=np.float64)[rank % len(hours)],
            "batch": pd.Categorical(batches[(rank // len(hours)) % n_batches], categories=list(batches)),
        },
        index=[f"cell{number:0{len(str(n_cells))}d}" for number in range(1, n_cells + 1)],
    )
    return obs, codes
