"""The column of doses: which one, in which unit, and which cells are controls of their drug."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pandas as pd

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.conditions.controls import is_control_name, is_missing
from waddington.twin.data.conditions.doses import NUMBER, split_dose, with_dose
from waddington.twin.data.conditions.joined import JOIN

__all__ = ["DOSE_COLUMNS", "Doses", "bear_doses", "read_doses"]

DOSE_COLUMNS: Final = (*("dose", "dose_value", "dose_val", "dosage", "dose_uM", "dose_um", "dose_nM", "dose_nm"),)
"""Columns of ``obs`` in which doses are looked for, in this order, when none is named."""

_UNIT_COLUMNS: Final = ("dose_unit", "dose_units")
_UNITS_OF_NAMES: Final = {"dose_uM": "uM", "dose_um": "uM", "dose_nM": "nM", "dose_nm": "nM"}
_DOSE: Final = re.compile(rf"(?P<number>[-+]?{NUMBER}|[-+]?inf)\s*(?P<unit>(?:[^\W\d_]|%)[^+]*)?", re.IGNORECASE)
_PLUS_OF_EXPONENT: Final = re.compile(r"(?<=[\d.][eE])\+(?=\d)")
"""That of ``1E+03``, which joins no doses."""
_DIGITS: Final = 7


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Doses:
    """What a table of cells says of doses."""

    obs: pd.DataFrame
    """Without the cells of a drug given at doses of which nothing says the dose."""
    values: pd.Series | None = None
    """Of each cell, as text: ``"10"``, or ``"10+0.5"`` for a combination; None where nothing is said."""
    unit: str = ""
    """Empty where nothing says it."""
    notes: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    """Why a column of that name is not read."""


def bear_doses(labels: Iterable[str]) -> bool:
    """Tell whether any label bears a dose itself, as ``"Dex@10"`` and ``"Dex@10:drug"`` do."""
    return any(split_dose(label.rpartition(":")[0] or label)[1] is not None for label in labels)


def read_doses(obs: pd.DataFrame, labels: pd.Series, *, named: str | None, control: str | None = None) -> Doses:
    """Read how much every cell was given.

    Parameters
    ----------
    obs
        Cells x columns.
    labels
        What was done to each cell, as the file writes it.
    named
        Column of doses. None takes the first of :data:`DOSE_COLUMNS` that can be read and in which some perturbation
        has two doses, unless labels bear doses themselves.
    control
        A further label that means control.

    Returns
    -------
    Doses
        Doses are rounded to 7 digits. A dose of a control cell says nothing, and is not read.

    Raises
    ------
    DataError
        When the named column holds what is no dose or negative numbers, or any column of doses several units; says how
        many cells do.
    """
    own = labels.astype(str).str.strip()
    distinct = own.unique()
    if named is None and bear_doses(distinct):
        return Doses(obs=obs)
    is_control = own.isin([label for label in distinct if label == control or is_control_name(label)])
    for column in [named] if named is not None else [name for name in DOSE_COLUMNS if name in obs.columns]:
        try:
            values, units = _read(obs[column][~is_control])
        except DataError as error:
            if named is not None:
                raise
            return Doses(obs=obs, unused=(f"obs[{column!r}] is not used as dose: {error}",))
        own_unit, beside = _one_unit(units, column), _unit_beside(obs[~is_control], column)
        if own_unit and beside and own_unit.casefold() != beside.casefold():
            raise DataError(
                f"cannot read column {column!r} as doses: its cells say {own_unit!r}, and its name or a column beside "
                f"it {beside!r}; accepted is one unit"
            )
        unit = own_unit or beside
        found = values.reindex(obs.index)
        levels = found.groupby(own).nunique()
        if named is None and levels.max() < 2:
            note = f"obs[{column!r}] is not used: no perturbation has two doses in it; dose_key={column!r} reads it"
            return Doses(obs=obs, notes=(note,))
        return _counted(obs, own, found, is_control, column, unit)
    return Doses(obs=obs)


def _counted(
    obs: pd.DataFrame, own: pd.Series, values: pd.Series, is_control: pd.Series, column: str, unit: str
) -> Doses:
    """Leave out cells of unknown dose, and say what was found."""
    has = values.notna()
    dosed = own.isin(own[has].unique()) & ~is_control
    unknown, zero = dosed & ~has, has & (values.fillna("").str.fullmatch(r"0(\+0)*"))
    words = {word for value in values[has].unique() for word in str(value).split(JOIN)} - {"0"}
    notes = [
        f"doses from obs[{column!r}]{f' in {unit}' if unit else ', without a unit'}: {counted(len(words), 'dose')} "
        f"of {counted(int(own[dosed].nunique()), 'label')}"
    ]
    if zero.any():
        notes.append(f"dose 0, taken as control: {_shown(own[zero])}")
    if unknown.any():
        notes.append(f"{counted(int(unknown.sum()), 'cell')} without a dose in obs[{column!r}], left out: "
                     f"{_shown(own[unknown])}")  # fmt: skip
    without = own[~dosed & ~is_control]
    if len(without):
        notes.append(f"without a dose in obs[{column!r}], read as perturbations of no dose: {_shown(without)}")
    return Doses(obs=obs[~unknown], values=values[~unknown], unit=unit, notes=tuple(notes))


def _read(column: pd.Series) -> tuple[pd.Series, list[tuple[str, int]]]:
    """Give doses as text, None where missing, and their units with the numbers of cells."""
    counts = column.astype(object).value_counts()
    read: dict[object, str] = {}
    units: dict[str, tuple[str, int]] = {}
    wrong: list[tuple[str, int]] = []
    for value, n in counts.items():
        if is_missing(value):
            continue
        try:
            pairs = [_dose(word) for word in _PLUS_OF_EXPONENT.sub("", str(value)).split(JOIN)]
        except ValueError:
            wrong.append((str(value), int(n)))
            continue
        read[value] = JOIN.join(with_dose("", dose)[1:] for dose, _ in pairs)
        for unit in {unit for dose, unit in pairs if dose or unit}:
            spelled, before = units.get(unit.casefold(), (unit, 0))
            units[unit.casefold()] = (spelled, before + int(n))
    if wrong:
        raise DataError(
            f"cannot read column {column.name!r} as doses: found {_listed(wrong)}; accepted are numbers from 0, plain "
            "or all with the same unit"
        )
    return pd.Series([read.get(value) for value in column], index=column.index, dtype=object), [*units.values()]


def _dose(word: str) -> tuple[float, str]:
    """Read a number and its unit; ValueError for anything else."""
    found = _DOSE.fullmatch(word.strip())
    if found is None:
        raise ValueError(word)
    dose = float(f"{float(found['number']):.{_DIGITS}g}")
    if not (math.isfinite(dose) and dose >= 0):
        raise ValueError(word)
    return abs(dose), _plain(found["unit"] or "")


def _plain(unit: str) -> str:
    return unit.strip().replace("µ", "u").replace("μ", "u")


def _unit_beside(obs: pd.DataFrame, column: str) -> str:
    """Find the unit in the column's name, or in a column of units."""
    if column in _UNITS_OF_NAMES:
        return _UNITS_OF_NAMES[column]
    beside = next((name for name in (f"{column}_unit", f"{column}_units", *_UNIT_COLUMNS) if name in obs.columns), None)
    if beside is None:
        return ""
    units = obs[beside].astype(object).value_counts()
    return _one_unit([(_plain(str(unit)), int(n)) for unit, n in units.items() if not is_missing(unit)], column)


def _one_unit(units: list[tuple[str, int]], column: str) -> str:
    """Give the one unit, or nothing.

    Raises
    ------
    DataError
        When there are several: 1 uM and 1 nM would be one dose.
    """
    if len(units) > 1:
        shown = [(unit or "no unit", n) for unit, n in units]
        raise DataError(
            f"cannot read column {column!r} as doses: found several units, {_listed(shown)}; accepted is one, or "
            "another column as dose_key="
        )
    return units[0][0] if units else ""


def _listed(found: list[tuple[str, int]], n_shown: int = 5) -> str:
    shown = [f"{value!r} ({counted(n, 'cell')})" for value, n in found[:n_shown]]
    return ", ".join(shown) + (f" and {len(found) - n_shown} more" if len(found) > n_shown else "")


def _shown(labels: pd.Series) -> str:
    return _listed([(str(label), int(n)) for label, n in labels.value_counts().items()])
