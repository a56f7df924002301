"""How long does a step take, beside torch's fused AdamW and beside what moving its bytes would take?

Run by hand: ``python benchmarks/step_time.py [--shapes eight-million ...] [--dtype float32] [--repeats 41]``. Three to
four minutes on two cores. Ours at their defaults and with ``nonfinite="propagate"``, which like torch does not check
gradients; torch's AdamW fused, foreach and tensor by tensor; what comes nearest in pytorch_optimizer; HeavyBall's AdamW
where it is installed. All that is compared runs in one process, each on parameters, gradients and state of its own, in
rounds, in another order each round; a ratio is taken within a round. Backward passes are not part of it: gradients are
given. Where there is a GPU, it is measured as well.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import torch

import speed_pictures
from contenders import (
    ADAM,
    FUSED,
    OURS,
    SHAPES,
    SMALL,
    Contender,
    Run,
    bytes_alone,
    coordinates,
    heavyball,
    others,
    ours,
    torchs,
)
from measuring import available_bytes, interleaved, options_of, paired, quartiles, say, write

ROUNDS = {"eight-million": 41, "ppo": 41, "twin-encoder": 21, "resnet-50": 13, "gpt2-124m": 7, "two-thousand": 15}
PLAN = [(shape, "float32") for shape in SHAPES] + [("eight-million", "bfloat16")]
PAPERS = ("ASGDAdam", "ASGDAdam, relative", "AMGT", "AMVT", "AlphaAdam")  # where there is no room for all
WITH_HEAVYBALL = ("eight-million", "ppo")
LARGE = 1 << 26  # coordinates from which no cache holds a gradient, so that all may step with the same ones
WARM_UP = 3
SLOW_EVERY = 4
PATIENCE = 3e-3  # seconds that one entry should at least have taken


def contenders(shape: str, dtype: str, *, everything: bool) -> tuple[list[Contender], dict[str, str]]:
    """Give those that are to be compared, and the reasons why others are not."""
    if shape == "gpt2-124m":
        found = [torchs()[0], *(ours(name) for name in PAPERS)]
        return found, {"all others": "left out on this model, for memory"}
    if dtype == "bfloat16":
        found = torchs() + [ours(name) for name in PAPERS]
        found += [ours(name, ", bfloat16 state", state_dtype="bfloat16") for name in PAPERS]
    else:
        found = torchs() + bytes_alone() + [entry for name in OURS for entry in (ours(name), _unchecked(name))]
    missing: dict[str, str] = {}
    try:
        found += others(compiled=everything or (shape, dtype) == PLAN[0])
    except ImportError:
        missing["pytorch_optimizer"] = "not installed"
    if shape in WITH_HEAVYBALL or everything:
        try:
            found += heavyball()
        except ImportError:
            missing["HeavyBall"] = "not installed (pip install heavyball)"
    else:
        missing["HeavyBall"] = "left out on this model, whose tensors it compiles into one function (--all)"
    return found, missing


def _unchecked(name: str) -> Contender:
    return ours(name, ", propagate", nonfinite="propagate")


def needed_bytes(entries: list[Contender], count: int, dtype: torch.dtype, *, shared: bool) -> int:
    """Estimate what the runs hold: parameters, state, gradients of each or of all together."""
    each = 0
    for entry in entries:
        buffers = len(entry.passes[-1].partition(">")[2]) - 1 if entry.passes else 3
        each += dtype.itemsize * (1 if shared else 2) + buffers * (entry.state or dtype).itemsize
    return count * (each + dtype.itemsize)


def measure(shape: str, dtype_name: str, device: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure all contenders on one model."""
    shapes, dtype = SHAPES[shape](), getattr(torch, dtype_name)
    threads = 1 if shape in SMALL else options.threads
    torch.set_num_threads(threads)
    entries, missing = contenders(shape, dtype_name, everything=options.all)
    count = coordinates(shapes)
    record: dict[str, Any] = {"shapes": shape, "dtype": dtype_name, "device": device, "threads": threads}
    record |= {"tensors": len(shapes), "coordinates": count, "missing": missing, "contenders": {}}
    needed = needed_bytes(entries, count, dtype, shared=count > LARGE)
    if device == "cpu" and available_bytes() and needed > 0.8 * available_bytes():
        record["skipped"] = f"needs {needed / 2**30:.0f} GiB, and {available_bytes() / 2**30:.0f} are free"
        say(f"{shape}, {dtype_name}: {record['skipped']}")
        return record
    grads = [torch.randn(s, dtype=dtype, device=device) for s in shapes] if count > LARGE else None
    runs = {}
    for entry in entries:
        start = time.perf_counter()
        runs[entry.label] = run = Run(entry, shapes, dtype, device, grads)
        for _ in range(WARM_UP):
            run.prepare()
            run.step()
        say(f"{shape}, {dtype_name}, {device}: {entry.label} ready after {time.perf_counter() - start:.1f} s")
    inner = _inner(runs[FUSED], device)
    rounds = options.repeats or (3 if options.quick else ROUNDS[shape])
    slow = {entry.label: min(SLOW_EVERY, rounds) for entry in entries if entry.slow}
    seconds = interleaved(runs, rounds=rounds, inner=inner, every=slow, device=device)
    for entry in entries:
        told = getattr(runs[entry.label].optimizer, "execution", None)
        record["contenders"][entry.label] = {
            "package": entry.package,
            "passes": entry.passes,
            "bytes": entry.bytes_per_parameter(dtype),
            "nearest": entry.nearest,
            "execution": [str(way) for way in told()] if told else [],
            "seconds": seconds[entry.label],
        }
    return record | {"rounds": rounds, "inner": inner}


def _inner(run: Run, device: str) -> int:
    seconds = statistics.median(paired(interleaved({"": run}, rounds=5, device=device)[""], [1.0] * 5))
    return max(1, min(50, round(PATIENCE / seconds)))


def shown(record: dict[str, Any]) -> Iterator[str]:
    """Give the lines of a table."""
    found = record["contenders"]
    if not found:
        return
    yield (
        f"\n{record['shapes']}, {record['dtype']}, {record['device']}: {record['tensors']:,} tensors,"
        f" {record['coordinates']:,} parameters, {record['threads']} threads, {record['rounds']} rounds"
    )
    yield f"{'':38s}{'ms':>9s}{'to fused AdamW':>24s}{'floor':>7s}{'by floor':>9s}{'to Adam':>9s}"
    fused, adam = found[FUSED], found.get(ADAM)
    for label, entry in found.items():
        time_ms = 1e3 * quartiles([value for value in entry["seconds"] if value is not None])[1]
        low, middle, high = quartiles(paired(entry["seconds"], fused["seconds"]))
        floor = entry["bytes"] / fused["bytes"] if entry["bytes"] else None
        against = f"{quartiles(paired(entry['seconds'], adam['seconds']))[1]:9.2f}" if adam else ""
        bounds = f"{floor:7.2f}{middle / floor:9.2f}" if floor else f"{'':16s}"
        yield f"{label:38s}{time_ms:9.3f}{middle:10.2f} [{low:.2f}, {high:.2f}]{bounds:>16s}{against}"
    for name, reason in record["missing"].items():
        yield f"{name}: {reason}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, help="models (default: all)")
    parser.add_argument("--dtype", nargs="+", choices=("float32", "bfloat16"), help="dtypes of the parameters")
    parser.add_argument("--repeats", type=int, help="rounds (default: as many as fit the time)")
    parser.add_argument("--all", action="store_true", help="whatever takes minutes to compile, too")
    options = options_of(parser, "step_time")
    plan = PLAN
    if options.quick:
        plan = [("ppo", "float32"), ("two-thousand", "float32")]
    if options.shapes or options.dtype:
        plan = [(s, d) for s in options.shapes or SHAPES for d in options.dtype or ["float32"]]
    results = []
    for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
        for shape, dtype in plan:
            results.append(measure(shape, dtype, device, options))
            gc.collect()
            print("\n".join(shown(results[-1])), flush=True)
    record = {"results": results}
    write(options.out, record)
    speed_pictures.save("step_time", record, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
