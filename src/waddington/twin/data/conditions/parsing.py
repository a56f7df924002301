"""From a label in any convention to a condition, and from a condition to the two columns of a file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final

from waddington._text import counted
from waddington.errors import DataError, UnsupportedError
from waddington.twin.data.conditions.controls import CONTROL, is_control_name, is_missing
from waddington.twin.data.conditions.doses import DOSE, split_dose
from waddington.twin.data.conditions.joined import JOIN, MARK, names_in
from waddington.twin.data.conditions.modes import DEFAULT_MODE, GENE_MODES, MODES, canonical_mode, is_mode_word
from waddington.twin.data.conditions.perturbation import (
    Condition,
    Perturbation,
    condition_label,
    is_canonical,
    make_condition,
    parse_label,
    perturbation_of,
    pieces_of,
)

__all__ = ["condition_columns", "nearest", "parse_condition", "resolve_condition"]


def parse_condition(
    label: str,
    mode: str | None = None,
    *,
    sep: str | None = None,
    default_mode: str = DEFAULT_MODE,
    control: str | Iterable[str] | None = None,
    known: Container[str] | None = None,
    dose: str | None = None,
) -> Condition:
    """Read a condition from a label in any of the conventions of the field.

    Parameters
    ----------
    label
        ``"control"``, ``"ctrl"``, ``"NT-1"``, ``"A"``, ``"A+ctrl"``, ``"A+B"``, or canonical ``"A:knockout"``.
    mode
        One mode for every gene, or as many as genes joined by ``"+"`` (``"knockout+activation"``) in the label's order.
        None takes ``default_mode``. A mode inside the label wins.
    sep
        What joins genes in the label, always (Norman's tables write ``"A_B"``: ``sep="_"``). None takes ``"+"``
        between names.
    default_mode
        The mode of genes for which nothing is said.
    control
        Further names that mean control here.
    known
        Names between which a ``"+"`` joins, beside those of control and, where the mode acts on genes, all that look
        like symbols of genes. None takes every part for a name that is not
        empty and whose brackets close, so that ``"Ca2+"`` and ``"2i (LIF+MEKi)"`` are one thing.
    dose
        One dose, or as many as parts joined by ``"+"`` (``"10+0.5"``) in the label's order. One is that of all parts,
        or of those that are no genes where some are. A dose of 0 is the part's control; one inside the label
        (``"Dex@10"``) wins. Default: none is said.

    Returns
    -------
    Condition
        Sorted perturbations; ``()`` for control.

    Raises
    ------
    DataError
        When the label is missing or has an empty part, a mode is unknown, or the number of modes or doses is not that
        of genes.
    """
    extra = {control} if isinstance(control, str) else set(control or ())
    if label in extra or is_control_name(label):
        return ()
    if is_missing(label):
        raise DataError(f"cannot read perturbation {label!r}: accepted are 'control', 'A', 'A+ctrl' and 'A+B'")
    if is_canonical(label):
        return make_condition(_dosed(label, pieces_of(label), dose))
    parts = _parts(label, mode, default_mode, sep, known, extra)
    perturbed = [not (_is_control(part) or part in extra) for part in parts]
    modes = _align_modes(label, perturbed, mode, sep=sep or JOIN, default_mode=default_mode)
    read = [_read_part(part, kind) for part, kind in zip(_kept(parts, perturbed), modes, strict=True)]
    return make_condition(_dosed(label, read, dose, perturbed))


def _is_control(part: str) -> bool:
    """Say whether a part is a word for control, at whatever dose, or a dose of 0."""
    name, dose = split_dose(part)
    return is_control_name(name) or dose == 0


def _dosed(
    label: str, read: list[Perturbation], dose: str | None, perturbed: list[bool] | None = None
) -> list[Perturbation]:
    """Give each perturbation its dose; one of dose 0 is left out."""
    if dose is None or not read:
        return read
    words = dose.split(JOIN)
    if perturbed is not None and len(words) == len(perturbed) > len(read):
        words = _kept(words, perturbed)
    if len(words) == 1:
        drugs = [one.mode not in GENE_MODES for one in read]
        words = [words[0] if takes or not any(drugs) else "" for takes in drugs]
    if len(words) != len(read):
        raise DataError(
            f"cannot read perturbation {label!r} with dose {dose!r}: found {counted(len(read), 'perturbation')} and "
            f"{counted(len(words), 'dose')}; accepted is one dose for all or one for each, joined by {JOIN!r}"
        )
    return [
        one if one.dose is not None or not word else Perturbation(one.gene, one.mode, float(word))
        for one, word in zip(read, words, strict=True)
        if one.dose is not None or not word or float(word) != 0
    ]


def _parts(
    label: str, mode: str | None, default_mode: str, sep: str | None, known: Container[str] | None, extra: set[str]
) -> list[str]:
    """Take a label apart: at what the caller says joins, as the modes are joined, or at ``+`` between names."""
    if sep is not None:
        parts = [part.strip() for part in label.split(sep)]
        if not all(parts):
            raise DataError(
                f"cannot read perturbation {label!r}: accepted are 'control', 'A', 'A{sep}ctrl' and 'A{sep}B'"
            )
        return parts
    if mode is not None and mode.count(JOIN) == label.count(JOIN) > 0:
        parts = [part.strip() for part in label.split(JOIN)]
        if all(parts):  # else it is a name like "Ca2+"
            return parts
    if known is None:
        return names_in(label)
    words = (mode or default_mode).split(JOIN)
    acts_on_genes = all(is_mode_word(word) and canonical_mode(word) in GENE_MODES for word in words)
    return names_in(label, _Names(known, extra, symbols=acts_on_genes))


_SYMBOL: Final = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Names:
    """Names that are known, that the caller gave, or, where a mode acts on genes, that look like symbols of genes."""

    known: Container[str]
    given: Container[str]
    symbols: bool

    def __contains__(self, name: object) -> bool:
        return name in self.known or name in self.given or (self.symbols and bool(_SYMBOL.fullmatch(str(name))))


def _kept(parts: list[str], keep: list[bool]) -> list[str]:
    return [part for part, kept in zip(parts, keep, strict=True) if kept]


def _align_modes(label: str, perturbed: list[bool], mode: str | None, *, sep: str, default_mode: str) -> list[str]:
    """Give one canonical mode for each perturbed part of a label."""
    n_genes = sum(perturbed)
    if mode is None or n_genes == 0:
        return [canonical_mode(default_mode)] * n_genes
    words = [word.strip() for word in mode.split(JOIN if JOIN in mode else sep)]
    if is_mode_word(mode):
        words = [mode] * n_genes
    elif len(words) == len(perturbed) and len(words) > n_genes:
        # "A+ctrl" with "knockout+control": the modes follow the label's parts, control included.
        words = _kept(words, perturbed)
    elif len(words) == 1:
        words = words * n_genes
    if len(words) != n_genes:
        raise DataError(
            f"cannot read perturbation {label!r} with mode {mode!r}: found {counted(n_genes, 'gene')} and "
            f"{counted(len(words), 'mode')}; "
            f"accepted is one mode for all or one for each, joined by {sep!r}"
        )
    return [canonical_mode(word) for word in words]


def _read_part(part: str, mode: str) -> Perturbation:
    """Read one gene, whose own mode after a colon wins over the one given."""
    gene, mark, own = part.rpartition(MARK)
    if mark and own in MODES:
        return perturbation_of(gene, own)
    return perturbation_of(part, mode)


def resolve_condition(label: str, measured: Iterable[str]) -> Condition:
    """Read the label of a condition as a user writes it, among conditions that were measured.

    Parameters
    ----------
    label
        Canonical, or with bare names (``"Cebpa"``, ``"Cebpa+Gata1"``), each of which stands for its one measured mode,
        and its one measured dose unless it says another (``"Dex@10"``).
    measured
        Canonical labels.

    Raises
    ------
    DataError
        When a bare name was measured in several modes or at several doses, by name; or a dose is no number.
    UnsupportedError
        When a bare name was not measured.
    """
    edits = {edit for one in measured for edit in parse_label(one)}
    if label == CONTROL or (is_canonical(label) and edits.issuperset(parse_label(label))):
        return parse_label(label)
    names = names_in(label, {edit.gene for edit in edits})
    if len(names) == 1 and is_canonical(label):
        read = parse_label(label)
    else:
        read = make_condition(
            _read_part(name, "") if is_canonical(name) else _measured_edit(name, edits, label) for name in names
        )
    for one in read:
        _check_dose(one.gene, edits)
    return read


def _check_dose(name: str, edits: set[Perturbation]) -> None:
    """Refuse a name that is a measured one and a dose that is no number, or that none of its cells has."""
    gene, mark, dose = name.rpartition(DOSE)
    same = [edit for edit in edits if edit.gene == gene]
    if not (mark and same) or JOIN in dose or any(edit.gene == name for edit in edits):
        return
    if all(edit.dose is None for edit in same):
        raise DataError(f"cannot read the dose {dose!r} of {gene!r}: it was given without doses; accepted is {gene!r}")
    if split_dose(name)[1] is None:
        raise DataError(
            f"cannot read the dose {dose!r} of {gene!r}: accepted is a number above 0 in the unit of the data, without "
            f"it, as in {gene}{DOSE}10"
        )


def _measured_edit(name: str, edits: set[Perturbation], label: str) -> Perturbation:
    gene, dose = split_dose(name)
    same = [edit for edit in edits if edit.gene == gene]
    found = sorted(edit for edit in same if dose in (None, edit.dose))
    if dose is not None and not found:
        found = sorted({Perturbation(gene, edit.mode, dose) for edit in same if edit.dose is not None})
    if len(found) == 1:
        return found[0]
    parts = [part.strip() for part in name.split(JOIN)]
    for part in {name: None, **dict.fromkeys(parts)}:
        _check_dose(part, edits)
    if found:
        raise DataError(
            f"cannot tell which {name!r} is meant: measured are {' and '.join(map(str, found))}; "
            "accepted is one of them"
        )
    shown = ", ".join(map(str, sorted(edits)[:8])) + (", …" if len(edits) > 8 else "")
    known = {text for edit in edits for text in (edit.gene, str(edit))}
    unknown = next((part for part in parts if part not in known and split_dose(part)[0] not in known), name)
    raise UnsupportedError(
        f"cannot read condition {label!r}: found no cells to learn {'it' if unknown == label else repr(unknown)} from"
        f"{nearest(unknown, map(str, edits))}; accepted are {shown or 'none'}"
    )


def nearest(name: str, measured: Iterable[str]) -> str:
    """Say which measured perturbations are called most like a name: ``" (nearest: Gata1:knockout)"``, or nothing.

    Case does not count: a mouse name finds the human gene.
    """
    known = sorted(set(measured))
    genes = {label: (label.rpartition(MARK)[0] or label).casefold() for label in known}
    gene = (name.rpartition(MARK)[0] if is_canonical(name) else name).casefold()
    close = difflib.get_close_matches(gene, set(genes.values()), n=1)
    return f" (nearest: {', '.join(label for label in known if genes[label] == close[0])})" if close else ""


def condition_columns(condition: Condition) -> tuple[str, str]:
    """Write a condition as the two columns of files: genes and, aligned with them, modes.

    Returns
    -------
    tuple[str, str]
        ``("control", "control")``, ``("Dex@10", "drug")`` or ``("Cebpa+Gata1", "knockout+activation")``, for
        ``obs["perturbation"]`` and ``obs["perturbation_mode"]``. Names that would be read otherwise, such as
        ``"LPS+IFNg"`` for one thing, are written with their mode, ``"LPS+IFNg:cytokine"``.
    """
    ordered = make_condition(condition)
    if not ordered:
        return CONTROL, CONTROL
    genes, modes = JOIN.join(one.name for one in ordered), JOIN.join(one.mode for one in ordered)
    return (genes if _reads_as(genes, modes, ordered) else condition_label(ordered)), modes


def _reads_as(label: str, mode: str, condition: Condition) -> bool:
    try:
        return parse_condition(label, mode) == condition
    except DataError:
        return False
