"""The options that say how cells are read, the same for every command that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "DATA",
    "Atac",
    "BatchKey",
    "CellTypeKey",
    "CombinationSeparator",
    "Control",
    "CountsLayer",
    "DoseKey",
    "Layer",
    "ModeKey",
    "Normalization",
    "PerturbationKey",
    "PerturbationMode",
    "Protein",
    "Rna",
    "SplitKey",
    "TimeKey",
]

DATA = "Cells"
"""Panel of the help page in which they stand."""

_Path = Path | None
_Text = str | None

Rna = Annotated[_Path, typer.Option("--rna", help="A file with RNA.", rich_help_panel=DATA)]
Atac = Annotated[_Path, typer.Option("--atac", help="A file with ATAC of the same cells.", rich_help_panel=DATA)]
Protein = Annotated[
    _Path, typer.Option("--protein", help="A file with proteins of the same cells.", rich_help_panel=DATA)
]
PerturbationKey = Annotated[
    _Text, typer.Option("--perturbation-key", help="Column of obs with the perturbation.", rich_help_panel=DATA)
]
ModeKey = Annotated[
    _Text, typer.Option("--mode-key", help="Column of obs with the modes of perturbations.", rich_help_panel=DATA)
]
DoseKey = Annotated[
    _Text, typer.Option("--dose-key", help="Column of obs with doses, all in one unit.", rich_help_panel=DATA)
]
PerturbationMode = Annotated[
    _Text,
    typer.Option(
        "--perturbation-mode",
        help="Mode of perturbations whose mode no column says, such as knockdown or drug.",
        rich_help_panel=DATA,
    ),
]
Control = Annotated[_Text, typer.Option("--control", help="A further label that means control.", rich_help_panel=DATA)]
CombinationSeparator = Annotated[
    _Text,
    typer.Option(
        "--combination-separator",
        help="What joins the perturbations of a label; + between known names without it.",
        rich_help_panel=DATA,
    ),
]
TimeKey = Annotated[
    _Text, typer.Option("--time-key", help="Column of obs with the observed time.", rich_help_panel=DATA)
]
SplitKey = Annotated[
    _Text, typer.Option("--split-key", help="Column of obs with train and test.", rich_help_panel=DATA)
]
BatchKey = Annotated[_Text, typer.Option("--batch-key", help="Column of obs with the batch.", rich_help_panel=DATA)]
CellTypeKey = Annotated[
    _Text, typer.Option("--cell-type-key", help="Column of obs with the cell type.", rich_help_panel=DATA)
]
CountsLayer = Annotated[
    _Text, typer.Option("--counts-layer", help="Layer with raw counts, where not found.", rich_help_panel=DATA)
]
Normalization = Annotated[
    _Text,
    typer.Option(
        "--normalization",
        help="total: raw counts; none: values are taken as they are (log-normalized, mass cytometry, qPCR); "
        "none:rna,protein: so for these.",
        rich_help_panel=DATA,
    ),
]
Layer = Annotated[
    _Text,
    typer.Option(
        "--layer", help="Layer with the values that are taken as they are; X without it.", rich_help_panel=DATA
    ),
]
