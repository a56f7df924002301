"""Predictions that somebody else made, as a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington._text import counted
from waddington.errors import DataError, UnsupportedError
from waddington.twin.data.conditions import (
    CONTROL,
    DEFAULT_MODE,
    PERTURBATION_COLUMNS,
    condition_label,
    conditions_of,
    find_perturbation_column,
    is_canonical,
    parse_label,
)
from waddington.twin.data.io.doses import DOSE_COLUMNS, bear_doses, read_doses
from waddington.twin.evaluate.protocol.screen import Screen
from waddington.twin.respond.base import Effect, ResponseModel, Training
from waddington.twin.respond.known import Known

__all__ = ["GivenPredictions", "labels_of_predictions", "predictions_of", "read_predictions"]

EFFECT = "effect"
"""Layer of an AnnData that holds effects rather than profiles."""


class GivenPredictions(ResponseModel):
    """Effects or profiles by condition; nothing is known of what they were learned from.

    Parameters
    ----------
    profiles
        One row a condition, by modality, (conditions, features).
    labels
        Conditions of the rows.
    are_effects
        Whether the rows are effects already. Profiles are held against the row of the control, if there is one, else
        against the training controls of :meth:`within`.
    control
        Label of the control.
    resting
        Mean profile that profiles are held against, (features,) by modality.
    notes
        What looked wrong.
    """

    name: ClassVar[str] = "prediction"

    def __init__(
        self,
        profiles: dict[str, npt.NDArray[np.float64]],
        labels: list[str],
        *,
        are_effects: bool,
        control: str,
        resting: Effect | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self._profiles, self._row = profiles, {label: row for row, label in enumerate(labels)}
        self._are_effects, self._control, self._resting = are_effects, control, resting
        self.known = Known(kind="perturbation", control=control, n_cells={})
        self._notes = tuple(notes)

    def within(self, training: Training) -> GivenPredictions:
        """Give the same predictions, held against the training controls of a fold."""
        measured = training.measured
        return GivenPredictions(
            self._profiles,
            list(self._row),
            are_effects=self._are_effects,
            control=self._control,
            resting={modality: table.mean[0] for modality, table in measured.tables.items()},
            notes=self._notes,
        )

    @property
    def fingerprint(self) -> str:
        """Hash of what is predicted."""
        digest = hashlib.sha256(repr((list(self._row), self._are_effects, self._control)).encode())
        for known in (self._profiles, self._resting or {}):
            for modality, x in known.items():
                digest.update(f"{modality} {x.shape}".encode())
                digest.update(np.ascontiguousarray(x, dtype=np.float64).tobytes())
        return digest.hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """What looked wrong in it, or was averaged."""
        return self._notes

    @classmethod
    def fit(cls, data: Training) -> Self:
        """Refuse: there is nothing to learn."""
        raise UnsupportedError("cannot fit a prediction that is made already")

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Give what was predicted.

        Raises
        ------
        UnsupportedError
            When the condition was not predicted.
        """
        if label not in self._row:
            raise UnsupportedError(f"cannot predict {label}: it is not among the observations given")
        found = {modality: x[self._row[label]] for modality, x in self._profiles.items()}
        if self._are_effects:
            return found
        if self._control in self._row:
            return {modality: x - self._profiles[modality][self._row[self._control]] for modality, x in found.items()}
        if self._resting is None:
            raise UnsupportedError(f"cannot predict {label}: nothing says what the profile is to be held against")
        return {modality: x - self._resting[modality] for modality, x in found.items()}

    @property
    def conditions(self) -> tuple[str, ...]:
        """Conditions that were predicted."""
        return tuple(label for label in self._row if label != self._control)


def labels_of_predictions(
    predicted: ad.AnnData, screen: Screen, *, perturbation_key: str | None = None
) -> npt.NDArray[np.str_]:
    """Read which condition each row predicts, in any convention of the field.

    Rows named by canonical labels, as :func:`waddington.twin.tl.predict` gives them, are taken as they are named. Else
    a column of ``obs`` is read as that of the cells would be; where it says no modes, those of the screen's conditions
    of the same genes are meant.

    Parameters
    ----------
    predicted
        A row a condition, or predicted cells.
    screen
        What they are judged on.
    perturbation_key
        Column of ``obs``; its usual names are looked for by default.

    Returns
    -------
    ndarray
        (rows,); conditions that the screen does not have keep the label that was read.

    Raises
    ------
    DataError
        When nothing says what the rows are, or a label fits several conditions.
    """
    rows = np.asarray(predicted.obs_names, dtype=np.str_)
    known = set(screen.counts)
    if perturbation_key is None and len(rows) and (np.isin(rows, sorted(known)) | _are_canonical(rows)).all():
        # Parts of a combination may stand in any order.
        return np.array([row if row in known else condition_label(parse_label(row)) for row in rows.tolist()])
    obs = predicted.obs.reset_index(drop=True)  # rows of predicted cells may bear one name
    column = find_perturbation_column(obs, perturbation_key)
    column = next((name for name in ("condition",) if name in obs), None) if column is None else column
    if column is None:
        have = ", ".join(map(repr, obs.columns)) or "none"
        raise DataError(
            "cannot tell what is predicted: rows are not named by conditions, and no column of obs says it (columns: "
            f"{have}); accepted are {', '.join(PERTURBATION_COLUMNS)}"
        )
    by_names: dict[frozenset[str], list[str]] = {}
    for label in known if screen.kind == "perturbation" else ():
        by_names.setdefault(frozenset(one.name for one in parse_label(label)), []).append(label)
    found = {}
    read = conditions_of(obs, perturbation_key=column, genes=screen.all_edited, doses=_doses_of(obs, column, screen))
    for label in sorted(set(read.tolist())):
        edits = parse_label(label)
        # A mode that is said is meant: a knock-out is no prediction of an activation.
        is_open = bool(edits) and all(one.mode == DEFAULT_MODE for one in edits)
        names = frozenset(one.name for one in edits)
        same = by_names.get(names, [label]) if is_open and label not in known else [label]
        if len(same) > 1:
            raise DataError(
                f"cannot tell which condition {label!r} predicts: the cells have {' and '.join(sorted(same))}; "
                "accepted is one of them, with its mode"
            )
        found[label] = same[0]
    return np.array([found[label] for label in read.tolist()], dtype=np.str_)


def _doses_of(obs: pd.DataFrame, column: str, screen: Screen) -> pd.Series | None:
    """Read doses beside the labels of predictions, also one of each drug, where the cells bear any."""
    beside = next((name for name in DOSE_COLUMNS if name in obs), None)
    if not screen.dosed or beside is None or bear_doses(obs[column].astype(str)):
        return None
    found = read_doses(obs, obs[column], named=beside)
    if found.unit and screen.dose_unit and found.unit.casefold() != screen.dose_unit.casefold():
        raise DataError(
            f"cannot read doses of predictions from obs[{beside!r}]: they are in {found.unit}, those of the cells in "
            f"{screen.dose_unit}; accepted is the unit of the cells"
        )
    return None if found.values is None else found.values.reindex(obs.index)


def _are_canonical(rows: npt.NDArray[np.str_]) -> npt.NDArray[np.bool_]:
    return np.array([label == CONTROL or is_canonical(label) for label in rows.tolist()], dtype=bool)


def read_predictions(predicted: ad.AnnData, labels: npt.NDArray[np.str_], screen: Screen) -> GivenPredictions:
    """Bring predictions into the order of a screen's features; cells of one condition are averaged.

    Parameters
    ----------
    predicted
        Profiles in ``X``, or effects in ``layers["effect"]``; a row a condition, or predicted cells. Features by name;
        a name of two modalities as ``"protein:CD4"``.
    labels
        Canonical condition of each row, (rows,).
    screen
        What they are judged on.

    Raises
    ------
    DataError
        When no condition of the screen is predicted, nothing holds the predictions, features are missing or named
        twice, or a value is not finite.
    """
    known = [label for label in screen.conditions if label in set(labels.tolist())]
    if not known:
        doses = ", with its dose in the label (Dex@10) or in a column 'dose'" if screen.dosed else ""
        raise DataError(
            f"cannot evaluate predictions of {', '.join(sorted(set(labels.tolist()))[:3])}: the screen has "
            f"{', '.join(screen.conditions[:8])}; accepted: at least one of its conditions{doses}"
        )
    columns = predicted.var_names
    if not columns.is_unique:
        raise DataError("cannot evaluate predictions: features are named twice; accepted: each name once")
    are_effects = EFFECT in predicted.layers
    matrix = predicted.layers[EFFECT] if are_effects else predicted.X
    if matrix is None:
        raise DataError(
            f"cannot evaluate predictions: found neither X nor layers[{EFFECT!r}]; accepted: profiles in X, or effects"
        )
    dense = np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)
    means = pd.DataFrame(dense).groupby(labels).mean()
    profiles = {}
    for modality, names in screen.names.items():
        wanted = [one if one in columns else f"{modality}:{one}" for one in names]
        missing = [one for one in wanted if one not in columns]
        if missing:
            raise DataError(
                f"cannot evaluate predictions of {modality}: {len(missing)} of {counted(len(names), 'feature')} are "
                f"missing, the first is {missing[0].removeprefix(f'{modality}:')!r}; accepted are all that are judged"
            )
        part = means.to_numpy()[:, columns.get_indexer(pd.Index(wanted))]
        if not np.isfinite(part).all():
            raise DataError(f"cannot evaluate predictions of {modality}: found NaN or infinity; accepted: numbers")
        profiles[modality] = part
    return GivenPredictions(
        profiles,
        [str(label) for label in means.index],
        are_effects=are_effects,
        control=screen.control,
        notes=[
            *_averaged(len(labels), len(means)),
            *_unmatched(labels, screen),
            *_unlike_cells(profiles, np.asarray(means.index != screen.control), screen, are_effects=are_effects),
        ],
    )


def _averaged(n_rows: int, n_conditions: int) -> list[str]:
    """Say that several rows were taken for cells of one condition."""
    if n_rows == n_conditions:
        return []
    return [f"its {counted(n_rows, 'row')} were averaged to {counted(n_conditions, 'condition')}"]


def _unmatched(labels: npt.NDArray[np.str_], screen: Screen) -> list[str]:
    """Name conditions that are predicted and that no cell of the screen bears."""
    other = sorted(set(labels.tolist()) - set(screen.counts))
    if not other:
        return []
    shown = ", ".join(other[:3]) + (", …" if len(other) > 3 else "")
    return [f"the cells have none of {counted(len(other), 'condition')} that it predicts, left out: {shown}"]


def _unlike_cells(
    profiles: dict[str, npt.NDArray[np.float64]],
    perturbed: npt.NDArray[np.bool_],
    screen: Screen,
    *,
    are_effects: bool,
) -> list[str]:
    """Name the modalities in which predictions are of another size than what the cells show, as counts would be.

    Profiles are held against the mean of all cells, in units of how far single cells lie from nothing; effects have to
    be smaller than a cell.
    """
    found = []
    for modality, rows in profiles.items():
        x = screen.values[modality]
        size = float(np.sqrt(np.square(x, dtype=np.float64).sum(axis=1).mean()))
        middle = np.zeros(x.shape[1]) if are_effects else x.mean(axis=0, dtype=np.float64)
        if perturbed.any() and np.linalg.norm(rows[perturbed].mean(axis=0) - middle) > 0.5 * size:
            found.append(
                f"what it predicts for {modality} is of another size than the cells: counts, or values that were "
                "normalized otherwise?"
            )
    return found


def predictions_of(given: Mapping[str, ad.AnnData], screen: Screen) -> dict[str, GivenPredictions]:
    """Read predictions by name; errors as :func:`labels_of_predictions` and :func:`read_predictions`, with the name."""
    found = {}
    for name, one in given.items():
        try:
            found[name] = read_predictions(one, labels_of_predictions(one, screen), screen)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
    return found
