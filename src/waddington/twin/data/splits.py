"""Which cells and which conditions a model may learn from, and which it is judged on.

A *split* gives every cell a label (a perturbation, a time point or a stage of pseudotime), marks the training cells
and says for every label in which way it is held out. The names of the ways are those of GEARS' ``simulation`` split
(Roohani et al. 2024), plus ``"held-out cells"`` for unseen cells of a seen condition. Prediction uses training cells
only and truth uses test cells only, the controls included: a control mean shared by both sides would inflate every
correlation for free.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from waddington._checks import check_in_range
from waddington._text import counted
from waddington.errors import DataError
from waddington.twin._moved import names_moved_from
from waddington.twin.data.conditions import Condition, Perturbation, condition_label, parse_label

__all__ = [
    "MIN_CELLS",
    "SPLITS",
    "UNORDERED",
    "UNTIMED",
    "Split",
    "draw_train_cells",
    "split_by_condition",
    "split_by_stage",
    "split_by_time",
    "stage_labels",
    "time_labels",
    "time_of_label",
]

__getattr__ = names_moved_from(__name__)

SPLITS = {
    "held-out cells": "cells of a condition whose other cells were seen",
    "combo_seen2": "a double whose two singles were measured",
    "combo_seen1": "a double of which one single was measured",
    "combo_seen0": "a double of which no single was measured",
    "held-out dose": "a dose of a drug whose other doses were measured",
    "unseen_single": "a single that was never measured",
}
"""Ways of being held out, and what they mean."""

MIN_CELLS = 5
"""Fewest test cells with which a condition, or its control, is still scored."""

UNORDERED = "no stage"
"""Label of a cell without pseudotime, where stages are the conditions."""
UNTIMED = "unknown time"
"""Label of a cell without an observed time, where times are the conditions."""

_MANY_SINGLES = 8


@dataclass(frozen=True, kw_only=True)
class Split:
    """One label a cell, the training mask, and the way in which each label is held out."""

    kind: Literal["perturbation", "time", "pseudotime"]
    labels: npt.NDArray[np.str_]
    """Label of each cell, shape (cells,)."""
    control: str
    """The label that change is measured from."""
    train: npt.NDArray[np.bool_]
    """Cells that a model may learn from, shape (cells,)."""
    split_of: dict[str, str]
    """Way of being held out of every scored label but the control, one of :data:`SPLITS`; times in their order."""
    label_order: tuple[str, ...] = ()
    """Labels that have an order of their own, in that order: times, stages; empty for perturbations."""
    notes: tuple[str, ...] = field(default=())
    """What was left out, in words for the report."""

    @classmethod
    def empty(cls, kind: Literal["perturbation", "time", "pseudotime"], control: str) -> Split:
        """Give a split of no cells, which says only what conditions are and which of them is the control."""
        nobody = np.empty(0, dtype=bool)
        return cls(kind=kind, labels=nobody.astype(np.str_), control=control, train=nobody, split_of={})

    def cells(self, label: str, *, train: bool) -> npt.NDArray[np.intp]:
        """Give the indices of the training (or test) cells with a label."""
        return np.flatnonzero((self.labels == label) & (self.train == train))

    @property
    def seen(self) -> tuple[str, ...]:
        """Conditions with training cells, the control excepted, sorted; cells without a condition make none."""
        return tuple(sorted(set(self.labels[self.train].tolist()) - {self.control, UNORDERED, UNTIMED}))


def split_by_condition(
    labels: npt.NDArray[np.str_],
    *,
    split: npt.NDArray[np.str_] | None = None,
    test_fraction: float = 0.2,
    doubles_fraction: float = 0.5,
    singles_fraction: float = 0.1,
    seed: int = 0,
) -> Split:
    """Hold out doubles, some singles, and a share of the cells of everything else.

    Of a drug, the lowest and the highest dose stay: nothing tells of a dose outside the measured ones.

    Parameters
    ----------
    labels
        Canonical condition label of each cell (see :mod:`waddington.twin.data.conditions`).
    split
        ``"train"`` or ``"test"`` for each cell where the data set fixes it; cells are then not drawn.
    test_fraction
        Share of the cells of each seen condition that is held out.
    doubles_fraction
        Share of the double perturbations that is held out whole, at least one where there are any.
    singles_fraction
        Share of the single perturbations that is held out whole; none where there are fewer than 8.
    seed
        Of the draw.

    Raises
    ------
    DataError
        When no cell is a control, or nothing but controls is there.
    """
    check_in_range("test_fraction", test_fraction, 0.0, 1.0, open_low=True, open_high=True)
    check_in_range("doubles_fraction", doubles_fraction, 0.0, 1.0)
    check_in_range("singles_fraction", singles_fraction, 0.0, 1.0)
    control = condition_label(())
    names, counts = np.unique(labels, return_counts=True)
    found = dict(zip(names.tolist(), counts.tolist(), strict=True))
    if control not in found:
        raise DataError(
            f"cannot measure change: found no control among {counted(len(labels), 'cell')} with conditions "
            f"{', '.join(list(found)[:5])}; accepted: cells labelled control, ctrl or non-targeting"
        )
    if len(found) == 1:
        raise DataError(
            f"cannot measure change: found {counted(len(labels), 'cell')}, all controls; accepted: at least one "
            "condition"
        )

    rng = np.random.default_rng(seed)
    conditions = {name: parse_label(name) for name in found if name != control}
    singles = sorted(name for name, edits in conditions.items() if len(edits) == 1)
    doubles = sorted(name for name, edits in conditions.items() if len(edits) > 1)
    held: set[str] = set()
    if split is None:
        if len(singles) >= _MANY_SINGLES:
            apart = sorted(set(singles) - _outermost_doses(conditions[name][0] for name in singles))
            held |= set(rng.permutation(apart)[: round(singles_fraction * len(singles))].tolist())
        if doubles and doubles_fraction > 0:
            held |= set(rng.permutation(doubles)[: max(1, round(doubles_fraction * len(doubles)))].tolist())
        # A double cannot stay in training when it would show the effect of a single that is held out.
        hidden = {edit for name in held if len(conditions[name]) == 1 for edit in conditions[name]}
        held |= {name for name in doubles if hidden & set(conditions[name])}
        train = _draw_cells(labels, test_fraction, rng) & ~np.isin(labels, sorted(held))
    else:
        train = split == "train"
        held = set(conditions) - set(labels[train].tolist())

    trained: set[Perturbation] = {conditions[name][0] for name in singles if name not in held}
    split_of = {
        name: "held-out cells" if name not in held else _unseen(edits, trained) for name, edits in conditions.items()
    }
    return _keep_measured("perturbation", labels, control, train, split_of)


def _unseen(edits: Condition, trained: set[Perturbation]) -> str:
    """Say in which way a condition is unseen."""
    if len(edits) > 1:
        return f"combo_seen{min(2, sum(edit in trained for edit in edits))}"
    (edit,) = edits
    other_doses = edit.dose is not None and any((one.gene, one.mode) == (edit.gene, edit.mode) for one in trained)
    return "held-out dose" if other_doses else "unseen_single"


def _outermost_doses(singles: Iterable[Perturbation]) -> set[str]:
    """Label the lowest and the highest dose of every drug that was given at several."""
    by_drug: dict[tuple[str, str], list[Perturbation]] = {}
    for one in sorted(singles):
        if one.dose is not None:
            by_drug.setdefault((one.gene, one.mode), []).append(one)
    ends = [one for doses in by_drug.values() if len(doses) > 1 for one in (doses[0], doses[-1])]
    return {condition_label((one,)) for one in ends}


def split_by_time(
    times: npt.NDArray[np.floating],
    *,
    unit: str = "",
    split: npt.NDArray[np.str_] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Split:
    """Label cells by their observed time; change is measured from the first one, on held-out cells.

    Labels are such as ``"time 3 h"``, with the unit where it is known.

    Raises
    ------
    DataError
        When fewer than two time points are there.
    """
    labels, order = time_labels(times, unit=unit)
    rng = np.random.default_rng(seed)
    train = _draw_cells(labels, test_fraction, rng) if split is None else split == "train"
    split_of = dict.fromkeys(order[1:], "held-out cells")
    return _keep_measured("time", labels, order[0], train, split_of, label_order=order)


def time_labels(times: npt.NDArray[np.floating], *, unit: str = "") -> tuple[npt.NDArray[np.str_], tuple[str, ...]]:
    """Write each cell's observed time as a label.

    Parameters
    ----------
    times
        (cells,), NaN where unknown: :data:`UNTIMED`.
    unit
        Unit of the times; empty where nothing says it.

    Returns
    -------
    labels
        (cells,), such as ``"time 3 h"``.
    order
        The labels of time points, earliest first.

    Raises
    ------
    DataError
        When fewer than two time points are there.
    """
    times = np.asarray(times, dtype=np.float64)
    points = np.unique(times[np.isfinite(times)])
    if len(points) < 2:
        raise DataError(
            f"cannot order cells by time: found {counted(len(points), 'time point')}; accepted: at least two"
        )
    # Ten digits, because six would give two late times one label.
    name_of = {point: f"time {point:.10g} {unit}".rstrip() for point in points.tolist()}
    return np.array([name_of.get(time, UNTIMED) for time in times.tolist()], dtype=np.str_), tuple(name_of.values())


def time_of_label(label: str) -> float | None:
    """Give the time that a label of :func:`time_labels` names, in its own unit; None where it is none."""
    word, _, rest = label.partition(" ")
    number = rest.partition(" ")[0]
    try:
        return float(number) if word == "time" else None
    except ValueError:
        return None


def split_by_stage(
    pseudotime: npt.NDArray[np.floating],
    *,
    train: npt.NDArray[np.bool_],
    part: npt.NDArray[np.integer] | None = None,
    n_stages: int = 4,
) -> Split:
    """Label cells by quantile of pseudotime, for data with neither perturbation nor time.

    Stage 1 holds the earliest training cells; change is measured from it, on held-out cells. Cells without pseudotime
    have no stage (:data:`UNORDERED`): nothing is learnt from them as a condition, and nothing is judged on them.

    Parameters
    ----------
    pseudotime
        (cells,), NaN for a cell without an order.
    train
        Training cells, (cells,).
    part
        Parts with an order of their own, (cells,): quantiles are taken within each, so that every stage holds the same
        mixture of parts.
    n_stages
        Stages.
    """
    labels = stage_labels(pseudotime, train=train, part=part, n_stages=n_stages)
    split_of = {f"stage {s}": "held-out cells" for s in range(2, n_stages + 1)}
    order = ("stage 1", *split_of)
    return _keep_measured("pseudotime", labels, "stage 1", train, split_of, label_order=order)


def stage_labels(
    pseudotime: npt.NDArray[np.floating],
    *,
    train: npt.NDArray[np.bool_],
    part: npt.NDArray[np.integer] | None = None,
    n_stages: int = 4,
) -> npt.NDArray[np.str_]:
    """Name each cell's stage, a quantile of the training cells' pseudotime; see :func:`split_by_stage`."""
    check_in_range("n_stages", n_stages, 2)
    labels = np.full(len(pseudotime), UNORDERED, dtype=object)
    ordered = np.isfinite(pseudotime)
    own = np.zeros(len(pseudotime), dtype=np.int64) if part is None else part
    for which in np.unique(own[ordered & train]):
        inside = ordered & (own == which)
        edges = np.quantile(pseudotime[inside & train], np.linspace(0.0, 1.0, n_stages + 1)[1:-1])
        stages = 1 + np.searchsorted(edges, pseudotime[inside], side="right")
        labels[inside] = [f"stage {stage}" for stage in stages]
    return labels.astype(np.str_)


def draw_train_cells(n_cells: int, *, test_fraction: float = 0.2, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Draw a training mask over cells that carry no label."""
    return _draw_cells(np.zeros(n_cells, dtype="U1"), test_fraction, np.random.default_rng(seed))


def _draw_cells(labels: npt.NDArray[np.str_], test_fraction: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw the training mask, the same share in every label."""
    train = np.ones(len(labels), dtype=bool)
    for name in np.unique(labels):
        members = np.flatnonzero(labels == name)
        train[rng.permutation(members)[: round(test_fraction * len(members))]] = False
    return train


def _keep_measured(
    kind: Literal["perturbation", "time", "pseudotime"],
    labels: npt.NDArray[np.str_],
    control: str,
    train: npt.NDArray[np.bool_],
    split_of: dict[str, str],
    *,
    label_order: tuple[str, ...] = (),
) -> Split:
    """Score only what has enough test cells, and say what was dropped.

    Raises
    ------
    DataError
        When training or test controls are missing, or nothing is left to score.
    """
    made = Split(kind=kind, labels=labels, control=control, train=train, split_of=split_of)
    for part, is_train in (("training", True), ("test", False)):
        n_control = len(made.cells(control, train=is_train))
        if n_control < MIN_CELLS:
            raise DataError(
                f"cannot measure change from {control!r}: found {counted(n_control, f'{part} cell')} of it; "
                f"accepted: at least {MIN_CELLS}"
            )
    sizes = {name: len(made.cells(name, train=False)) for name in split_of}
    kept = {name: way for name, way in split_of.items() if sizes[name] >= MIN_CELLS}
    dropped = [name for name in split_of if name not in kept]
    if not kept:
        raise DataError(
            f"cannot score any condition: none of {len(split_of)} has {MIN_CELLS} test cells (largest: "
            f"{max(sizes.values(), default=0)}); accepted: more cells a condition or a larger test fraction"
        )
    notes = (
        (
            f"{counted(len(dropped), 'condition')} with fewer than {MIN_CELLS} test cells, not scored: "
            f"{', '.join(dropped[:6])}{', …' if len(dropped) > 6 else ''}",
        )
        if dropped
        else ()
    )
    return Split(
        kind=kind, labels=labels, control=control, train=train, split_of=kept, label_order=label_order, notes=notes
    )
