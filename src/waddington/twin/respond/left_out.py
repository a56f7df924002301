"""What is hidden from a model so that its answers can be held against what was measured, by what they then rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.splits import MIN_CELLS
from waddington.twin.respond.base import Training
from waddington.twin.respond.doses import inner_doses
from waddington.twin.respond.known import How, Known
from waddington.twin.respond.measured import Measured

__all__ = ["FOLDS", "HIDDEN_FOR", "LeftOut", "divided_in_words", "leave_out"]

FOLDS: Final = 5
"""Parts that conditions are left out in."""

HIDDEN_FOR: Mapping[How, str] = {
    "measured": "half of the cells",
    "added": "conditions",
    "combined": "perturbations alone",
    "interpolated": "doses",
    "partial": "perturbations",
    "none": "perturbations",
}
"""What is hidden, so that answers rest on one thing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LeftOut:
    """One fold."""

    rest: Training
    """What is learned from."""
    observed: Measured
    """What was hidden shows."""
    told: Mapping[str, How]
    """Conditions that are asked for, and what the answers rest on."""


def _divided(measured: Measured) -> tuple[str, ...]:
    """Name what is left out in general: combinations where there are 5 or more, else all conditions."""
    combined = tuple(label for label, parts in zip(measured.labels, measured.parts, strict=True) if len(parts) > 1)
    return combined if len(combined) >= FOLDS else measured.labels[1:]


def leave_out(data: Training, hidden: str, *, seed: int = 0) -> Iterator[LeftOut]:
    """Hide in folds; a fold that leaves nothing, or asks for nothing, is passed over.

    Parameters
    ----------
    data
        The training cells.
    hidden
        One of :data:`HIDDEN_FOR`. ``"conditions"`` are combinations where there are 5 or more, else all; no answer may
        be a guess. ``"perturbations alone"`` are conditions of one perturbation that combinations show, too; of
        ``"perturbations"`` every condition is hidden that holds them, and answers are guesses; of ``"doses"``, those
        with another on either side, too, and answers are interpolated. ``"half of the cells"`` of every condition is
        hidden in one fold.
    seed
        Of the deal.
    """
    measured, rng = data.measured, np.random.default_rng(seed)
    if hidden == "half of the cells":
        yield from _half(data, rng)
        return
    if measured.kind != "perturbation" and hidden != "conditions":
        return  # times and stages have no parts
    known = Known.of(measured)
    for dealt in np.array_split(rng.permutation(np.array(_dealt(measured, hidden), dtype=np.str_)), FOLDS):
        out = set(dealt.tolist())
        if hidden in ("perturbations", "doses"):
            shown = zip(measured.labels, measured.parts, strict=True)
            left_out = tuple(label for label, parts in shown if out & set(parts))
        else:
            left_out = tuple(dealt.tolist())
        if not 0 < len(left_out) < len(measured.labels) - 1:
            continue
        rest = replace(known, n_cells={label: n for label, n in known.n_cells.items() if label not in left_out})
        support = {label: rest.support(label) for label in left_out}
        guesses = hidden == "perturbations"
        told: dict[str, How] = {label: one.how for label, one in support.items() if one.flagged == guesses}
        if told:
            yield LeftOut(rest=data.without(left_out), observed=measured, told=told)


def _dealt(measured: Measured, hidden: str) -> tuple[str, ...]:
    if hidden == "conditions":
        return _divided(measured)
    if hidden == "perturbations":
        return measured.perturbations
    if hidden == "doses":
        return inner_doses(
            label for label, parts in zip(measured.labels, measured.parts, strict=True) if len(parts) == 1
        )
    combined = {part for parts in measured.parts if len(parts) > 1 for part in parts}
    return tuple(label for label in measured.labels if label in combined)


def _half(data: Training, rng: np.random.Generator) -> Iterator[LeftOut]:
    """Hide half of the cells of every condition, of the control and within each group."""
    split, cells = data.split, np.flatnonzero(data.split.train)
    named = [split.labels[cells], *([] if data.groups is None else [data.groups[cells]])]
    kinds = [np.unique(one, return_inverse=True)[1] for one in named]
    order = np.lexsort((rng.random(len(cells)), *kinds))
    first = np.zeros(len(split.labels), dtype=bool)
    first[cells[order[::2]]] = True
    halves = [replace(data, split=replace(split, train=half)) for half in (first, split.train & ~first)]
    try:
        learned, observed = (half.measured for half in halves)
    except DataError:  # too few cells for two halves
        return
    enough = {label for label, n in zip(learned.labels[1:], learned.n[1:], strict=True) if n >= MIN_CELLS}
    shown = zip(observed.labels[1:], observed.n[1:], strict=True)
    told: dict[str, How] = {label: "measured" for label, n in shown if n >= MIN_CELLS and label in enough}
    if told:
        yield LeftOut(rest=halves[0], observed=observed, told=told)


def divided_in_words(measured: Measured) -> str:
    """Count what is left out in general."""
    labels = _divided(measured)
    return counted(len(labels), "condition" if labels == measured.labels[1:] else "combination")
