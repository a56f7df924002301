"""``waddington data describe``: what a file holds, before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

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
    console = Console()
    table = Table(title=f"{description.n_cells:,} cells", title_justify="left")
    for column in ("modality", "features", "density", "median counts a cell", "layers"):
        table.add_column(column, justify="left" if column in ("modality", "layers") else "right")
    for part in description.modalities:
        table.add_row(
            part.modality,
            f"{part.n_features:,}",
            f"{part.density:.1%}",
            f"{part.median_counts:,.0f}",
            ", ".join(part.layers) or "-",
        )
    console.print(table)
    if len(description.conditions) > 0:
        conditions = Table(title="Conditions", title_justify="left")
        conditions.add_column("condition")
        conditions.add_column("cells", justify="right")
        for label, cells in description.conditions.itertuples(index=False):
            conditions.add_row(str(label), f"{cells:,}")
        console.print(conditions)
    for name, values in description.labels.items():
        listed = ", ".join(f"{value} ({cells:,})" for value, cells in values.items())
        console.print(f"[bold]{name}[/]: {listed}", highlight=False)
    for note in description.notes:
        console.print(f"note: {note}", highlight=False, markup=False)
