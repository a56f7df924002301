"""``waddington simulate``: write perturbed, differentiating, three-modality cells with known truth."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from waddington._text import counted
from waddington.cli._screen import make_console, plain

__all__ = ["simulate"]


def simulate(
    out: Annotated[Path, typer.Argument(help="The .h5mu file to write.")],
    n_cells: Annotated[int, typer.Option("--cells", help="Cells to simulate.")] = 5000,
    n_genes: Annotated[int, typer.Option("--genes", help="Genes, the 11 regulators included.")] = 200,
    n_peaks: Annotated[int, typer.Option("--peaks", help="Chromatin peaks.")] = 400,
    n_proteins: Annotated[int, typer.Option("--proteins", help="Surface proteins.")] = 24,
    seed: Annotated[int, typer.Option(help="The same seed gives the same file content.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Simulate RNA, ATAC and protein counts of perturbed myeloid differentiation (Krumsiek et al. 2011) as .h5mu."""
    from waddington.errors import ArgumentError, OutputError
    from waddington.twin import datasets
    from waddington.twin.data import io

    if out.suffix != ".h5mu":
        raise ArgumentError(f"cannot write {str(out)!r}: the simulator writes MuData; accepted: a name ending in .h5mu")
    if out.exists() and not force:
        raise OutputError(f"cannot write {str(out)!r}: the file exists; accepted: another name, or --force")
    console = make_console()
    with console.status(f"simulating {counted(n_cells, 'cell')}"):
        mdata = datasets.simulate(n_cells=n_cells, n_genes=n_genes, n_peaks=n_peaks, n_proteins=n_proteins, seed=seed)
        io.write(mdata, out)
    sizes = ", ".join(f"{name} {part.n_vars:,}" for name, part in mdata.mod.items())
    console.print(plain(f"wrote {out}: {counted(mdata.n_obs, 'cell')}; features: {sizes}"))
    file = shlex.quote(str(out))
    for command in (f"waddington data describe {file}", f"waddington run {file} --out results"):
        console.print(plain(f"next: {command}"), soft_wrap=True)  # never broken, to be copied whole
