"""How do time and peak memory of embedding grow with the cells?

    OMP_NUM_THREADS=1 python benchmarks/embed_scaling.py [--cells 8000 16000 32000] [--epochs 5] [--json FILE]

Run by hand; three minutes on a quiet core. Simulated cells of three modalities, preprocessed, in files; then one whole
process for each size reads them, trains a `TwinEncoder` on 80% of them and embeds all. Processor time by stage, which a
busy machine stretches less than wall time. What any process pays, whatever it embeds (imports), is told apart: the
slopes are those of logarithms, between the smallest and the largest size, with it and without. Every epoch costs the
same, so the slope at the 50 epochs of `tl.embed` follows from a few.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import numpy as np
import torch

import waddington.twin.embed.encoder as encoder_file
from measuring import say, threading, write
from waddington.twin.datasets import simulate
from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.embed.reference import Reference
from waddington.twin.preprocess import REDUCED, Preprocessor, model_counts, model_input

STAGES = ("imports", "neighbours", "training", "rest of fit", "embedding")
MIB = 2**20
USUAL = 50  # epochs of `tl.embed`


def peak_bytes() -> int:
    """Give the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def make_cells(path: Path, n_cells: int) -> None:
    """Write what an encoder is given: profiles, counts and coordinates by modality."""
    mdata = simulate(n_cells=n_cells, seed=0, n_truth_cells=0)
    train = np.random.default_rng(0).random(n_cells) < 0.8
    Preprocessor().fit(mdata, train).transform(mdata)
    arrays = {"train": train}
    for name in mdata.mod:
        arrays[f"inputs/{name}"] = model_input(mdata, name)
        arrays[f"counts/{name}"] = model_counts(mdata, name)
        arrays[f"spaces/{name}"] = np.asarray(mdata.mod[name].obsm[REDUCED[name]], dtype=np.float32)
    dense = {key: x.toarray() if hasattr(x, "toarray") else x for key, x in arrays.items()}
    np.savez(path, **dense)


def timed(seconds: dict[str, float], stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the processor time of a function's calls to a stage."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        started = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[stage] += time.process_time() - started

    return wrapped


def embed(path: Path, epochs: int) -> dict[str, Any]:
    """Train and embed in this process; seconds by stage and bytes."""
    seconds = dict.fromkeys(STAGES, 0.0) | {"imports": time.process_time()}
    base = peak_bytes()
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    part = {
        kind: {k.split("/")[1]: x for k, x in arrays.items() if k.startswith(kind)}
        for kind in ("inputs", "counts", "spaces")
    }
    given = sum(x.nbytes for x in arrays.values())
    Reference.attach = timed(seconds, "neighbours", Reference.attach)  # type: ignore[method-assign]
    encoder_file.train_module = timed(seconds, "training", encoder_file.train_module)
    encoder = TwinEncoder({name: x.shape[1] for name, x in part["inputs"].items()})
    started = time.process_time()
    encoder.fit(part["inputs"], part["counts"], part["spaces"], train=arrays["train"], epochs=epochs)
    fitted, sought = time.process_time(), seconds["neighbours"]
    encoder.embed(part["inputs"], part["spaces"])
    seconds["rest of fit"] = fitted - started - sought - seconds["training"]
    seconds["embedding"] = time.process_time() - fitted - (seconds["neighbours"] - sought)
    return {"cells": len(arrays["train"]), "seconds": seconds, "base": base, "given": given, "peak": peak_bytes()}


def slope(records: list[dict[str, Any]], value: Callable[[dict[str, Any]], float]) -> float:
    """Slope of the logarithm of a value over that of the number of cells, from the first record to the last."""
    first, last = records[0], records[-1]
    return math.log(value(last) / value(first)) / math.log(last["cells"] / first["cells"])


def at_epochs(seconds: dict[str, float], factor: float) -> float:
    """Seconds without imports, had there been so many times the epochs."""
    return sum(seconds.values()) - seconds["imports"] + (factor - 1) * seconds["training"]


def in_a_process(arguments: list[str]) -> str:
    """Run this script anew; give its last line."""
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip().rpartition("\n")[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[8_000, 16_000, 32_000])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--make", type=Path, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--embed", type=Path, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if arguments.make is not None:
        return make_cells(arguments.make, arguments.cells[0])
    if arguments.embed is not None:
        return print(json.dumps(embed(arguments.embed, arguments.epochs)))
    records = []
    with tempfile.TemporaryDirectory() as folder:
        for n_cells in sorted(arguments.cells):
            say(f"{n_cells} cells")
            path = Path(folder) / f"{n_cells}.npz"
            in_a_process(["--cells", str(n_cells), "--make", str(path)])
            records.append(json.loads(in_a_process(["--epochs", str(arguments.epochs), "--embed", str(path)])))
            path.unlink()
    print(f"{threading()}; {arguments.epochs} epochs; seconds of processor time, MiB at the peak")
    print(
        f"{'cells':>8}"
        + "".join(f"{stage:>13}" for stage in STAGES)
        + f"{'total':>9}{'peak':>8}{'imports':>9}{'cells':>8}"
    )
    for record in records:
        seconds = record["seconds"]
        line = f"{record['cells']:8d}" + "".join(f"{seconds[stage]:13.1f}" for stage in STAGES)
        line += f"{sum(seconds.values()):9.1f}{record['peak'] / MIB:8.0f}{record['base'] / MIB:9.0f}"
        print(line + f"{record['given'] / MIB:8.0f}")
    slopes = {
        "time": slope(records, lambda record: sum(record["seconds"].values())),
        "time without imports": slope(
            records, lambda record: sum(record["seconds"].values()) - record["seconds"]["imports"]
        ),
        f"time without imports at {USUAL} epochs": slope(
            records, lambda record: at_epochs(record["seconds"], USUAL / max(arguments.epochs, 1))
        ),
        "time of neighbours": slope(records, lambda record: record["seconds"]["neighbours"]),
        "memory": slope(records, lambda record: record["peak"]),
        "memory without imports": slope(records, lambda record: record["peak"] - record["base"]),
    }
    for name, value in slopes.items():
        print(f"slope of {name}: {value:.2f}")
    if arguments.json is not None:
        write(arguments.json, {"epochs": arguments.epochs, "sizes": records, "slopes": slopes})


if __name__ == "__main__":
    main()
