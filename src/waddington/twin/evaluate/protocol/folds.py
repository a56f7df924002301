"""What is hidden from models together, and how each hidden condition counts as unseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from waddington._checks import check_known
from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.splits import MIN_CELLS
from waddington.twin.evaluate.protocol.screen import Screen
from waddington.twin.respond.doses import DoseRange, doses_by_drug, inner_doses, range_of
from waddington.twin.respond.measured import parts_of_label

__all__ = ["ALONE", "FOLDS", "WAYS", "Fold", "folds_of"]

WAYS: Mapping[str, str] = {
    "held-out cells": "cells of a condition whose other cells were seen",
    "combo_seen2": "a combination whose single perturbations were all measured alone",
    "combo_seen1": "a combination of which some single perturbation was measured alone",
    "combo_seen0": "a combination of which no single perturbation was measured alone",
    "held-out dose": "a dose of a drug of which a lower and a higher one were seen",
    "unseen_single": "a single perturbation that no training cell carries",
    "held-out group": "a condition in a group of which only unperturbed cells were seen",
    "unseen time": "a later time that no training cell has",
}
"""Ways of being held out, and what they mean; those of cells, combinations and singles are GEARS' names."""

ALONE = 40
"""Conditions of a way up to which each is hidden alone."""
FOLDS = 10
"""Folds into which more are dealt."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """What is hidden together."""

    way: str
    """One of :data:`WAYS`."""
    targets: Mapping[str, str]
    """Conditions that are scored, each with its way."""
    left_out: frozenset[str]
    """Conditions that are not learned from."""
    half_of_cells: bool = False
    """Whether one half of each condition's cells is learned from and the other scored."""
    group: str | None = None
    """The group whose perturbed cells are all hidden."""
    given: bool = False
    """Whether the data say which cells are learned from."""


def folds_of(
    screen: Screen, *, splits: Sequence[str] | None = None, seed: int = 0, alone: int = ALONE, n_folds: int = FOLDS
) -> list[Fold]:
    """Say what is to be hidden.

    Few conditions of a way are each hidden alone; more are dealt into folds at random. With a perturbation that
    is to be unseen, every combination that holds it is hidden, too, and of a drug all doses.

    Parameters
    ----------
    screen
        The cells.
    splits
        Ways to use. By default those of the screen's own training and test cells, where it says which they are; else
        all that it allows: with groups that is the held-out group alone. Ways that the screen's own cells don't have
        are hidden in turn from all cells.
    seed
        Of the deal.
    alone
        Conditions of a way up to which each is hidden alone.
    n_folds
        Folds into which more are dealt.

    Raises
    ------
    UnknownNameError
        For a way that is none of :data:`WAYS`.
    DataError
        When the screen allows none of them, or its own split leaves too few controls to judge by.
    """
    for way in splits or ():
        check_known("split", way, WAYS)
    deal = _Deal(np.random.default_rng(seed), alone=alone, n_folds=n_folds)
    given = [] if screen.train is None else _given_fold(screen, screen.train)
    if given and (splits is None or set(splits) & set(given[0].targets.values())):
        _check_judging_controls(screen, screen.train)
        made = given
    elif screen.groups is not None:
        made = _group_folds(screen)
    elif screen.kind == "perturbation":
        made = [*_combination_folds(screen, deal), *_single_folds(screen, deal), *_dose_folds(screen, deal)]
        made += _cell_folds(screen)
    elif screen.kind == "time":
        made = [*_time_folds(screen), *_cell_folds(screen)]
    else:
        made = _cell_folds(screen)
    if splits is not None:
        made = [
            replace(fold, targets=kept)
            for fold in made
            if (kept := {label: way for label, way in fold.targets.items() if way in splits})
        ]
    if not made:
        asked = f"splits={', '.join(splits)}" if splits else "any split"
        if screen.groups is not None:
            raise DataError(
                f"cannot evaluate by {asked}: with groups each group is hidden in turn, and found are "
                f"{_groups_in_words(screen)}; accepted: a condition of {MIN_CELLS} cells in two groups that have "
                f"{2 * MIN_CELLS} controls each"
            )
        raise DataError(
            f"cannot evaluate by {asked}: the conditions allow none of them; accepted are ways of holding out "
            f"that they allow, of {', '.join(WAYS)}"
        )
    return made


def _check_judging_controls(screen: Screen, train: npt.NDArray[np.bool_] | None) -> None:
    assert train is not None
    n_control = int(((screen.labels == screen.control) & ~train).sum())
    if n_control < MIN_CELLS:
        raise DataError(
            f"cannot evaluate by the split of the data: found {counted(n_control, 'test cell')} of {screen.control!r}, "
            f"from which the truth is measured; accepted: at least {MIN_CELLS}, or cells that bear no split"
        )


def _given_fold(screen: Screen, train: npt.NDArray[np.bool_]) -> list[Fold]:
    """Score what has test cells; how it counts as unseen follows from the training cells."""
    learned = set(screen.labels[train].tolist())
    targets = {}
    for label in screen.conditions:
        if ((screen.labels == label) & ~train).sum() < MIN_CELLS:
            continue
        parts = _parts(screen, label)
        seen = sum(part in learned for part in parts)
        if label in learned:
            targets[label] = "held-out cells"
        elif len(parts) > 1:
            targets[label] = f"combo_seen{2 if seen == len(parts) else min(seen, 1)}"
        elif screen.kind == "perturbation":
            drugs = doses_by_drug(part for one in learned for part in _parts(screen, one))
            targets[label] = "held-out dose" if range_of(label, drugs) else "unseen_single"
        else:
            targets[label] = "unseen time"
    return [Fold(way="given", targets=targets, left_out=frozenset(), given=True)] if targets else []


def _combination_folds(screen: Screen, deal: _Deal) -> list[Fold]:
    alone = {parts[0] for label in screen.counts if len(parts := _parts(screen, label)) == 1}
    targets = {}
    for label in screen.conditions:
        parts = _parts(screen, label)
        if len(parts) > 1:
            seen = sum(part in alone for part in parts)
            targets[label] = f"combo_seen{2 if seen == len(parts) else min(seen, 1)}"
    return [
        Fold(way="combo", targets={label: targets[label] for label in hidden}, left_out=frozenset(hidden))
        for hidden in deal(sorted(targets))
        if len(screen.counts) > len(hidden) + 1
    ]


def _single_folds(screen: Screen, deal: _Deal) -> list[Fold]:
    singles = [label for label in screen.conditions if len(_parts(screen, label)) == 1]
    drugs = doses_by_drug(part for label in screen.counts for part in _parts(screen, label))
    together: dict[str, list[str]] = {}
    for label in singles:
        doses = range_of(label, drugs)
        together.setdefault(label if doses is None else doses.drug, []).append(label)
    found = []
    for dealt in deal(sorted(together)):
        targets = [label for name in dealt for label in together[name]]
        # Combinations may hold doses that were never given alone.
        unseen = {*targets, *(part for name in dealt for part in _doses_of(name, drugs))}
        hidden = frozenset(label for label in screen.counts if unseen & set(_parts(screen, label)))
        if set(screen.counts) - hidden - {screen.control}:
            found.append(Fold(way="unseen_single", targets=dict.fromkeys(targets, "unseen_single"), left_out=hidden))
    return found


def _dose_folds(screen: Screen, deal: _Deal) -> list[Fold]:
    """Hide doses that have another on either side, and every combination that holds them."""
    singles = [label for label in screen.counts if len(_parts(screen, label)) == 1]
    way = "held-out dose"
    found = []
    for dealt in deal([label for label in inner_doses(singles) if label in screen.conditions]):
        hidden = frozenset(label for label in screen.counts if set(dealt) & set(_parts(screen, label)))
        found.append(Fold(way=way, targets=dict.fromkeys(dealt, way), left_out=hidden))
    return found


def _doses_of(name: str, drugs: Mapping[tuple[str, str], DoseRange]) -> list[str]:
    return next((list(doses.parts.values()) for doses in drugs.values() if doses.drug == name), [])


def _cell_folds(screen: Screen) -> list[Fold]:
    targets = [label for label in screen.conditions if screen.counts[label] >= 2 * MIN_CELLS]
    way = "held-out cells"
    fold = Fold(way=way, targets=dict.fromkeys(targets, way), left_out=frozenset(), half_of_cells=True)
    return [fold] if targets else []


def _time_folds(screen: Screen) -> list[Fold]:
    """Hide each time but the first two, and every later one: what comes is foretold from what was."""
    # Times of too few cells are not scored, and hidden with the others all the same.
    return [
        Fold(
            way="unseen time",
            targets={label: "unseen time"},
            left_out=frozenset(screen.order[screen.order.index(label) :]),
        )
        for label in screen.conditions[1:]
    ]


def _group_folds(screen: Screen) -> list[Fold]:
    """Hide all perturbed cells of each group, of conditions that another group shows."""
    assert screen.groups is not None
    found = []
    held = {group: _scored_in(screen, group) for group in np.unique(screen.groups).tolist()}
    for group, labels in held.items():
        elsewhere = set().union(*(other for name, other in held.items() if name != group))
        targets = dict.fromkeys(sorted(labels & elsewhere), "held-out group")
        if targets:
            found.append(Fold(way="held-out group", targets=targets, left_out=frozenset(), group=str(group)))
    return found


def _scored_in(screen: Screen, group: str) -> set[str]:
    """Name the conditions that a group shows in enough cells, if it has enough controls for two halves."""
    labels, counts = np.unique(screen.labels[screen.groups == group], return_counts=True)
    known = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    if known.get(screen.control, 0) < 2 * MIN_CELLS:
        return set()
    return {label for label in screen.conditions if known.get(label, 0) >= MIN_CELLS}


def _groups_in_words(screen: Screen, most: int = 4) -> str:
    assert screen.groups is not None
    names, cells = np.unique(screen.groups, return_counts=True)
    controls = [int(((screen.groups == name) & (screen.labels == screen.control)).sum()) for name in names[:most]]
    shown = [
        f"{str(name)!r} ({counted(int(n), 'cell')}, {counted(of_them, 'control')})"
        for name, n, of_them in zip(names, cells, controls, strict=False)
    ]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def _parts(screen: Screen, label: str) -> tuple[str, ...]:
    return parts_of_label(label, screen.kind, screen.control)


@dataclass(frozen=True)
class _Deal:
    """How conditions of a way are dealt into what is hidden together."""

    rng: np.random.Generator
    alone: int
    n_folds: int

    def __call__(self, labels: Sequence[str]) -> list[list[str]]:
        if len(labels) <= self.alone:
            return [[label] for label in labels]
        shuffled = self.rng.permutation(np.array(labels)).tolist()
        return [sorted(part) for start in range(self.n_folds) if (part := shuffled[start :: self.n_folds])]
