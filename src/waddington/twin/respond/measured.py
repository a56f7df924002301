"""What training cells show of every condition: mean, variance and number of cells. Models of means learn from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.conditions import condition_label, parse_label
from waddington.twin.data.splits import UNORDERED, UNTIMED, Split
from waddington.twin.respond.doses import DoseRange, Term, doses_by_drug, term_of

__all__ = ["Measured", "Table", "Values", "parts_of_label"]

Values = Mapping[str, npt.NDArray[np.floating]]
"""Normalized profiles, (cells, features), by modality."""

_COLUMNS = 512
"""Features that are summed in float64 at once."""


def parts_of_label(label: str, kind: str, control: str) -> tuple[str, ...]:
    """Name the single perturbations of a condition; a time or a stage is a part of its own, the control has none."""
    if label == control:
        return ()
    if kind != "perturbation":
        return (label,)
    return tuple(condition_label((perturbation,)) for perturbation in parse_label(label))


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """One modality: a row for each condition, the control first."""

    mean: npt.NDArray[np.float64]
    """(conditions, features)."""
    variance: npt.NDArray[np.float64]
    """Unbiased, among the cells of a condition; zeros for a single cell, (conditions, features)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Means of all training conditions, the control among them.

    Made by :meth:`of`.
    """

    kind: str
    """What conditions are: ``"perturbation"``, ``"time"`` or ``"pseudotime"``."""
    labels: tuple[str, ...]
    """The control, then the conditions, sorted."""
    n: npt.NDArray[np.float64]
    """Cells of each, (conditions,); where groups were matched, the number that gives the mean its precision."""
    tables: Mapping[str, Table]
    """By modality."""
    names: Mapping[str, npt.NDArray[np.str_]]
    """Names of the features by modality; empty where nobody said."""

    @classmethod
    def of(
        cls,
        values: Values,
        split: Split,
        *,
        names: Mapping[str, npt.NDArray[np.str_]] | None = None,
        cells: npt.NDArray[np.bool_] | None = None,
    ) -> Measured:
        """Sum up training cells.

        Parameters
        ----------
        values
            Profiles of all cells.
        split
            Labels and training mask of the same cells.
        names
            Names of the features.
        cells
            Use these training cells alone, (cells,).

        Raises
        ------
        DataError
            When there is no training cell of the control, or of any other condition, or a training cell's value is
            missing or infinite; names a feature and a condition.
        """
        train = split.train if cells is None else split.train & cells
        used = np.flatnonzero(train & ~np.isin(split.labels, (UNORDERED, UNTIMED, "")))
        found = sorted(set(split.labels[used].tolist()) - {split.control})
        labels = (split.control, *found)
        row = {label: i for i, label in enumerate(labels)}
        group = np.array([row[label] for label in split.labels[used].tolist()], dtype=np.intp)
        n = np.bincount(group, minlength=len(labels)).astype(np.float64)
        if not n[0] or not found:
            raise DataError(
                f"cannot learn a response: found {counted(int(n[0]), 'training cell')} of {split.control!r} and "
                f"{len(found)} other conditions; accepted: at least one of each"
            )
        tables = {modality: _summed(x, used, group, n) for modality, x in values.items()}
        for modality, table in tables.items():
            _check_finite(modality, table, labels, None if names is None else names.get(modality))
        return cls(kind=split.kind, labels=labels, n=n, tables=tables, names={} if names is None else dict(names))

    @property
    def control(self) -> str:
        """The label that effects are measured from."""
        return self.labels[0]

    @cached_property
    def row(self) -> dict[str, int]:
        """Place of each label."""
        return {label: i for i, label in enumerate(self.labels)}

    @cached_property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """Single perturbations of each label; none of the control."""
        return tuple(parts_of_label(label, self.kind, self.control) for label in self.labels)

    @cached_property
    def perturbations(self) -> tuple[str, ...]:
        """Every single perturbation that occurs, alone or in a combination, sorted."""
        return tuple(sorted({part for parts in self.parts for part in parts}))

    def effects(self, modality: str) -> npt.NDArray[np.float64]:
        """Give each condition's mean less the control's, (conditions, features); zeros for the control."""
        mean = self.tables[modality].mean
        return np.asarray(mean - mean[0])

    def pooled_variance(self, modality: str) -> npt.NDArray[np.float64]:
        """Give the variance of cells about the mean of their condition, (features,).

        Conditions weigh by their number of cells; one of a single cell tells nothing of it. Zeros where all are such.
        """
        n = np.where(self.n > 1.0, self.n, 0.0)
        return np.asarray(n @ self.tables[modality].variance / max(n.sum(), 1.0))

    def behind(self, label: str) -> dict[int, float]:
        """Give the rows that tell most of a canonical label, with their weights: its own, or else those of its parts.

        A part that was measured alone is told by that row, another by the combination of most cells that shows it, a
        dose between two by those. A part that nothing tells of has no row.
        """
        if label in self.row:
            return {self.row[label]: 1.0} if self.row[label] else {}
        rows: dict[int, float] = {}
        for term in self.terms(label):
            for part, weight in term.weights.items():
                row = self._telling(part)
                rows[row] = rows.get(row, 0.0) + weight
        return rows

    def terms(self, label: str) -> tuple[Term, ...]:
        """Say by which perturbations each part of a canonical label is told."""
        parts = parts_of_label(label, self.kind, self.control)
        return tuple(term_of(part, self._most_cells, self._doses) for part in parts)

    def weighted_effect(self, modality: str, weights: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """Sum the effects of the rows that tell most of some perturbations, (features,)."""
        mean = self.tables[modality].mean
        return np.asarray(sum(weight * (mean[self._telling(part)] - mean[0]) for part, weight in weights.items()))

    def _telling(self, part: str) -> int:
        """Find the row of a perturbation alone, or the combination of most cells that shows it."""
        return self.row[part] if part in self.row else self._most_cells[part]

    @cached_property
    def _most_cells(self) -> dict[str, int]:
        """Row of most cells that shows each perturbation."""
        found: dict[str, int] = {}
        for row, parts in enumerate(self.parts):
            for part in parts:
                if part not in found or self.n[row] > self.n[found[part]]:
                    found[part] = row
        return found

    @cached_property
    def _doses(self) -> dict[tuple[str, str], DoseRange]:
        return doses_by_drug(self.perturbations) if self.kind == "perturbation" else {}

    def sampling_error(self, modality: str, rows: Mapping[int, float]) -> npt.NDArray[np.float64]:
        """Give the standard error that the number of cells leaves in the weighted sum of rows' effects, (features,).

        All are measured from the same control, whose error is in the sum as often as the weights are together.
        """
        variance, n = self.tables[modality].variance, self.n
        pooled = self.pooled_variance(modality)
        of_means = {row: (variance[row] if n[row] > 1 else pooled) / n[row] for row in (0, *rows)}
        control = sum(rows.values()) ** 2 * of_means[0]
        return np.asarray(np.sqrt(control + sum(weight**2 * of_means[row] for row, weight in rows.items())))

    def without(self, labels: Collection[str]) -> Measured:
        """Leave conditions out; the control stays.

        Raises
        ------
        DataError
            When nothing is left beside the control.
        """
        kept = [i for i, label in enumerate(self.labels) if i == 0 or label not in labels]
        if len(kept) < 2:
            raise DataError("cannot learn a response: no condition is left beside the control; accepted: at least one")
        return replace(
            self,
            labels=tuple(self.labels[i] for i in kept),
            n=self.n[kept],
            tables={
                name: Table(mean=table.mean[kept], variance=table.variance[kept]) for name, table in self.tables.items()
            },
        )

    def state_dict(self) -> dict[str, Any]:
        """Give everything as tensors, numbers and strings."""
        return {
            "kind": self.kind,
            "labels": list(self.labels),
            "n": torch.from_numpy(self.n.copy()),
            "tables": {
                name: {"mean": torch.from_numpy(table.mean.copy()), "variance": torch.from_numpy(table.variance.copy())}
                for name, table in self.tables.items()
            },
            "names": {name: list(map(str, features)) for name, features in self.names.items()},
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Measured:
        """Make it from what :meth:`state_dict` gave."""
        return cls(
            kind=state["kind"],
            labels=tuple(state["labels"]),
            n=state["n"].numpy().copy(),
            tables={
                name: Table(mean=table["mean"].numpy().copy(), variance=table["variance"].numpy().copy())
                for name, table in state["tables"].items()
            },
            names={name: np.asarray(features, dtype=np.str_) for name, features in state["names"].items()},
        )


def _summed(
    x: npt.NDArray[np.floating], used: npt.NDArray[np.intp], group: npt.NDArray[np.intp], n: npt.NDArray[np.float64]
) -> Table:
    """Sum by condition in float64, some features at a time; centred first, so that squares lose no digits."""
    members = sparse.csr_array((np.ones(len(used)), (group, np.arange(len(used)))), shape=(len(n), len(used)))
    mean, variance = np.empty((len(n), x.shape[1])), np.empty((len(n), x.shape[1]))
    for start in range(0, x.shape[1], _COLUMNS):
        part = slice(start, start + _COLUMNS)
        cells = x[used, part].astype(np.float64)
        mean[:, part] = np.asarray(members @ cells) / n[:, None]
        with np.errstate(invalid="ignore"):  # infinities are refused by name
            cells -= mean[group, part]
        np.square(cells, out=cells)
        variance[:, part] = np.asarray(members @ cells) / np.maximum(n - 1.0, 1.0)[:, None]
    return Table(mean=mean, variance=variance)


def _check_finite(modality: str, table: Table, labels: tuple[str, ...], names: npt.NDArray[np.str_] | None) -> None:
    wrong = np.argwhere(~np.isfinite(table.mean))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise DataError(
            f"cannot learn a response: feature {column if names is None else str(names[column])!r} of {modality!r} has "
            f"values that are missing or infinite in cells of {labels[row]!r}, as have "
            f"{counted(len(set(wrong[:, 1].tolist())), 'feature')} in all; accepted: finite values"
        )
