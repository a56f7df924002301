"""The words of the field for the modes of a perturbation, in one place."""

from __future__ import annotations

from typing import Final

from waddington.errors import DataError

__all__ = ["DEFAULT_MODE", "GENE_MODES", "MODES", "MODE_ALIASES", "canonical_mode", "is_mode_word"]

MODES: Final = ("knockout", "knockdown", "activation", "overexpression", "drug", "cytokine", "perturbation")
"""Ways of perturbing a cell; the first four act on a gene, and the last says no more than that something was done."""

GENE_MODES: Final = MODES[:4]
"""Modes that act on a gene."""

DEFAULT_MODE: Final = "perturbation"
"""The mode where neither the data nor the user say one."""

MODE_ALIASES: Final = {
    "knockout": ("knockout", "ko", "knock out", "crispr ko", "crispr cas9", "cas9", "crispr knockout"),
    "knockdown": (
        "knockdown",
        "kd",
        "knock down",
        "crispri",
        "crispr i",
        "crispr interference",
        "rnai",
        "sirna",
        "shrna",
    ),
    "activation": ("activation", "act", "crispra", "crispr a", "crispr activation", "upregulation"),
    "overexpression": ("overexpression", "over expression", "oe", "orf"),
    "drug": ("drug", "compound", "small molecule", "chemical"),
    "cytokine": ("cytokine", "cytokines", "ligand"),
    # CRISPR alone names the tool: files write it for knock-out, interference and activation.
    "perturbation": ("perturbation", "crispr"),
}
"""Names of a mode in files, in lower case with spaces for hyphens and underscores."""

_MODE_BY_ALIAS = {alias: mode for mode, aliases in MODE_ALIASES.items() for alias in aliases}


def is_mode_word(name: str) -> bool:
    """Say whether a word stands for a mode in :data:`MODES`."""
    return _fold(name) in _MODE_BY_ALIAS


def canonical_mode(name: str) -> str:
    """Give the mode in :data:`MODES` that a file's word stands for (``"CRISPRi"`` is ``"knockdown"``).

    Raises
    ------
    DataError
        When the word is not known; lists the modes.
    """
    if not is_mode_word(name):
        raise DataError(
            f"cannot read perturbation mode {name!r}: accepted are {', '.join(MODES)} "
            "(and usual names for them, such as CRISPRi, CRISPRa, KO, OE)"
        )
    return _MODE_BY_ALIAS[_fold(name)]


def _fold(name: str) -> str:
    return " ".join(name.strip().casefold().replace("-", " ").replace("_", " ").split())
