"""How much of a study's time is spent outside training?

    python benchmarks/bench_overhead.py [--runs 1000] [--steps 200] [--json FILE]

Run by hand; one to three minutes. A study of short runs on the digits, in this process: tuning and evaluation
of one arm. Training is what the loop spends in steps and in evaluations; the rest is making problems and optimizers,
the store, the schedule of runs and choosing. Imports and the first reading of the data are done before. Then the same
once more, when everything has its record.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

from measuring import say, write
from waddington import bench, jobs

LIMIT = 0.10


class Quiet(jobs.Listener):
    """Hears nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""


def study_of(**sizes: int) -> bench.Study:
    """Give a study of one arm on the digits."""
    return bench.Study.of(["digits"], ["AdamW"], horizons=["known"], widenings=0, **sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--json", type=Path, help="write the record here, too")
    options = parser.parse_args()
    seeds, tuning_seeds = options.runs // 10, 3
    trials = (options.runs - seeds) // tuning_seeds
    study = study_of(steps=options.steps, seeds=seeds, trials=trials, tuning_seeds=tuning_seeds)
    with tempfile.TemporaryDirectory() as folder, bench.Store(folder) as store:  # imports, and the data are read
        bench.conduct(study_of(steps=2, seeds=2, trials=1, tuning_seeds=1), store, listener=Quiet())
    with tempfile.TemporaryDirectory() as folder, bench.Store(folder) as store:
        begun = time.perf_counter()
        bench.conduct(study, store, listener=Quiet())
        wall = time.perf_counter() - begun
        again = time.perf_counter()
        bench.conduct(study, store, listener=Quiet())
        resumed = time.perf_counter() - again
        clocks = [record.result["clock"] for record in store.records() if record.result is not None]
    training = sum(clock["training"] for clock in clocks)
    evaluating = sum(clock["evaluating"] for clock in clocks)
    outside = 1.0 - (training + evaluating) / wall
    say(f"{len(clocks)} runs of {options.steps} steps: {wall:.1f} s")
    say(f"in steps {training / wall:.1%}, in evaluations {evaluating / wall:.1%}, outside training {outside:.1%}")
    say(f"once more, with all records there: {resumed / wall:.1%}")
    say(f"under {LIMIT:.0%} outside training: {'yes' if outside < LIMIT else 'NO'}")
    if options.json:
        rows = {"runs": len(clocks), "steps": options.steps, "wall": wall, "training": training}
        write(options.json, {**rows, "evaluating": evaluating, "outside": outside, "resumed": resumed})


if __name__ == "__main__":
    main()
