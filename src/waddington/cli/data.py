"""``waddington data describe``: what a file holds, before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from waddington.cli._screen import make_console, plain, table_or_list

__all__ = ["app", "describe"]

app = typer.Typer(help="Look at data.", no_args_is_help=True)


@app.callback()
def _data() -> None:
    """Look at data."""


@app.command("describe")
def describe(
    file: Annotated[Path | None, typer.Argument(help="A .h5mu, .h5ad, 10x .h5, .zarr or a 10x mtx folder.")] = None,
    rna: Annotated[Path | None, typer.Option(help="A file with RNA counts.")] = None,
    atac: Annotated[Path | None, typer.Option(help="A file with ATAC counts of the same cells.")] = None,
    protein: Annotated[Path | None, typer.Option(help="A file with protein counts of the same cells.")] = None,
) -> None:
    """Read and validate a file, and say what is in it."""
    from waddington.twin import io

    description = io.describe(io.read(file, rna=rna, atac=atac, protein=protein))
    console = make_console()
    parts = [
        (
            part.modality,
            f"{part.n_features:,}",
            f"{part.density:.1%}",
            f"{part.median_counts:,.0f}",
            ", ".join(part.layers) or "-",
        )
        for part in description.modalities
    ]
    columns = ("modality", "features", "density", "median counts a cell", "layers")
    title = f"{description.n_cells:,} cells"
    console.print(table_or_list(console, title, columns, parts, numeric=columns[1:4]))
    if len(description.conditions) > 0:
        rows = [(label, f"{cells:,}") for label, cells in description.conditions.itertuples(index=False)]
        console.print(table_or_list(console, "Conditions", ("condition", "cells"), rows, numeric=("cells",)))
    for name, values in description.labels.items():
        listed = ", ".join(f"{value} ({cells:,})" for value, cells in values.items())
        console.print(Text.assemble((name, "bold"), ": ", plain(listed)))
    for note in description.notes:
        console.print(plain(f"note: {note}"))
