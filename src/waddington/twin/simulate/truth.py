"""True answers: what a condition does to the mean cell, from the same cells grown with and without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from waddington._checks import check_choice, check_in_range
from waddington.twin.data.conditions import Condition, make_condition
from waddington.twin.data.modalities import MODALITIES
from waddington.twin.simulate.cascade import Wiring
from waddington.twin.simulate.cells import grow_paired

__all__ = ["HOURS", "mean_changes", "natural_units", "true_response"]

Array = npt.NDArray[np.float32]

HOURS = (0.0, 12.0, 24.0, 48.0, 72.0, 96.0)
"""Default hours of harvest: from the progenitor to the last fate decisions and a day beyond."""

_PER = np.float32(1e4)


def natural_units(profiles: Mapping[str, Array]) -> dict[str, Array]:
    """Express noise-free profiles in the units of ``layers["truth"]``.

    Parameters
    ----------
    profiles
        Relative amounts by modality, each of shape (features, cells).

    Returns
    -------
    dict[str, numpy.ndarray]
        RNA and protein: per ten thousand of the cell; ATAC: the probability of being open, as it is.
    """
    out = {}
    for name, amount in profiles.items():
        if name == "atac":
            out[name] = amount
        else:
            out[name] = amount * (_PER / np.maximum(amount.sum(axis=0, keepdims=True), np.float32(1e-12)))
    return out


def mean_changes(
    wiring: Wiring, conditions: Sequence[Condition], hours: Sequence[float], *, n_cells: int, seed: int
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, npt.NDArray[np.float64]]]:
    """Compute the mean change of each condition against control over paired cells.

    Parameters
    ----------
    wiring
        What lies downstream of the regulators.
    conditions
        The conditions, control or not.
    hours
        Hours of harvest, all weighted equally when they divide ``n_cells``.
    n_cells
        Paired cells.
    seed
        Of those cells.

    Returns
    -------
    tuple[dict, dict]
        Changes of the mean in the units of :func:`natural_units`, and of the mean of their ``log1p``; by modality,
        each of shape (conditions, features).
    """
    rows: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in MODALITIES}
    logs: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in MODALITIES}
    for profiles in grow_paired(wiring, [(), *conditions], hours, n_cells=n_cells, seed=seed):
        for name, profile in natural_units(profiles).items():
            rows[name].append(profile.mean(axis=1, dtype=np.float64))
            logs[name].append(np.log1p(profile).mean(axis=1, dtype=np.float64))
    return (
        {name: np.stack(means[1:]) - means[0] for name, means in rows.items()},
        {name: np.stack(means[1:]) - means[0] for name, means in logs.items()},
    )


def true_response(
    condition: Condition,
    *,
    n_cells: int = 600,
    n_genes: int = 200,
    n_peaks: int = 400,
    n_proteins: int = 24,
    hours: Sequence[float] = HOURS,
    scale: str = "log1p",
    seed: int = 0,
    wiring_seed: int = 0,
) -> dict[str, npt.NDArray[np.float64]]:
    """Give the noise-free mean change that a condition causes, whether or not a screen measured it.

    Parameters
    ----------
    condition
        What is done; ``()`` gives zeros.
    n_cells
        Paired cells behind the mean.
    n_genes, n_peaks, n_proteins, wiring_seed
        As in :func:`~waddington.twin.datasets.simulate`, for the same features.
    hours
        Hours of harvest.
    scale
        ``"log1p"``: of ``log1p`` of the units of ``layers["truth"]``, which is what normalized expression estimates;
        ``"linear"``: of those units.
    seed
        Of the cells.

    Returns
    -------
    dict[str, numpy.ndarray]
        By modality, shape (features,), float64.

    Raises
    ------
    ArgumentError
        When the scale is not known or a number is outside its range.
    UnknownNameError
        When the condition names a gene that is not a regulator.
    UnsupportedError
        When the mode has no meaning for a gene network.
    """
    check_choice("scale", scale, ("log1p", "linear"))
    check_in_range("n_cells", n_cells, 1)
    wiring = Wiring.draw(n_genes=n_genes, n_peaks=n_peaks, n_proteins=n_proteins, seed=wiring_seed)
    linear, log1p = mean_changes(wiring, [make_condition(condition)], hours, n_cells=n_cells, seed=seed)
    return {name: rows[0] for name, rows in (log1p if scale == "log1p" else linear).items()}
