"""Time and memory of the simulator: ``python benchmarks/simulate.py [--cells 5000 20000] [--json FILE]``.

Set ``OMP_NUM_THREADS=1`` to time one core. Processor time is printed beside wall time, because a busy machine
stretches the latter only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import numpy as np

from waddington.twin.datasets import optimal_reprogramming, simulate


def timed(work: object) -> dict[str, float]:
    """Run a callable once; give wall and processor seconds."""
    assert callable(work)
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[1600, 5000, 20_000])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    simulate(n_cells=64, n_truth_cells=0)  # first calls import and warm up
    rows = []
    for n_cells in options.cells:
        for n_truth_cells in (0, 120):
            took = timed(lambda n=n_cells, t=n_truth_cells: simulate(n_cells=n, n_truth_cells=t))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rows.append({"cells": n_cells, "truth_cells": n_truth_cells, **took, "peak_mib": peak})
            print(
                f"simulate {n_cells:>9,} cells, truth from {n_truth_cells:>3} cells a condition: "
                f"{took['wall_s']:6.2f} s wall, {took['cpu_s']:6.2f} s processor, peak {peak:,.0f} MiB"
            )
    took = timed(lambda: optimal_reprogramming("Monocyte", "Erythrocyte"))
    rows.append({"sets": 242, **took})
    print(f"optimal_reprogramming, 242 sets x 64 cells: {took['wall_s']:6.2f} s wall, {took['cpu_s']:6.2f} s processor")
    if options.json:
        record = {"threads": os.environ.get("OMP_NUM_THREADS"), "numpy": np.__version__, "rows": rows}
        options.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
