"""What do fit and prediction of the hierarchical additive model cost, and how do they grow with the conditions?

    python benchmarks/response_scaling.py [--genes 5000] [--singles 1250 2500 5000 10000]

Run by hand; two minutes on two quiet cores. Condition means are drawn from the model's own equations, 100 cells each.
Every row is a process of its own that fits the model and predicts effect and standard deviation of all conditions:
1,000 single perturbations; 100 singles with 900 of their doubles, where everything is coupled; then single
perturbations in growing number on 500 genes. Wall seconds, processor seconds, and the most memory the process had; the
two large screens once on one thread and once on all cores. The limit is held against processor seconds on one thread,
which a busy machine stretches less; the load of the machine stands beside wall seconds, and says whether they are its
own. The slope is that of logarithms, of processor time by the number of conditions, from the smallest to the largest
screen.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import numpy as np
import torch

from measuring import say, write
from waddington.jobs import core_count
from waddington.twin.respond import HierarchicalAdditive, Measured, Table

CELLS, CONTROLS = 100.0, 1000.0
LIMIT_SECONDS, LIMIT_GIB = 60.0, 4.0
GENES_OF_MANY = 500


def peak_gib() -> float:
    """Give the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**30


def screen(singles: int, doubles: int, genes: int, *, seed: int = 0) -> Measured:
    """Draw the means of a screen."""
    rng = np.random.default_rng(seed)
    names = [f"G{i:05d}:knockout" for i in range(singles)]
    pairs = list(itertools.combinations(range(min(singles, 200)), 2))
    chosen = [pairs[i] for i in rng.permutation(len(pairs))[:doubles]]
    member = np.zeros((1 + singles + doubles, singles))
    member[1 + np.arange(singles), np.arange(singles)] = 1.0
    for row, pair in enumerate(chosen, start=1 + singles):
        member[row, list(pair)] = 0.8
    responsiveness = rng.gamma(0.5, 2.0, genes)
    theta = rng.standard_normal((singles, genes)) * np.sqrt(0.05 * rng.gamma(0.7, 1.5, (singles, 1)) * responsiveness)
    n = np.full(len(member), CELLS)
    n[0] = CONTROLS
    variance = np.tile(rng.uniform(0.05, 1.0, genes), (len(member), 1))
    noise = rng.standard_normal((len(member), genes)) / np.sqrt(n)[:, None]
    mean = 1.0 + np.sqrt(variance) * (member @ theta + noise)
    labels = ("control", *names, *(f"{names[a]}+{names[b]}" for a, b in chosen))
    return Measured(
        kind="perturbation", labels=labels, n=n, tables={"rna": Table(mean=mean, variance=variance)}, names={}
    )


def cost(singles: int, doubles: int, genes: int) -> dict[str, Any]:
    """Fit and predict in this process."""
    measured = screen(singles, doubles, genes)
    base = peak_gib()
    started, processor = time.perf_counter(), time.process_time()
    model = HierarchicalAdditive(measured)
    fitted = time.perf_counter()
    for label in measured.labels[1:]:
        model.predict(label)
        model.standard_deviation(label)
    ended = time.perf_counter()
    return {
        "singles": singles,
        "doubles": doubles,
        "genes": genes,
        "fit": fitted - started,
        "predict": ended - fitted,
        "wall": ended - started,
        "processor": time.process_time() - processor,
        "load": os.getloadavg()[0],
        "threads": torch.get_num_threads(),
        "base": base,
        "peak": peak_gib(),
    }


def in_a_process(*sizes: int, threads: int = 1) -> dict[str, Any]:
    """Measure one screen in a process of its own."""
    say(f"{sizes[0]} singles, {sizes[1]} doubles, {sizes[2]} genes, {threads} threads")
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    arguments = [sys.executable, __file__, "--one", *map(str, sizes)]
    done = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genes", type=int, default=5000)
    parser.add_argument("--singles", type=int, nargs="+", default=[1250, 2500, 5000, 10_000])
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--one", type=int, nargs=3, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        return print(json.dumps(cost(*arguments.one)))
    sizes = ((1000, 0, arguments.genes), (100, 900, arguments.genes))
    large = [in_a_process(*size) for size in sizes]
    spread = [in_a_process(*size, threads=core_count()) for size in sizes]
    many = [in_a_process(singles, 0, GENES_OF_MANY) for singles in sorted(arguments.singles)]
    print("seconds, GiB at the peak of the process, the machine's load at its end")
    names = ("singles", "doubles", "genes", "threads", "fit", "predict", "wall", "processor", "peak", "before", "load")
    print("".join(f"{name:>10}" for name in names))
    for one in [*large, *spread, *many]:
        counts = "".join(f"{one[name]:10d}" for name in names[:4])
        times = "".join(f"{one[name]:10.1f}" for name in names[4:8])
        print(f"{counts}{times}{one['peak']:10.2f}{one['base']:10.2f}{one['load']:10.1f}")
    first, last = many[0], many[-1]
    slope = math.log(last["processor"] / first["processor"]) / math.log(last["singles"] / first["singles"])
    print(f"slope of time by single perturbations: {slope:.2f}")
    kept = all(one["processor"] < LIMIT_SECONDS and one["peak"] < LIMIT_GIB for one in large)
    print(f"1,000 conditions under {LIMIT_SECONDS:.0f} processor s and {LIMIT_GIB:.0f} GiB: {'yes' if kept else 'no'}")
    if arguments.json is not None:
        write(arguments.json, {"screens": [*large, *spread, *many], "slope": slope})


if __name__ == "__main__":
    main()
