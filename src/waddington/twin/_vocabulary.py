"""The words of the field for perturbation modes and for control, in one place."""

from __future__ import annotations

from typing import Final

from waddington._errors import DataError

__all__ = ["CONTROL", "CONTROL_NAMES", "MODES", "MODE_ALIASES", "canonical_mode", "is_control_name"]

MODES: Final = ("knockout", "knockdown", "activation", "overexpression", "drug", "cytokine")
"""Ways of perturbing a cell; the first four act on a gene."""

CONTROL: Final = "control"
"""Canonical label of an unperturbed cell."""

CONTROL_NAMES: Final = frozenset(
    {
        *("control", "ctrl", "ctl", "negative control", "neg-ctrl", "negctrl", "nt-ctrl"),
        *("non-targeting", "nontargeting", "non targeting", "nt", "ntc", "safe-targeting"),
        *("unperturbed", "untreated", "unstimulated", "mock", "vehicle", "dmso", "pbs", "none"),
    }
)
"""Labels that mean "not perturbed", in lower case with hyphens for underscores."""

MODE_ALIASES: Final = {
    "knockout": ("knockout", "ko", "knock out", "crispr", "crispr ko", "crispr cas9", "cas9", "crispr knockout"),
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
}
"""Names of a mode in files, in lower case with spaces for hyphens and underscores."""

_MODE_BY_ALIAS = {alias: mode for mode, aliases in MODE_ALIASES.items() for alias in aliases}


def is_control_name(name: str) -> bool:
    """Say whether a name means "not perturbed" in any convention of :data:`CONTROL_NAMES`."""
    return name.strip().casefold().replace("_", "-") in CONTROL_NAMES


def canonical_mode(name: str) -> str:
    """Give the mode in :data:`MODES` that a file's word stands for (``"CRISPRi"`` is ``"knockdown"``).

    Raises
    ------
    DataError
        When the word is not known; lists the modes.
    """
    folded = " ".join(name.strip().casefold().replace("-", " ").replace("_", " ").split())
    if folded not in _MODE_BY_ALIAS:
        raise DataError(
            f"cannot read perturbation mode {name!r}: accepted are {', '.join(MODES)} "
            "(and usual names for them, such as CRISPRi, CRISPRa, KO, OE)"
        )
    return _MODE_BY_ALIAS[folded]
