"""How the speed benchmarks measure: interleaved rounds, quartiles, facts of the machine, files. Does nothing by itself.

On a machine that does other things as well, a time says little and a ratio of two times that were taken one after the
other says more. So everything that is compared runs in one process, in rounds, in another order each round, and what
is reported is the median of the rounds' ratios with its quartiles.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import random
import runpy
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

# Before torch is imported, here, in every script and in the processes that they start: threads that spin at barriers
# make each other slower wherever anything else uses the machine as well.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from waddington._files import write_text

__all__ = [
    "OUT",
    "ROOT",
    "Timed",
    "available_bytes",
    "commit",
    "facts",
    "interleaved",
    "options_of",
    "paired",
    "quartiles",
    "reflowed",
    "say",
    "synchronize",
    "threading",
    "write",
]

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks" / "out"
reflowed = runpy.run_path(str(ROOT / "docs" / "lines.py"))["reflowed"]
LIBRARIES = ("torch", "numpy", "waddington", "pytorch_optimizer", "heavyball")


class Timed(Protocol):
    """What is timed."""

    def prepare(self) -> None:
        """Do what belongs to no step; not timed."""

    def step(self) -> None:
        """Do what is timed."""


def interleaved(
    things: Mapping[str, Timed],
    *,
    rounds: int,
    inner: int = 1,
    every: Mapping[str, int] | None = None,
    device: str = "cpu",
    seed: int = 0,
) -> dict[str, list[float | None]]:
    """Time each thing once a round, in an order drawn anew; give seconds by round.

    Parameters
    ----------
    things
        By label.
    rounds
        How many.
    inner
        Steps in a row that one entry is the median of, for steps of microseconds.
    every
        Labels of slow things that take part in every so many rounds only; None stands for the others.
    device
        Type of the device that is waited for before and after each step.
    seed
        Of the orders.
    """
    order, generator = list(things), random.Random(seed)
    found: dict[str, list[float | None]] = {label: [] for label in things}
    for turn in range(rounds):
        generator.shuffle(order)
        for label in order:
            if turn % (every or {}).get(label, 1):
                found[label].append(None)
                continue
            times = []
            for _ in range(inner):
                things[label].prepare()
                synchronize(device)
                start = time.perf_counter()
                things[label].step()
                synchronize(device)
                times.append(time.perf_counter() - start)
            found[label].append(statistics.median(times))
    return found


def synchronize(device: str) -> None:
    """Wait until a device has done all that it was told to."""
    if device == "cuda":
        torch.cuda.synchronize()


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Give lower quartile, median, upper quartile."""
    if len(values) == 1:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def paired(times: Sequence[float | None], others: Sequence[float | None]) -> list[float]:
    """Give the ratios of the rounds in which both took part."""
    return [a / b for a, b in zip(times, others, strict=True) if a is not None and b is not None]


def options_of(parser: argparse.ArgumentParser, name: str, *, threads: int = 2) -> argparse.Namespace:
    """Add the options that all scripts share, read the command line, and set the number of threads."""
    parser.add_argument("--threads", type=int, default=threads, help="threads of the processor (default: %(default)s)")
    parser.add_argument("--out", type=Path, help=f"JSON file (default: benchmarks/out/{name}.json); picture beside it")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and few repetitions, to see whether all works")
    options = parser.parse_args()
    if options.out is None:
        options.out = OUT / ("quick" if options.quick else "") / f"{name}.json"
    torch.set_num_threads(options.threads)
    say(threading())
    return options


def threading() -> str:
    """Say how many threads torch has and how they wait for each other."""
    return f"threads: {torch.get_num_threads()}, OMP_WAIT_POLICY={os.environ.get('OMP_WAIT_POLICY', '')}"


def say(text: str) -> None:
    """Tell of progress, beside what is printed."""
    print(text, file=sys.stderr, flush=True)


def write(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record with the facts, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({**facts(), **record}, indent=1) + "\n")
    say(f"wrote {os.path.relpath(path)}")


def facts() -> dict[str, Any]:
    """Say what was measured, where, when and how it was asked for."""
    script = Path(sys.argv[0]).name
    return {
        "command": " ".join(["python", f"benchmarks/{script}", *sys.argv[1:]]),
        "date": str(datetime.date.today()),
        "commit": commit(),
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(_memory("MemTotal") / 2**30),
            "system": f"{platform.system()} {platform.machine()}",
            "vector_instructions": torch.backends.cpu.get_cpu_capability(),
            "wait_policy": os.environ.get("OMP_WAIT_POLICY"),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def available_bytes() -> int:
    """Give the memory that can still be had, 0 where the system does not tell."""
    return _memory("MemAvailable")


def _memory(name: str) -> int:
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024
    return 0


def _processor() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if line.startswith("model name")).split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def commit() -> str:
    """Give the commit, and whether the sources differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = " and changes" if git("status", "--porcelain", "--", "src", "benchmarks") else ""
        return git("rev-parse", "--short", "HEAD") + changed
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
