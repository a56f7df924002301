"""What an edit does to a cell: the additive model of latent shifts, with a shrunken interaction.

The shift of a single edit is the mean of its cells less the mean of the control cells, in an embedding. Doubles are
close to additive but smaller (over the 125 doubles of Norman et al. 2019 the published fits have median coefficients
0.80 and 0.77), so a combination is predicted as ``scale * sum of its single shifts``, with one scale for all, fitted
by least squares on the measured doubles. Nothing is guessed: an edit that was never measured alone has no shift, and
asking for it is an error that names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from waddington._errors import DataError, UnsupportedError
from waddington._text import counted
from waddington.twin.data.conditions import (
    CONTROL,
    Condition,
    condition_label,
    make_condition,
    parse_label,
    resolve_condition,
)

__all__ = ["EditSupport", "LatentResponse", "fit_scale"]

Array = npt.NDArray[np.float64]

_SCALE_RANGE = (0.0, 1.2)


@dataclass(frozen=True, kw_only=True, slots=True)
class EditSupport:
    """How well a single edit was measured.

    Attributes
    ----------
    label
        Canonical label, such as ``"Cebpa:knockout"``.
    n_cells
        Cells that carry this edit and no other.
    shift_norm
        Length of the measured shift, in units of the embedding.
    noise_norm
        Length that sampling noise alone would give: the root of the summed squared standard errors of the difference
        of the two means. A shift that is not longer than this has no measured effect.
    """

    label: str
    n_cells: int
    shift_norm: float
    noise_norm: float


def fit_scale(doubles: npt.ArrayLike, sums: npt.ArrayLike, *, weights: npt.ArrayLike | None = None) -> float:
    """Fit ``c`` in ``double = c * (first + second)`` by weighted least squares.

    Parameters
    ----------
    doubles
        Measured shift of each double, shape (pairs, d).
    sums
        Sum of the two single shifts of each, shape (pairs, d).
    weights
        Weight of each pair, shape (pairs,), such as its number of cells. Default: equal.

    Returns
    -------
    float
        The scale, clipped to [0, 1.2]; 1.0 (additive) when there is no pair or no shift to scale.
    """
    found, expected = np.asarray(doubles, np.float64), np.asarray(sums, np.float64)
    if found.size == 0:
        return 1.0
    weight = np.ones(len(found)) if weights is None else np.asarray(weights, np.float64)
    energy = float(weight @ np.sum(expected**2, axis=1))
    if energy == 0.0:
        return 1.0
    return float(np.clip(weight @ np.sum(found * expected, axis=1) / energy, *_SCALE_RANGE))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LatentResponse:
    """Mean latent shift of each measured edit, and how shifts combine.

    Made by :meth:`fit`.

    Attributes
    ----------
    support
        One record for each single edit, sorted by label.
    shifts
        Their mean shifts against control, shape (edits, d).
    shift_variance
        Squared standard errors of the shifts, shape (edits, d).
    scale
        Factor on the sum of shifts of a combination of two or more edits.
    control_mean
        Mean of the control cells, shape (d,).
    residual_sd
        Standard deviation of cells about the mean of their own condition, pooled over conditions, shape (d,).
    n_doubles
        Measured doubles that `scale` was fitted on.
    """

    support: tuple[EditSupport, ...]
    shifts: Array
    shift_variance: Array
    scale: float
    control_mean: Array
    residual_sd: Array
    n_doubles: int

    @classmethod
    def fit(cls, z: npt.ArrayLike, labels: Iterable[str], *, control: str = CONTROL) -> LatentResponse:
        """Measure the shift of every single edit, and the scale of combinations.

        Parameters
        ----------
        z
            Embedding of the training cells, shape (n, d).
        labels
            Canonical condition label of each cell.
        control
            The label that shifts are measured from.

        Raises
        ------
        DataError
            When shapes disagree, a value is not finite, or no cell is a control.
        """
        cells = np.asarray(z, np.float64)
        names = np.asarray(list(labels), dtype=str)
        _check_cells(cells, names, control)
        mean, variance, count = _moments(cells, names)
        base, base_variance = mean[control], variance[control] / count[control]
        conditions = {name: parse_label(name) for name in mean if name != control}
        singles = sorted(name for name, condition in conditions.items() if len(condition) == 1)
        shift = {name: mean[name] - base for name in singles}
        error = {name: variance[name] / count[name] + base_variance for name in singles}
        parts = {name: [condition_label((edit,)) for edit in condition] for name, condition in conditions.items()}
        pairs = [(name, pair) for name, pair in parts.items() if len(pair) == 2 and set(pair) <= shift.keys()]
        d = cells.shape[1]
        residual = sum(((count[name] - 1) * variance[name] for name in mean), start=np.zeros(d))
        return cls(
            support=tuple(
                EditSupport(
                    label=name,
                    n_cells=count[name],
                    shift_norm=float(np.linalg.norm(shift[name])),
                    noise_norm=float(np.sqrt(error[name].sum())),
                )
                for name in singles
            ),
            shifts=np.array([shift[name] for name in singles]).reshape(-1, d),
            shift_variance=np.array([error[name] for name in singles]).reshape(-1, d),
            scale=fit_scale(
                [mean[name] - base for name, _ in pairs],
                [shift[first] + shift[second] for _, (first, second) in pairs],
                weights=[count[name] for name, _ in pairs],
            ),
            control_mean=base,
            residual_sd=np.sqrt(residual / max(len(cells) - len(mean), 1)),
            n_doubles=len(pairs),
        )

    @property
    def edits(self) -> list[str]:
        """Labels of the single edits with measured support, sorted; row k of `shifts` belongs to the k-th."""
        return [record.label for record in self.support]

    def unsupported(self, condition: str | Condition) -> list[str]:
        """Name the edits of a condition that were never measured alone; empty when all were."""
        known = set(self.edits)
        return [label for label in self._parts(condition) if label not in known]

    def predict(self, condition: str | Condition) -> Array:
        """Predict the mean latent shift of a condition against control.

        Parameters
        ----------
        condition
            Canonical label, also with bare names of edits that were measured in one mode, or tuple of perturbations;
            control gives zeros.

        Returns
        -------
        ndarray
            Shape (d,). One edit gives its measured shift; more give their scaled sum.

        Raises
        ------
        UnsupportedError
            When an edit was never measured alone; names it and those that were.
        DataError
            When a bare name was measured in several modes; names them.
        """
        rows = self._rows(condition)
        factor = self.scale if len(rows) > 1 else 1.0
        return np.asarray(factor * self.shifts[rows].sum(axis=0))

    def standard_error(self, condition: str | Condition) -> Array:
        """Give the sampling error of :meth:`predict`, shape (d,); the model's own error is not in it.

        Raises
        ------
        UnsupportedError
            As :meth:`predict`.
        """
        rows = self._rows(condition)
        factor = self.scale if len(rows) > 1 else 1.0
        return np.asarray(factor * np.sqrt(self.shift_variance[rows].sum(axis=0)))

    def _rows(self, condition: str | Condition) -> list[int]:
        parts = self._parts(condition)
        missing = self.unsupported(condition)
        if missing:
            known = ", ".join(self.edits[:8]) + (", …" if len(self.support) > 8 else "")
            raise UnsupportedError(
                f"cannot predict the response to {'+'.join(parts)}: found no cells with "
                f"{' or '.join(missing)} alone; "
                f"accepted: combinations of the {len(self.support)} measured edits ({known})"
            )
        position = {label: row for row, label in enumerate(self.edits)}
        return [position[label] for label in parts]

    def _parts(self, condition: str | Condition) -> list[str]:
        """Label each edit of a condition."""
        read = resolve_condition(condition, self.edits) if isinstance(condition, str) else make_condition(condition)
        return [condition_label((edit,)) for edit in read]


def _check_cells(cells: Array, names: npt.NDArray[np.str_], control: str) -> None:
    if cells.ndim != 2 or len(cells) != len(names):
        raise DataError(
            f"cannot fit a response: found an embedding of shape {cells.shape} and {counted(len(names), 'label')}; "
            "accepted: shape (n, d) and n labels"
        )
    if not np.isfinite(cells).all():
        bad = int((~np.isfinite(cells)).any(axis=1).sum())
        raise DataError(
            f"cannot fit a response: found NaN or infinity in {bad} of {counted(len(cells), 'cell')}; accepted: numbers"
        )
    if not (names == control).any():
        raise DataError(
            f"cannot fit a response: found no cell labelled {control!r} among {len(names)}; accepted: at least one"
        )


def _moments(cells: Array, names: npt.NDArray[np.str_]) -> tuple[dict[str, Array], dict[str, Array], dict[str, int]]:
    """Give mean, unbiased variance (zero for one cell) and number of the cells of each label."""
    order = np.argsort(names, kind="stable")
    labels, starts = np.unique(names[order], return_index=True)
    mean: dict[str, Array] = {}
    variance: dict[str, Array] = {}
    count: dict[str, int] = {}
    for label, rows in zip(labels.tolist(), np.split(order, starts[1:]), strict=True):
        group = cells[rows]
        mean[label] = group.mean(axis=0)
        variance[label] = group.var(axis=0, ddof=1) if len(group) > 1 else np.zeros(cells.shape[1])
        count[label] = len(group)
    return mean, variance, count
