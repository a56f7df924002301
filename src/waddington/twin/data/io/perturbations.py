"""The labels of perturbations in a table of cells: which column, who is control, what is missing, and in which mode."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from waddington._text import counted, shorten_all
from waddington.errors import DataError
from waddington.twin.data.conditions import (
    CONTROL,
    MODE_COLUMNS,
    PERTURBATION_COLUMNS,
    condition_columns,
    conditions_of,
    find_perturbation_column,
    parse_label,
)
from waddington.twin.data.conditions.columns import names_control, unknown_mode_words
from waddington.twin.data.conditions.controls import is_control_name, is_missing
from waddington.twin.data.conditions.joined import JOIN
from waddington.twin.data.conditions.modes import DEFAULT_MODE
from waddington.twin.data.io.doses import Doses, read_doses

__all__ = ["LabelKeys", "keep_dosed", "keep_labelled", "read_perturbations"]

_MOST_LABELS = 2000
"""Columns with more different labels are not looked through for controls."""

_LABEL_WIDTH = 48  # columns of a label in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelKeys:
    """Which columns of ``obs`` hold what; None looks for the usual names.

    Attributes
    ----------
    perturbation, mode, dose, time, split, batch, cell_type
        Column names.
    control
        A further label that means control; a word for a missing label takes cells without a label for controls.
    default_mode
        Mode of perturbations where no column says it.
    separator
        What joins the perturbations of a label, always; None takes ``"+"`` between names.
    """

    perturbation: str | None = None
    mode: str | None = None
    dose: str | None = None
    time: str | None = None
    split: str | None = None
    batch: str | None = None
    cell_type: str | None = None
    control: str | None = None
    default_mode: str | None = None
    separator: str | None = None


def keep_labelled(obs: pd.DataFrame, keys: LabelKeys) -> tuple[pd.DataFrame, list[str]]:
    """Leave out the cells of which the column of perturbations says nothing.

    A missing label (NaN, None, empty, or the words for them) is neither a perturbation nor a control: such cells are
    left out and counted, or are controls where ``control`` says so by such a word.

    Raises
    ------
    DataError
        When no cell has a label.
    """
    column = _find_column(obs, keys)
    if column is None:
        return obs, []
    labels = obs[column].astype(object)
    missing = labels.isin([label for label in labels.unique() if is_missing(label)])
    n_missing = int(missing.sum())
    if not n_missing:
        return obs, []
    if keys.control is not None and is_missing(keys.control):
        kept = obs.copy()
        kept[column] = labels.where(~missing, CONTROL)
        return kept, [
            f"{n_missing} of {counted(len(obs), 'cell')} without a label in obs[{column!r}], taken as control"
        ]
    if n_missing == len(obs):
        raise DataError(
            f"cannot read perturbations from obs[{column!r}]: none of {counted(len(obs), 'cell')} has a label; "
            f"accepted is a label for some, {CONTROL!r} for unperturbed ones"
        )
    return obs[~missing], [
        f"{n_missing} of {counted(len(obs), 'cell')} without a label in obs[{column!r}], left out; "
        "control='nan' takes them as control"
    ]


def keep_dosed(obs: pd.DataFrame, keys: LabelKeys) -> Doses:
    """Read doses, and leave out the cells of which nothing says the dose of a drug that was given at doses.

    Raises
    ------
    DataError
        As :func:`~waddington.twin.data.io.doses.read_doses`; or when doses are named and nothing says of what.
    """
    column = _find_column(obs, keys)
    if column is not None:
        return read_doses(obs, obs[column], named=keys.dose, control=keys.control)
    if keys.dose is not None:
        raise DataError(
            f"cannot read doses from obs[{keys.dose!r}]: found no column of perturbations; accepted is its name as "
            "perturbation_key="
        )
    return Doses(obs=obs)


def read_perturbations(
    obs: pd.DataFrame, keys: LabelKeys, *, genes: Iterable[str] = (), doses: pd.Series | None = None
) -> tuple[dict[str, pd.Series], list[str]]:
    """Read what was done to each cell.

    Parameters
    ----------
    obs
        Cells x columns, as :func:`keep_labelled` leaves them.
    keys
        Columns and names that the caller gave.
    genes
        Names of the measured genes.
    doses
        Of each cell, as :func:`keep_dosed` reads them.

    Returns
    -------
    columns : dict[str, pandas.Series]
        ``perturbation`` and ``perturbation_mode``; empty where there is no column to read.
    notes : list[str]
        Which column was read, which labels were taken as control, and what was assumed.

    Raises
    ------
    DataError
        When a column of perturbations has no control; lists its labels.
    """
    column = _find_column(obs, keys)
    if column is None:
        return {}, _why_no_column(obs)
    own = obs[column].astype(str)
    if (
        keys.control is not None
        and not is_missing(keys.control)
        and not own.str.contains(keys.control, regex=False).any()
    ):
        raise DataError(
            f"cannot take {keys.control!r} as control: no label of obs[{column!r}] names it; labels are {_counted(own)}"
        )
    labels = conditions_of(
        obs,
        perturbation_key=column,
        mode_key=keys.mode,
        control=keys.control,
        sep=keys.separator,
        default_mode=keys.default_mode or DEFAULT_MODE,
        genes=genes,
        doses=doses,
    )
    is_control = labels == CONTROL
    if not is_control.any():
        raise DataError(
            f"cannot measure change: found obs[{column!r}], no label of it means control; labels are "
            f"{_counted(own)}; accepted: say which one is the control by control="
        )
    written = {label: condition_columns(parse_label(label)) for label in labels.unique()}
    notes = [
        f"perturbations from obs[{column!r}]: {counted(len(written) - 1, 'condition')} beside control",
        *_notes_on_controls(own[is_control & ~_has_dose(doses, own)]),
        *_notes_on_names(own, labels, keys),
        *_notes_on_spelling(labels),
        *_notes_on_modes(obs, labels, keys),
        *_notes_on_doses(labels, doses),
    ]
    return {
        "perturbation": labels.map({label: pair[0] for label, pair in written.items()}),
        "perturbation_mode": labels.map({label: pair[1] for label, pair in written.items()}),
    }, notes


def _has_dose(doses: pd.Series | None, own: pd.Series) -> pd.Series:
    """Mark the cells of which a dose is said: controls among them have a note of their own."""
    return pd.Series(False, index=own.index) if doses is None else doses.notna()


def _notes_on_controls(own: pd.Series) -> list[str]:
    return [f"taken as control: {_counted(own)}"] if len(own) else []


def _notes_on_doses(labels: pd.Series, doses: pd.Series | None) -> list[str]:
    dosed = sorted(label for label in labels.unique() if any(one.dose is not None for one in parse_label(label)))
    if doses is not None or not dosed:
        return []
    return [f"labels bear doses: {_shown(dosed)}"]


def _find_column(obs: pd.DataFrame, keys: LabelKeys) -> str | None:
    """Find the column of perturbations, also by the label that the caller says means control."""
    column = find_perturbation_column(obs, keys.perturbation)
    if column is not None or keys.control is None:
        return column
    held = [name for name in PERTURBATION_COLUMNS if name in obs.columns and (obs[name] == keys.control).any()]
    if not held and not is_missing(keys.control):
        holders = ", ".join(repr(name) for name in obs.columns if (obs[name] == keys.control).any())
        raise DataError(
            f"cannot take {keys.control!r} as control: found no column of perturbations; accepted is its name "
            f"as perturbation_key= (columns with that label: {holders or 'none'})"
        )
    return held[0] if held else None


def _why_no_column(obs: pd.DataFrame) -> list[str]:
    notes = ["no column of perturbations: every cell is taken as control"]
    notes += [
        f"obs[{column!r}] is not read as perturbations: no label of it means control ({_counted(obs[column])}); "
        "perturbation_key= and control= say otherwise"
        for column in PERTURBATION_COLUMNS
        if column in obs.columns
    ]
    for column in obs.columns:
        values = obs[column]
        is_short = values.dtype.kind == "O" and 1 < values.nunique() <= min(_MOST_LABELS, len(values) // 2)
        if is_short and column not in (*PERTURBATION_COLUMNS, *MODE_COLUMNS) and names_control(values):
            notes.append(
                f"obs[{column!r}] has a label for control ({_counted(values)}); perturbation_key={column!r} reads it"
            )
    return notes


def _notes_on_names(own: pd.Series, labels: pd.Series, keys: LabelKeys) -> list[str]:
    """Say which labels with a plus were read as one thing, and which begin like a control but are none."""
    pairs = pd.DataFrame({"own": own.to_numpy(), "read": labels.to_numpy()}).drop_duplicates("own")
    notes = []
    whole = sorted(
        label
        for label, read in pairs.itertuples(index=False)
        if JOIN in label
        and len(parse_label(read)) == 1
        and not any(is_control_name(part) for part in label.split(JOIN))
    )
    if whole and keys.separator is None:
        notes.append(
            f"{JOIN!r} does not join two names in {_shown(whole)}: read as one perturbation each; "
            "combination_separator= says otherwise"
        )
    alike = sorted(
        label
        for label, read in pairs.itertuples(index=False)
        if read != CONTROL and JOIN not in label and any(map(is_control_name, label.replace("-", "_").split("_")[:1]))
    )
    if alike:
        notes.append(
            f"labels that begin like a control are read as perturbations: {_shown(alike)}; control= says otherwise"
        )
    return notes


def _notes_on_spelling(labels: pd.Series) -> list[str]:
    """Name perturbed genes of which one may be the other, misspelt: alike but for case, hyphens or two neighbours.

    Of a family (MAP2K3, MAP2K6) each name has letters of its own, and numbered names (C12, C21) differ in digits alone.
    """
    cells: Counter[str] = Counter()
    for label, n in labels.value_counts().items():
        cells.update(dict.fromkeys((edit.gene for edit in parse_label(str(label))), int(n)))
    plain = {gene: "".join(filter(str.isalnum, gene.casefold())) for gene in sorted(cells)}
    alike: dict[str, list[str]] = {}
    for gene, letters in plain.items():
        alike.setdefault("".join(sorted(letters)), []).append(gene)
    pairs = [
        f"{first} ({counted(cells[first], 'cell')}) and {second} ({counted(cells[second], 'cell')})"
        for genes in alike.values()
        for first, second in itertools.combinations(genes, 2)
        if _is_a_slip(plain[first], plain[second])
    ]
    return [f"names that may be one, misspelt, are read as two perturbations: {'; '.join(pairs[:5])}"] if pairs else []


def _is_a_slip(first: str, second: str) -> bool:
    """Say whether two names of the same letters are equal, or have two neighbours swapped of which one is a letter."""
    apart = [at for at, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
    if len(apart) != 2:
        return not apart
    return apart[1] == apart[0] + 1 and not first[apart[0] : apart[1] + 1].isdigit()


def _notes_on_modes(obs: pd.DataFrame, labels: pd.Series, keys: LabelKeys) -> list[str]:
    default = keys.default_mode or DEFAULT_MODE
    unknown = unknown_mode_words(obs[labels != CONTROL], keys.mode)
    if unknown:
        return [f"no mode of perturbation is called {_shown(unknown)}: read as {default}"]
    column = keys.mode or next((name for name in MODE_COLUMNS if name in obs.columns), None)
    modes = sorted({edit.mode for label in labels.unique() for edit in parse_label(label)})
    if keys.mode is None and column is not None:
        return [f"modes from obs[{column!r}]: {', '.join(modes)}"]
    is_guessed = any(edit.mode == default for label in labels.unique() for edit in parse_label(label))
    if column is not None or keys.default_mode is not None or not is_guessed:
        return []
    return [f"no column of modes: perturbations are read as {default}; perturbation_mode= says otherwise"]


def _counted(labels: pd.Series, n_shown: int = 8) -> str:
    counts = labels.astype(str).value_counts()
    short = _shortened(map(str, counts.index[:n_shown]))
    shown = [f"{short[str(label)]} ({counted(count, 'cell')})" for label, count in counts.head(n_shown).items()]
    return ", ".join(shown) + (f" and {len(counts) - n_shown} more" if len(counts) > n_shown else "")


def _shown(labels: list[str], n_shown: int = 5) -> str:
    more = len(labels) - n_shown
    return ", ".join(_shortened(labels[:n_shown]).values()) + (f" and {more} more" if more > 0 else "")


def _shortened(labels: Iterable[str]) -> dict[str, str]:
    """Quote labels, long ones shortened in their middle."""
    return {label: repr(short) for label, short in shorten_all(labels, _LABEL_WIDTH, draw=str).items()}
