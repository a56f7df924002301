"""From how many cells does approximate search pay?

    OMP_NUM_THREADS=1 python benchmarks/neighbor_search.py [--cells 16000 32000 64000] [--json FILE]

Run by hand; six minutes on a quiet core. Simulated cells of three modalities: the candidates of the joint graph (45 a
cell) are sought for all of them and then for 1,000 new cells, exactly and by nearest-neighbour descent, each in a
process of its own, because each process compiles the descent. Processor time, and the share of the exact neighbours
that the descent finds, over the nearest 15 and over all 45. `EXACT_UP_TO` in `preprocess/neighbors.py` follows from it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # before numba is imported

import numpy as np

from measuring import say, threading, write
from waddington.twin.datasets import simulate
from waddington.twin.preprocess import REDUCED, Preprocessor, neighbors

WAYS = {"exact": sys.maxsize, "descent": 0}
NEW = 1000
WIDTH = 45


def make_cells(path: Path, n_cells: int) -> None:
    """Write coordinates by modality; the last `NEW` cells are new ones."""
    mdata = simulate(n_cells=n_cells + NEW, seed=0, n_truth_cells=0)
    Preprocessor().fit(mdata, np.arange(n_cells + NEW) < n_cells).transform(mdata)
    spaces = {name: np.asarray(mdata.mod[name].obsm[REDUCED[name]], dtype=np.float32) for name in mdata.mod}
    np.savez(path, **spaces)


def search(path: Path, way: str, found: Path) -> dict[str, float]:
    """Seek in one way; seconds, and what was found for 1,000 old and the new cells goes to a file."""
    neighbors.EXACT_UP_TO = WAYS[way]
    seconds, tables = {"old": 0.0, "new": 0.0}, {}
    with np.load(path) as spaces:
        for name, x in spaces.items():
            for kind, query in (("old", None), ("new", x[-NEW:])):
                started = time.process_time()
                graph = neighbors.knn_graph(x[:-NEW], n_neighbors=WIDTH, query=query)
                seconds[kind] += time.process_time() - started
                tables[f"{kind}/{name}"] = neighbors.neighbor_table(graph)[0][:NEW]
    np.savez(found, **tables)
    return seconds


def recall(exact: Path, approximate: Path, kind: str, width: int) -> float:
    """Give the smallest share over the modalities of the exact neighbours that were found."""
    shares = []
    with np.load(exact) as one, np.load(approximate) as other:
        for name in (key for key in one.files if key.startswith(kind)):
            pairs = zip(one[name][:, :width], other[name][:, :width], strict=True)
            shares.append(float(np.mean([np.isin(a, b).mean() for a, b in pairs])))
    return min(shares)


def in_a_process(arguments: list[str]) -> str:
    """Run this script anew; give its last line."""
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip().rpartition("\n")[2]


def compare(n_cells: int, folder: Path) -> dict[str, Any]:
    """Seek among so many cells in both ways."""
    path = folder / "cells.npz"
    in_a_process(["--cells", str(n_cells), "--make", str(path)])
    record: dict[str, Any] = {"cells": n_cells}
    for way in WAYS:
        say(f"{n_cells} cells, {way}")
        record[way] = json.loads(in_a_process(["--way", way, str(path), str(folder / f"{way}.npz")]))
    for kind in ("old", "new"):
        for width in (15, WIDTH):
            record[f"{kind} {width}"] = recall(folder / "exact.npz", folder / "descent.npz", kind, width)
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[16_000, 32_000, 64_000])
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--make", type=Path, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--way", nargs=3, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make is not None:
        return make_cells(arguments.make, arguments.cells[0])
    if arguments.way is not None:
        way, path, found = arguments.way
        return print(json.dumps(search(Path(path), way, Path(found))))
    print(f"{threading()}; seconds of processor time; share of the exact neighbours found, in the worst modality")
    columns = ("exact", "+ new", "descent", "+ new", "old 15", "old 45", "new 15", "new 45")
    print(f"{'cells':>8}" + "".join(f"{column:>9}" for column in columns), flush=True)
    records = []
    for n_cells in arguments.cells:
        with tempfile.TemporaryDirectory() as folder:
            record = compare(n_cells, Path(folder))
        line = f"{n_cells:8d}" + "".join(f"{record[way][kind]:9.1f}" for way in WAYS for kind in ("old", "new"))
        shares = (record[f"{kind} {width}"] for kind in ("old", "new") for width in (15, WIDTH))
        print(line + "".join(f"{share:9.4f}" for share in shares), flush=True)
        records.append(record)
    if arguments.json is not None:
        write(arguments.json, {"sizes": records})


if __name__ == "__main__":
    main()
