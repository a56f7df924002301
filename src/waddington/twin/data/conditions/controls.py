"""The labels of files that mean "not perturbed", and those that mean "nothing is known": one table each.

The page ``docs/labels.md`` shows the table of controls; a test holds the two together.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["CONTROL", "CONTROL_WORDS", "MISSING_WORDS", "is_control_name", "is_control_word", "is_missing"]

CONTROL: Final = "control"
"""Canonical label of an unperturbed cell."""

CONTROL_WORDS: Final = {
    "the word itself": (
        *("control", "controls", "ctrl", "ctl", "cntrl", "negative control", "negative ctrl", "neg control"),
        *("neg ctrl", "negctrl", "negcontrol", "nt ctrl", "nt control"),
    ),
    "guides without a target": (
        *("non targeting", "nontargeting", "non target", "nontarget", "nt", "ntc", "ntg", "safe targeting"),
        *("safe harbor", "safe harbour", "scramble", "scrambled", "intergenic", "aavs1", "rosa26"),
    ),
    "reporters and empty vectors": (
        *("gfp", "egfp", "bfp", "rfp", "yfp", "mcherry", "tdtomato", "lacz", "luciferase", "empty vector", "ev"),
    ),
    "cells as they were": (
        *("wt", "wild type", "wildtype", "unperturbed", "untreated", "unstimulated", "unstim", "uninfected"),
        *("untransduced", "untransfected", "no treatment"),
    ),
    "carriers": ("mock", "vehicle", "dmso", "pbs", "saline"),
}
"""Labels that mean control, by kind: in lower case, with spaces for hyphens, underscores, dots and slashes."""

MISSING_WORDS: Final = frozenset({"", "nan", "none", "na", "n/a", "<na>", "nat", "null"})
"""Labels that say nothing, in lower case."""

_WORDS: Final = frozenset(word for words in CONTROL_WORDS.values() for word in words)
# Short words take a number only after a separator: WT1 is a gene, and NT5 begins those of the nucleotidases.
_N_LETTERS_BEFORE_NUMBER: Final = 4
_DIRECT: Final = {"ntg"}
_SUFFIX: Final = re.compile(
    r"(?:(?:g|sg|rep|r|guide|grna|sgrna|replicate)?\d+(?:h|hr|d|%)?"
    r"|guides?|grna|sgrna|genes?|cells?|treated|infected|transduced|transfected|control|ctrl|tf)"
)


def is_missing(label: object) -> bool:
    """Say whether a label says nothing: NaN, None, an empty text, or the words that stand for them."""
    return str(label).strip().casefold() in MISSING_WORDS


def is_control_word(name: str) -> bool:
    """Say whether a name is in the table of controls as it is, without a number."""
    return _fold(name) in _WORDS


def is_control_name(name: str) -> bool:
    """Say whether a name means "not perturbed": a word of the table, also numbered or described.

    Understood are ``"NT-1"``, ``"non-targeting_00025"``, ``"NegCtrl0"``, ``"INTERGENIC393453"``, ``"sgNTC-2"``,
    ``"DMSO_TF"`` and ``"NegCtrl0_NegCtrl0"``; not ``"WT1"``, which is a gene, nor ``"ctrl_KLF1"``.
    """
    tokens = _fold(name).split()
    if not tokens:
        return False
    kept = len(tokens)
    while kept > 1 and _SUFFIX.fullmatch(tokens[kept - 1]) and " ".join(tokens[:kept]) not in _WORDS:
        kept -= 1
    return _means_control(" ".join(tokens[:kept])) or all(map(_means_control, tokens))


def _fold(name: str) -> str:
    return " ".join(re.sub(r"[-_./\u2010-\u2013]", " ", name.casefold()).split())


def _means_control(words: str) -> bool:
    bare = re.sub(r"^(?:sg|si|sh)(?=\w)", "", words)
    if words in _WORDS or bare in _WORDS:
        return True
    stem = re.sub(r"\d+$", "", bare)
    return stem in _WORDS and (len(stem) >= _N_LETTERS_BEFORE_NUMBER or stem in _DIRECT)
