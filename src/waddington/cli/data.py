"""``waddington data describe``: what a file holds, before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from waddington._text import counted, shorten_all
from waddington.cli import _reading as reading
from waddington.cli._screen import make_console, plain, table_or_list
from waddington.cli._spelling import SpellingCommand, spell

__all__ = ["app", "describe"]

_BESIDE = 20  # columns that stand beside a label on its line: borders, number of cells, name of the column

app = typer.Typer(help="Look at data.", no_args_is_help=True)


@app.callback()
def _data() -> None:
    """Look at data."""


@app.command("describe", cls=SpellingCommand)
def describe(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A .h5mu, .h5ad, 10x .h5, .zarr or a 10x mtx folder.")] = None,
    rna: reading.Rna = None,
    atac: reading.Atac = None,
    protein: reading.Protein = None,
    perturbation_key: reading.PerturbationKey = None,
    mode_key: reading.ModeKey = None,
    dose_key: reading.DoseKey = None,
    perturbation_mode: reading.PerturbationMode = None,
    control: reading.Control = None,
    combination_separator: reading.CombinationSeparator = None,
    time_key: reading.TimeKey = None,
    split_key: reading.SplitKey = None,
    batch_key: reading.BatchKey = None,
    cell_type_key: reading.CellTypeKey = None,
    counts_layer: reading.CountsLayer = None,
    normalization: reading.Normalization = None,
    layer: reading.Layer = None,
) -> None:
    """Read and validate a file, and say what is in it."""
    from waddington.twin import data

    options = {
        "rna": rna, "atac": atac, "protein": protein, "perturbation_key": perturbation_key, "mode_key": mode_key,
        "dose_key": dose_key, "perturbation_mode": perturbation_mode, "control": control,
        "combination_separator": combination_separator, "time_key": time_key, "split_key": split_key,
        "batch_key": batch_key, "cell_type_key": cell_type_key, "counts_layer": counts_layer, "layer": layer,
        "normalization": normalization,
    }  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    description = data.io.describe(data.io.read(file, **given))
    console = make_console()
    room = max(console.width - _BESIDE, 10)
    parts = [
        (
            part.modality,
            f"{part.n_features:,}",
            f"{part.density:.1%}",
            "as given" if part.as_given else f"{part.median_counts:,.0f}",
            ", ".join(part.layers) or "-",
        )
        for part in description.modalities
    ]
    columns = ("modality", "features", "density", "median counts a cell", "layers")
    title = counted(description.n_cells, "cell")
    console.print(table_or_list(console, title, columns, parts, numeric=columns[1:4]))
    if len(description.conditions) > 0:
        shown = shorten_all(description.conditions["condition"], room)
        rows = [(shown[label], f"{cells:,}") for label, cells in description.conditions.itertuples(index=False)]
        console.print(table_or_list(console, "Conditions", ("condition", "cells"), rows, numeric=("cells",)))
    for name, values in description.labels.items():
        shown = shorten_all(values, room)
        listed = ", ".join(f"{shown[value]} ({cells:,})" for value, cells in values.items())
        console.print(Text.assemble((name, "bold"), ": ", plain(listed)))
    for note in description.notes:
        console.print(plain(f"note: {spell(note, context.command)}"))
