"""What does compiling cost, when is it done again, and after how many steps has it paid?

Run by hand: ``python benchmarks/compile_cost.py [--optimizers ASGDAdam ...] [--tensors 1 30 300]``. One to two minutes
on two cores. Every case is a process of its own with a cache of its own: *empty* is a first step in a fresh process
that finds no kernel, *filled* the first step of the next process, which finds them. No two tensors have one shape. Then
rate, betas and decay are changed, and a parameter group is added: the number of kernels made so far is written down
after each. Last, steps of small and large models run eagerly and compiled, interleaved: what compiling saves per step
says after how many steps it has paid, which is what ``compile="auto"`` goes by.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import torch

import speed_pictures
from contenders import OURS, Run, coordinates, ours
from measuring import interleaved, options_of, quartiles, say, write
from waddington.optim.engine.dispatch import COMPILE_FROM
from waddington.optim.kernels import cache

CASES = [("ASGDAdam", 1), ("ASGDAdam", 30), ("ASGDAdam", 300), ("AlphaAdam", 30)]
SIZES = [1 << power for power in (8, 10, 12, 14, 16, 18, 20, 22)]
TENSORS = 16
CHANGES: dict[str, dict[str, Any]] = {
    "lr": {"lr": 3e-4},
    "betas": {"betas": (0.8, 0.99)},
    "weight_decay": {"weight_decay": 0.1},
}


def shapes_of(tensors: int) -> list[tuple[int, ...]]:
    """Give shapes of which no two are alike, of 65,536 coordinates and more."""
    return [(256 + place, 256) for place in range(tensors)]


def case(name: str, tensors: int) -> dict[str, Any]:
    """Take first steps in this process, whose cache is as it has been found."""
    made = cache.kernels_made
    run = Run(ours(name, compile=True), shapes_of(tensors))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        run.step()
        seconds.append(time.perf_counter() - start)
    found = {"first": seconds[0], "later": quartiles(seconds[1:])[1], "kernels": len(made), "after": {}}
    for label, change in CHANGES.items():
        run.optimizer.param_groups[0].update(change)
        run.step()
        found["after"][label] = len(made)
    extra = torch.nn.Parameter(torch.ones(300, 300))
    extra.grad = torch.ones_like(extra)
    run.optimizer.add_param_group({"params": [extra], "lr": 1e-3})
    run.step()
    found["after"]["another group"] = len(made)
    return {**found, "coordinates": coordinates(shapes_of(tensors))}


def in_fresh_process(name: str, tensors: int, threads: int, folder: str) -> dict[str, Any]:
    """Run a case in a process that keeps its caches, the compiler's too, in a folder."""
    command = [sys.executable, __file__, "--case", name, str(tensors), "--threads", str(threads)]
    caches = {"WADDINGTON_CACHE": f"{folder}/kernels", "TORCHINDUCTOR_CACHE_DIR": f"{folder}/compiler"}
    done = subprocess.run(command, env={**os.environ, **caches}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def first_steps(cases: list[tuple[str, int]], threads: int) -> list[dict[str, Any]]:
    """Measure each case with an empty and with a filled cache."""
    found = []
    for name, tensors in cases:
        with tempfile.TemporaryDirectory(prefix="waddington") as folder:
            empty, filled = (in_fresh_process(name, tensors, threads, folder) for _ in range(2))
        say(f"{name}, {tensors} tensors: {empty['first']:.1f} s, then {filled['first']:.2f} s")
        found.append({"optimizer": name, "tensors": tensors, "empty": empty, "filled": filled})
    return found


def savings(name: str, sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    """Time eager and compiled steps of models of some sizes."""
    found = []
    for size in sizes:
        shapes = [(size // TENSORS,)] * TENSORS
        runs = {str(wish): Run(ours(name, compile=wish), shapes) for wish in (False, True)}
        interleaved(runs, rounds=2)
        inner = 20 if size < 1 << 18 else 3
        seconds = interleaved(runs, rounds=rounds, inner=inner)
        eager, compiled = (quartiles(each)[1] for each in seconds.values())  # type: ignore[arg-type]
        say(f"{size:,} parameters: eagerly {1e3 * eager:.3f} ms, compiled {1e3 * compiled:.3f} ms")
        found.append({"coordinates": size, "tensors": TENSORS, "eager": eager, "compiled": compiled})
    return found


def shown(record: dict[str, Any]) -> Iterator[str]:
    """Give the lines of the tables."""
    yield f"{'seconds of the first step':28s}{'tensors':>8s}{'empty':>8s}{'filled':>8s}{'kernels':>9s}   after changes"
    for row in record["first_steps"]:
        after = ", ".join(f"{what} {count}" for what, count in row["empty"]["after"].items())
        firsts = f"{row['empty']['first']:8.2f}{row['filled']['first']:8.2f}"
        yield f"{row['optimizer']:28s}{row['tensors']:>8d}{firsts}{row['empty']['kernels']:>9d}   {after}"
    yield f"\n{record['savings_of']}: ms a step, and steps until compiling has paid"
    yield f"{'parameters':>12s}{'eager':>10s}{'compiled':>10s}{'empty':>10s}{'filled':>10s}"
    for row in record["savings"]:
        paid = (speed_pictures.steps_until_paid(record["costs"][which], row) for which in ("empty", "filled"))
        cells = "".join(f"{steps:10,.0f}" if steps is not None else f"{'never':>10s}" for steps in paid)
        yield f"{row['coordinates']:12,d}{1e3 * row['eager']:10.3f}{1e3 * row['compiled']:10.3f}{cells}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--optimizers", nargs="+", choices=OURS, help="of which first steps are taken")
    parser.add_argument("--tensors", nargs="+", type=int, help="numbers of tensors")
    parser.add_argument("--repeats", type=int, help="rounds of the comparison with eager steps")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    options = options_of(parser, "compile_cost")
    if options.case:
        print(json.dumps(case(options.case[0], int(options.case[1]))))
        return
    cases = CASES[:1] if options.quick else CASES
    if options.optimizers or options.tensors:
        cases = [(name, count) for name in options.optimizers or ["ASGDAdam"] for count in options.tensors or [30]]
    name = cases[0][0]
    firsts = first_steps(cases, options.threads)
    costs = {
        which: quartiles([row[which]["first"] for row in firsts if row["optimizer"] == name])[1]
        for which in ("empty", "filled")
    }
    rounds = options.repeats or (3 if options.quick else 15)
    record = {
        "threads": options.threads,
        "compile_from": COMPILE_FROM,
        "first_steps": firsts,
        "savings_of": name,
        "costs": costs,
        "savings": savings(name, SIZES[:3] if options.quick else SIZES, rounds),
    }
    print("\n".join(shown(record)))
    write(options.out, record)
    speed_pictures.save("compile_cost", record, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
