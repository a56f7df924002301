"""The three kinds of measurement of one cell, and every name under which files call them.

A modality is a key of ``MuData.mod``: ``"rna"`` (transcripts), ``"atac"`` (open chromatin), ``"protein"`` (antibody
tags). Files say ``gex``, ``Gene Expression``, ``Peaks``, ``adt``, ``Antibody Capture``: :func:`canonical_modality` and
:func:`modality_of_feature_type` know them, so that nothing downstream has to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from waddington.errors import UnknownNameError

__all__ = [
    "ALIASES",
    "COUNTS_LAYER",
    "FEATURE_TYPES",
    "GUIDES",
    "MODALITIES",
    "TITLES",
    "VALUES_LAYER",
    "canonical_modality",
    "in_order",
    "in_words",
    "is_guides",
    "modality_of_feature_type",
]

MODALITIES: Final = ("rna", "atac", "protein")
"""Keys of ``MuData.mod``, in the order in which tables and pictures show them."""

COUNTS_LAYER: Final = "counts"
"""The layer of each modality that holds raw counts (CSR, float32)."""

VALUES_LAYER: Final = "values"
"""The layer that holds instead what a modality was declared to be as it is: normalized or continuous values."""

TITLES: Final = {
    "rna": "RNA",
    "atac": "Chromatin (ATAC)",
    "protein": "Surface protein",
    "joint": "Joint",
    "all": "All",
}
"""How a modality is written where it stands alone: in headings, on axes, at the beginning of a note."""

_WORDS: Final = {"rna": "RNA", "atac": "chromatin accessibility", "protein": "surface protein"}

ALIASES: Final = {
    "rna": ("rna", "gex", "gene", "genes", "expression", "gene_expression", "transcriptome", "mrna"),
    "atac": ("atac", "peak", "peaks", "chromatin", "chromatin_accessibility", "accessibility", "atac_peaks"),
    "protein": (
        "protein",
        "proteins",
        "prot",
        "adt",
        "ab",
        "antibody",
        "antibody_capture",
        "surface_protein",
        "cite",
    ),
}
"""Names of a modality in files, in lower case with underscores."""

FEATURE_TYPES: Final = {
    "rna": ("Gene Expression", "gene_expression", "rna", "gex", "gene"),
    "atac": ("Peaks", "peak", "Chromatin Accessibility", "chromatin_accessibility", "atac"),
    "protein": ("Antibody Capture", "antibody_capture", "protein", "proteins", "adt", "prot"),
}
"""Values of ``var["feature_types"]`` (10x Genomics' own first) by modality."""

GUIDES: Final = (
    *("gdo", "guide", "guides", "grna", "grnas", "sgrna", "sgrnas", "crispr", "guide_capture", "guide_rna"),
    *("crispr_guide_capture", "crispr_guides", "perturbation", "perturbations"),
)
"""Names in files of a modality of guides, in lower case with underscores: its columns of cells say what was done."""


def _fold(name: str) -> str:
    """Bring a name into the form in which the tables above are compared."""
    return "_".join(name.strip().casefold().replace("-", " ").replace("_", " ").split())


_BY_ALIAS = {_fold(alias): modality for modality, aliases in ALIASES.items() for alias in aliases}
_BY_TYPE = {_fold(kind): modality for modality, kinds in FEATURE_TYPES.items() for kind in kinds}


def canonical_modality(name: str) -> str:
    """Give the key in :data:`MODALITIES` that a name stands for.

    Parameters
    ----------
    name
        A modality's name as a file writes it: ``"gex"``, ``"ADT"``, ``"Gene Expression"``; case, spaces, hyphens and
        underscores do not matter.

    Raises
    ------
    UnknownNameError
        When no modality goes by that name.
    """
    folded = _fold(name)
    found = _BY_ALIAS.get(folded) or _BY_TYPE.get(folded)
    if found is None:
        accepted = "; ".join(f"{modality} ({', '.join(aliases[1:])})" for modality, aliases in ALIASES.items())
        raise UnknownNameError(f"unknown modality {name!r}. Known, with other names that are understood: {accepted}")
    return found


def in_words(modality: str) -> str:
    """Name a modality within a sentence; errors name keys and options instead, as these are what a user can change.

    >>> in_words("atac")
    'chromatin accessibility'
    """
    return _WORDS.get(modality, modality)


def modality_of_feature_type(kind: str) -> str | None:
    """Give the modality of a value of ``var["feature_types"]``, or None for a type that the twin does not use.

    Guide captures, hashtags and custom features are measurements about the experiment, not of the cell's state.
    """
    return _BY_TYPE.get(_fold(kind))


def is_guides(name: str) -> bool:
    """Say whether a modality holds guides: no measurement of the cell's state, but of what was done to it."""
    return _fold(name) in GUIDES


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Give those of :data:`MODALITIES` that are among the names, in their fixed order."""
    present = set(names)
    return tuple(modality for modality in MODALITIES if modality in present)
