"""What a perturbation does to a cell: the additive model of latent effects, with a shrunken interaction.

The effect of a single perturbation is the mean of its cells less the mean of the control cells, in an embedding.
Doubles are close to additive but smaller (over the 125 doubles of Norman et al. 2019 the published fits have median
coefficients 0.80 and 0.77), so a combination is predicted as ``scale * sum of its single effects``, with one scale for
all, fitted by least squares on the measured doubles. Nothing is guessed: a perturbation that was never measured alone
has no known effect, and asking for it is an error that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from waddington._text import counted
from waddington.errors import DataError, UnsupportedError
from waddington.twin._arrays import check_arrays
from waddington.twin._moved import names_moved_from, renamed
from waddington.twin.data.conditions import (
    CONTROL,
    Condition,
    condition_label,
    make_condition,
    parse_label,
    resolve_condition,
)

__all__ = ["LatentResponse", "PerturbationSupport", "fit_scale"]

__getattr__ = names_moved_from(__name__)

Array = npt.NDArray[np.float64]

_SCALE_RANGE = (0.0, 1.2)


@renamed(shift_norm="effect_norm")
@dataclass(frozen=True, kw_only=True, slots=True)
class PerturbationSupport:
    """How well a single perturbation was measured.

    Attributes
    ----------
    label
        Canonical label, such as ``"Cebpa:knockout"``.
    n_cells
        Cells that carry this perturbation and no other.
    effect_norm
        Length of the measured effect, in units of the embedding.
    noise_norm
        Length that sampling noise alone would give: the root of the summed squared standard errors of the difference
        of the two means. A perturbation whose effect is not longer than this has no measured effect.
    """

    label: str
    n_cells: int
    effect_norm: float
    noise_norm: float


def fit_scale(doubles: npt.ArrayLike, sums: npt.ArrayLike, *, weights: npt.ArrayLike | None = None) -> float:
    """Fit ``c`` in ``double = c * (first + second)`` by weighted least squares.

    Parameters
    ----------
    doubles
        Measured effect of each double, shape (pairs, d).
    sums
        Sum of the two single effects of each, shape (pairs, d).
    weights
        Weight of each pair, shape (pairs,), such as its number of cells. Default: equal.

    Returns
    -------
    float
        The scale, clipped to [0, 1.2]; 1.0 (additive) when there is no pair or no effect to scale.
    """
    found, expected = np.asarray(doubles, np.float64), np.asarray(sums, np.float64)
    if found.size == 0:
        return 1.0
    weight = np.ones(len(found)) if weights is None else np.asarray(weights, np.float64)
    energy = float(weight @ np.sum(expected**2, axis=1))
    if energy == 0.0:
        return 1.0
    return float(np.clip(weight @ np.sum(found * expected, axis=1) / energy, *_SCALE_RANGE))


@renamed(shifts="effects", shift_variance="effect_variance", edits="perturbations")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LatentResponse:
    """Mean latent effect of each measured perturbation, and how effects combine.

    Made by :meth:`fit`.

    Attributes
    ----------
    support
        One record for each single perturbation, sorted by label.
    effects
        Their mean effects against control, shape (perturbations, d).
    effect_variance
        Squared standard errors of the effects, shape (perturbations, d).
    scale
        Factor on the sum of effects of a combination of two or more perturbations.
    control_mean
        Mean of the control cells, shape (d,).
    control_variance
        Its squared standard error, shape (d,), which all effects share; 0 in models that were kept without it.
    residual_sd
        Standard deviation of cells about the mean of their own condition, pooled over conditions, shape (d,).
    n_doubles
        Measured doubles that `scale` was fitted on.
    """

    support: tuple[PerturbationSupport, ...]
    effects: Array
    effect_variance: Array
    scale: float
    control_mean: Array
    residual_sd: Array
    n_doubles: int
    control_variance: Array | float = 0.0

    @classmethod
    def fit(cls, z: npt.ArrayLike, labels: Iterable[str], *, control: str = CONTROL) -> LatentResponse:
        """Measure the effect of every single perturbation, and the scale of combinations.

        Parameters
        ----------
        z
            Embedding of the training cells, shape (n, d).
        labels
            Canonical condition label of each cell.
        control
            The label that effects are measured from.

        Raises
        ------
        DataError
            When shapes disagree, a value is not finite, or no cell is a control.
        """
        check_arrays(z, "fit a response to", instead="waddington.twin.tl.predict")
        cells = np.asarray(z, np.float64)
        names = np.asarray(list(labels), dtype=str)
        _check_cells(cells, names, control)
        mean, variance, count = _moments(cells, names)
        base, base_variance = mean[control], variance[control] / count[control]
        conditions = {name: parse_label(name) for name in mean if name != control}
        singles = sorted(name for name, condition in conditions.items() if len(condition) == 1)
        effect = {name: mean[name] - base for name in singles}
        error = {name: variance[name] / count[name] + base_variance for name in singles}
        parts = {
            name: [condition_label((perturbation,)) for perturbation in condition]
            for name, condition in conditions.items()
        }
        pairs = [(name, pair) for name, pair in parts.items() if len(pair) == 2 and set(pair) <= effect.keys()]
        d = cells.shape[1]
        residual = sum(((count[name] - 1) * variance[name] for name in mean), start=np.zeros(d))
        return cls(
            support=tuple(
                PerturbationSupport(
                    label=name,
                    n_cells=count[name],
                    effect_norm=float(np.linalg.norm(effect[name])),
                    noise_norm=float(np.sqrt(error[name].sum())),
                )
                for name in singles
            ),
            effects=np.array([effect[name] for name in singles]).reshape(-1, d),
            effect_variance=np.array([error[name] for name in singles]).reshape(-1, d),
            scale=fit_scale(
                [mean[name] - base for name, _ in pairs],
                [effect[first] + effect[second] for _, (first, second) in pairs],
                weights=[count[name] for name, _ in pairs],
            ),
            control_mean=base,
            control_variance=base_variance,
            residual_sd=np.sqrt(residual / max(len(cells) - len(mean), 1)),
            n_doubles=len(pairs),
        )

    @property
    def perturbations(self) -> list[str]:
        """Labels of the single perturbations with measured support, sorted; row k of `effects` belongs to the k-th."""
        return [record.label for record in self.support]

    def unsupported(self, condition: str | Condition) -> list[str]:
        """Name the perturbations of a condition that were never measured alone; empty when all were."""
        known = set(self.perturbations)
        return [label for label in self._parts(condition) if label not in known]

    def predict(self, condition: str | Condition) -> Array:
        """Predict the mean latent effect of a condition against control.

        Parameters
        ----------
        condition
            Canonical label, also with bare names of perturbations that were measured in one mode, or tuple of
            perturbations; control gives zeros.

        Returns
        -------
        ndarray
            Shape (d,). One perturbation gives its measured effect; more give their scaled sum.

        Raises
        ------
        UnsupportedError
            When a perturbation was never measured alone; names it and those that were.
        DataError
            When a bare name was measured in several modes; names them.
        """
        rows = self._rows(condition)
        factor = self.scale if len(rows) > 1 else 1.0
        return np.asarray(factor * self.effects[rows].sum(axis=0))

    def standard_error(self, condition: str | Condition) -> Array:
        """Give the sampling error of :meth:`predict`, shape (d,); the model's own error is not in it.

        Raises
        ------
        UnsupportedError
            As :meth:`predict`.
        """
        rows = self._rows(condition)
        factor = self.scale if len(rows) > 1 else 1.0
        # The control's error is in every effect: in the sum it does not average out.
        shared = (len(rows) ** 2 - len(rows)) * self.control_variance
        return np.asarray(factor * np.sqrt(self.effect_variance[rows].sum(axis=0) + shared))

    def state_dict(self) -> dict[str, Any]:
        """Give everything as tensors, numbers and strings."""
        arrays = ("effects", "effect_variance", "control_mean", "control_variance", "residual_sd")
        tensors: dict[str, Any] = {name: torch.from_numpy(np.array(getattr(self, name))) for name in arrays}
        support = [asdict(one) for one in self.support]
        return {**tensors, "support": support, "scale": self.scale, "n_doubles": self.n_doubles}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> LatentResponse:
        """Make a response from what :meth:`state_dict` gave."""
        values: dict[str, Any] = {
            key: value.numpy().copy() if isinstance(value, torch.Tensor) else value for key, value in state.items()
        }
        return cls(**{**values, "support": tuple(PerturbationSupport(**one) for one in state["support"])})

    def _rows(self, condition: str | Condition) -> list[int]:
        parts = self._parts(condition)
        missing = self.unsupported(condition)
        if missing:
            known = ", ".join(self.perturbations[:8]) + (", …" if len(self.support) > 8 else "")
            raise UnsupportedError(
                f"cannot predict the response to {'+'.join(parts)}: found no cells with "
                f"{' or '.join(missing)} alone; "
                f"accepted: combinations of the {len(self.support)} measured perturbations ({known})"
            )
        position = {label: row for row, label in enumerate(self.perturbations)}
        return [position[label] for label in parts]

    def _parts(self, condition: str | Condition) -> list[str]:
        """Label each perturbation of a condition."""
        read = (
            resolve_condition(condition, self.perturbations)
            if isinstance(condition, str)
            else make_condition(condition)
        )
        return [condition_label((perturbation,)) for perturbation in read]


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
