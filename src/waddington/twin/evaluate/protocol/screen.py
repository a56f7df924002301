"""The cells that models are judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.conditions import parse_label
from waddington.twin.data.splits import MIN_CELLS, UNORDERED, UNTIMED, Split
from waddington.twin.respond.base import Training

__all__ = ["Screen"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Screen:
    """Normalized profiles of cells, each with its condition.

    Raises
    ------
    DataError
        When shapes disagree, a value is not finite, a feature has the name of another, there are too few controls, or
        fewer than two conditions.
    """

    values: Mapping[str, npt.NDArray[np.float32]]
    """(cells, features), by modality."""
    names: Mapping[str, npt.NDArray[np.str_]]
    """Names of the features, by modality."""
    labels: npt.NDArray[np.str_]
    """Canonical condition of each cell, (cells,)."""
    control: str
    kind: Literal["perturbation", "time", "pseudotime"] = "perturbation"
    order: tuple[str, ...] = ()
    """Conditions that have an order, in that order: times."""
    groups: npt.NDArray[np.str_] | None = None
    """Donor, cell type, line or batch of each cell, (cells,)."""
    representation: npt.NDArray[np.float32] | None = None
    """For models that use one, (cells, dimensions)."""
    train: npt.NDArray[np.bool_] | None = None
    """Training cells where the data say which they are, (cells,): all others are test cells."""
    dose_unit: str = ""
    """Unit of the doses in labels; empty where nothing says it."""
    notes: tuple[str, ...] = ()
    """What was left out before."""

    def __post_init__(self) -> None:
        for modality, x in self.values.items():
            if x.shape != (len(self.labels), len(self.names[modality])):
                raise DataError(
                    f"cannot evaluate {modality}: found profiles of shape {x.shape}, "
                    f"{counted(len(self.labels), 'label')} and {len(self.names[modality])} names of features; "
                    "accepted: (cells, features)"
                )
            if not np.isfinite(x).all():
                bad = int((~np.isfinite(x)).any(axis=0).sum())
                raise DataError(
                    f"cannot evaluate {modality}: found NaN or infinity in {counted(bad, 'feature')}; accepted: numbers"
                )
            found, times = np.unique(self.names[modality], return_counts=True)
            if (times > 1).any():
                raise DataError(
                    f"cannot evaluate {modality}: found {counted(int((times > 1).sum()), 'name')} of more than one "
                    f"feature, the first is {str(found[times > 1][0])!r}; accepted: each name once"
                )
        n_control = int((self.labels == self.control).sum())
        if n_control < 2 * MIN_CELLS:
            raise DataError(
                f"cannot evaluate: found {counted(n_control, 'cell')} of {self.control!r}, which predictions and truth "
                f"share between them, none in both; accepted: at least {2 * MIN_CELLS}"
            )
        if not self.conditions:
            raise DataError(
                f"cannot evaluate: found no condition with {MIN_CELLS} cells beside {self.control!r}; accepted: at "
                "least one"
            )

    @cached_property
    def counts(self) -> dict[str, int]:
        """Cells of each condition, the control among them."""
        names, counts = np.unique(self.labels, return_counts=True)
        left_out = {UNORDERED, UNTIMED, ""}
        return {str(name): int(n) for name, n in zip(names, counts, strict=True) if str(name) not in left_out}

    @cached_property
    def conditions(self) -> tuple[str, ...]:
        """Conditions with enough cells to be scored, in their order, else sorted; the control excepted."""
        scored = {name for name, n in self.counts.items() if n >= MIN_CELLS and name != self.control}
        return tuple(name for name in self.order if name in scored) or tuple(sorted(scored))

    @cached_property
    def too_small(self) -> tuple[str, ...]:
        """Conditions with too few cells to be scored; models may learn from them."""
        return tuple(sorted(set(self.counts) - set(self.conditions) - {self.control}))

    def cells(self, label: str) -> npt.NDArray[np.intp]:
        """Give the rows of a condition's cells."""
        return np.flatnonzero(self.labels == label)

    def edited(self, label: str) -> list[str]:
        """Name the genes that a condition perturbs itself."""
        return [one.gene for one in parse_label(label)] if self.kind == "perturbation" else []

    @cached_property
    def all_edited(self) -> frozenset[str]:
        """Genes that any condition perturbs."""
        return frozenset(gene for label in self.counts for gene in self.edited(label))

    @cached_property
    def dosed(self) -> bool:
        """Whether any condition bears a dose."""
        return self.kind == "perturbation" and any(
            one.dose is not None for label in self.counts for one in parse_label(label)
        )

    def training(self, train: npt.NDArray[np.bool_], *, left_out: frozenset[str] = frozenset()) -> Training:
        """Give what models may learn from: some cells, less some conditions."""
        split = Split(kind=self.kind, labels=self.labels, control=self.control, train=train, split_of={})
        return Training(
            values=self.values,
            split=split,
            names=self.names,
            representation=self.representation,
            groups=self.groups,
            left_out=left_out,
        )

    def of_group(self, group: str) -> Screen:
        """Give the cells of one group, without groups."""
        assert self.groups is not None
        inside = self.groups == group
        return replace(
            self,
            values={name: x[inside] for name, x in self.values.items()},
            labels=self.labels[inside],
            groups=None,
            representation=None if self.representation is None else self.representation[inside],
            train=None,
        )

    def permuted(self, rng: np.random.Generator) -> Screen:
        """Give the same cells with their conditions drawn anew, within groups and among training and test cells."""
        labels = self.labels.copy()
        for rows in self._exchangeable():
            labels[rows] = rng.permutation(labels[rows])
        return replace(self, labels=labels)

    def _exchangeable(self) -> list[npt.NDArray[np.intp]]:
        strata = np.zeros(len(self.labels), dtype=np.intp)
        for known in (self.groups, self.train):
            if known is not None:
                strata = 2 * len(strata) * strata + np.unique(known, return_inverse=True)[1]
        return [np.flatnonzero(strata == one) for one in np.unique(strata)]
