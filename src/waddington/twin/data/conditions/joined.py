"""Which ``+`` of a label joins two perturbations, and which belongs to a name.

``"KLF1+SET"`` is two things done to a cell; ``"Ca2+"``, ``"(+)-JQ1"`` and ``"2i (LIF+MEKi)"`` are one. A label alone
cannot say which, so the other labels of its column and the measured genes are asked.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from waddington.twin.data.conditions.controls import is_control_name
from waddington.twin.data.conditions.doses import split_dose
from waddington.twin.data.conditions.modes import MODES

__all__ = ["JOIN", "MARK", "known_names", "names_in"]

JOIN = "+"
MARK = ":"


def names_in(label: str, known: Container[str] | None = None) -> list[str]:
    """Take a label apart at the ``+`` that join two names.

    Parameters
    ----------
    label
        As a file writes it.
    known
        Names that stand for one thing each, beside those of control. None takes every part for a name that is not
        empty and whose brackets close.

    Returns
    -------
    list[str]
        The names, in the order of the label; one, the label itself, where its parts are not all names.
    """
    parts = label.split(JOIN)
    if len(parts) == 1:
        return [label.strip()]
    if known is None:
        names = [part.strip() for part in parts]
        return names if all(name and _closes(name) for name in names) else [label.strip()]
    return _segments(parts, known) or _without_control(label) or [label.strip()]


def known_names(labels: Iterable[str], genes: Iterable[str] = ()) -> set[str]:
    """Collect the names that stand for one thing each.

    Parameters
    ----------
    labels
        All labels of a column: those without ``+``, those joined to a control (``"KLF1+ctrl"``) and those that cannot
        be taken apart are names.
    genes
        Further names, such as those of the measured genes.
    """
    known = set(map(str, genes))
    joined = []
    for label in map(str.strip, labels):
        if JOIN not in label:
            known |= {_gene(label), split_dose(_gene(label))[0]}
        elif (alone := _without_control(label)) and JOIN not in alone[0]:
            known.add(_gene(alone[0]))
        else:
            joined.append(label)
    for label in sorted(joined, key=lambda one: (one.count(JOIN), one)):
        if _segments(label.split(JOIN), known) is None:
            known.add((_without_control(label) or [label])[0])
    return known


def _segments(parts: list[str], known: Container[str]) -> list[str] | None:
    """Join neighbouring parts again, as few as possible, until each is a name; None where that cannot be."""
    follows: dict[int, int] = {}
    for start in reversed(range(len(parts))):
        for end in range(start + 1, len(parts) + 1):
            if (end == len(parts) or end in follows) and _is_name(JOIN.join(parts[start:end]).strip(), known):
                follows[start] = end
                break
    if 0 not in follows:
        return None
    names, start = [], 0
    while start < len(parts):
        names.append(JOIN.join(parts[start : follows[start]]).strip())
        start = follows[start]
    return names


def _is_name(name: str, known: Container[str]) -> bool:
    """Say whether a name is known, also at another dose, bears a mode of its own, or means control."""
    if not name:
        return False
    return name in known or split_dose(name)[0] in known or _gene(name) != name or is_control_name(name)


def _without_control(label: str) -> list[str] | None:
    """Give the one name that is joined to a control; None where there is no control at either end."""
    first, _, rest = label.partition(JOIN)
    if rest.strip() and is_control_name(first):
        return [rest.strip()]
    rest, _, last = label.rpartition(JOIN)
    return [rest.strip()] if rest.strip() and is_control_name(last) else None


def _gene(name: str) -> str:
    gene, mark, mode = name.rpartition(MARK)
    return gene if gene and mark and mode in MODES and JOIN not in gene else name


def _closes(name: str) -> bool:
    return all(name.count(opening) == name.count(closing) for opening, closing in ("()", "[]", "{}"))
