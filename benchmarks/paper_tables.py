"""Tables II and III of the ASGDAdam paper, measured whole; hours. The same command goes on after a kill.

    python benchmarks/paper_tables.py --out results/tables                         # simulated cells, given rates
    python benchmarks/paper_tables.py --out results/tables --tuned                 # and at rates from a search
    python benchmarks/paper_tables.py --out results/tables --data eccite snareseq  # of WADDINGTON_DATA
    python benchmarks/paper_tables.py --out results/tables --file filtered_feature_bc_matrix.h5 --name pbmc
    python benchmarks/paper_tables.py --out results/tables --regimes 1 2 3 4 8 --anisotropy --rows ASGD-Adam Adam
    python benchmarks/paper_tables.py --out results/tables --report                # of what is recorded so far

The folder holds ``tables.md`` and ``tables.csv`` beside the published tables, ``records.csv`` and ``runs.csv``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from waddington._checks import check_known
from waddington.bench.datasets.source import data_root
from waddington.cli._progress import make_listener
from waddington.cli._screen import make_console
from waddington.errors import ArgumentError, WaddingtonError
from waddington.twin.tables import ROWS, CellSource, Row, TablesConfig, read_tables, run_tables, write_tables

DATA = {
    "eccite": {"rna": "eccite_pbmc_ctrl/rna.h5ad", "protein": "eccite_pbmc_ctrl/adt.h5ad"},
    "snareseq": {"rna": "snareseq_mouse_cortex/rna.h5ad", "atac": "snareseq_mouse_cortex/atac.h5ad"},
}
"""Public data by their files in WADDINGTON_DATA: blood cells with protein, mouse cortex with chromatin."""


def sources(options: argparse.Namespace) -> tuple[CellSource, ...]:
    """Give the cells that are asked for, and refuse what says nothing of them."""
    own = {name: path for name in ("file", "rna", "atac", "protein") if (path := getattr(options, name))}
    data = [] if own else [check_known("data", name, ("simulated", *DATA)) for name in options.data or ["simulated"]]
    if own and options.data:
        raise ArgumentError(f"cannot use --data beside --{next(iter(own))}: accepted is the one or the other")
    if options.name is not None and not own:
        raise ArgumentError(
            f"cannot use --name {options.name} without --file, --rna, --atac or --protein: it is theirs"
        )
    if options.cells is not None and "simulated" not in data:
        raise ArgumentError(
            f"cannot use --cells {options.cells} without --data simulated: files have as many as they have"
        )
    if own:
        return (CellSource.read(options.name or "cells", **own),)
    return tuple(
        CellSource.simulated(**{} if options.cells is None else {"n_cells": options.cells})
        if name == "simulated"
        else CellSource.read(name, **{key: data_root() / path for key, path in DATA[name].items()})
        for name in data
    )


def rows(options: argparse.Namespace) -> tuple[Row, ...]:
    """Give the rows that are asked for, by name, and those that are written out."""
    known = {row.name: row for row in ROWS}
    chosen = [known[check_known("row", name, known)] for name in options.rows or ([] if options.optimizer else known)]
    return (*chosen, *(Row(name=text, optimizer=text) for text in options.optimizer or ()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", nargs="+", help="simulated (without it), eccite, snareseq")
    parser.add_argument("--cells", type=int, help="cells to simulate; 5000 without it")
    parser.add_argument("--file", type=Path, help="your own cells: one file, or one a modality")
    for modality in ("rna", "atac", "protein"):
        parser.add_argument(f"--{modality}", type=Path)
    parser.add_argument("--name", help="of your own cells, in the tables; cells without it")
    parser.add_argument("--rows", nargs="+", help="names of rows; all without it")
    parser.add_argument("--optimizer", action="append", help="a row of your own: ASGDAdam,switch=mean,alpha_max=1e-3")
    parser.add_argument("--protocols", nargs="+", default=["paper", "held-out"])
    parser.add_argument("--regimes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--horizon", type=int, default=1000)
    parser.add_argument("--encoder-epochs", type=int, default=50)
    parser.add_argument("--encoders", type=int, default=0, help="trained encoders, by turns; 0: one a seed")
    parser.add_argument("--net", nargs="+", type=int, default=[256] * 6)
    parser.add_argument("--tuned", action="store_true", help="also at rates that a search chose")
    parser.add_argument("--trials", type=int, help="of each row's search; 21 without it")
    parser.add_argument("--anisotropy", action="store_true")
    parser.add_argument("--update", default="written-out")
    parser.add_argument("--workers", type=int, default=0, help="0: one a core")
    parser.add_argument("--report", action="store_true", help="write the tables of what is recorded; run nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        if options.trials is not None and not options.tuned:
            raise ArgumentError(f"cannot use --trials {options.trials} without --tuned: nothing else is searched")
        trials = {} if options.trials is None else {"trials": options.trials}
        config = TablesConfig(
            cells=sources(options), rows=rows(options), protocols=tuple(options.protocols),
            regimes=tuple(options.regimes), seeds=options.seeds, steps=options.steps, episodes=options.episodes,
            horizon=options.horizon, encoder_epochs=options.encoder_epochs, encoders=options.encoders,
            net=tuple(options.net), tuned=options.tuned, anisotropy=options.anisotropy,
            update=options.update, **trials,
        )  # fmt: skip
        if options.report:
            found = read_tables(config, options.out)
        else:
            with make_listener(make_console()) as listener:
                found = run_tables(config, options.out, workers=options.workers, listener=listener)
        write_tables(found, options.out)
    except WaddingtonError as error:
        raise SystemExit(str(error)) from error
    print(options.out / "tables.md")


if __name__ == "__main__":
    main()
