"""What does an optimizer hold, and what does a step need on top of that for a moment?

Run by hand: ``python benchmarks/memory.py [--shape ppo]``. A minute and a half on two cores. Every allocation of torch
is counted, through torch's profiler. What is not is what our kernels ask the system for: 8 bytes for 4,096 coordinates
and each of their sums, of which there are eight at most. *State* is what ``optimizer.state`` has. *Held* is all that
remains after building it and two steps: the state and whatever else. *Extra* is how much more is allocated at the worst
moment of a later step. All are bytes per parameter; parameters and gradients are not counted. Where there is a GPU,
torch's own counters are read instead.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # before torch is imported: the profiler tells of each start and stop

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import torch
from torch.profiler import ProfilerActivity, profile

import speed_pictures
from contenders import (
    OURS,
    SHAPES,
    Contender,
    Run,
    coordinates,
    heavyball,
    others,
    ours,
    torchs,
)
from measuring import options_of, say, write

WARM_UP = 2


def contenders() -> tuple[list[Contender], dict[str, str]]:
    """Give those that are measured, and the reasons why others are not."""
    found, missing = [], {}
    for name in OURS:
        found += [ours(name, ", eager", compile=False), ours(name, ", compiled", compile=True)]
        found.append(ours(name, ", bfloat16 state", compile=True, state_dtype="bfloat16"))
    found += torchs()
    for library, load in (("pytorch_optimizer", others), ("HeavyBall", heavyball)):
        try:
            found += load()
        except ImportError:
            missing[library] = "not installed"
    return found, missing


def allocations(work: Callable[[], None]) -> tuple[int, int]:
    """Give how many bytes more are allocated at the worst moment of some work, and after it."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    assert seen.profiler is not None
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    level = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        level += event.nbytes()
        peak = max(peak, level)
    return peak, level


def allocations_on_gpu(work: Callable[[], None]) -> tuple[int, int]:
    """Give the same of a GPU."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before, torch.cuda.memory_allocated() - before


def measure(entry: Contender, shape: str, device: str) -> dict[str, Any]:
    """Measure one optimizer."""
    counted = allocations_on_gpu if device == "cuda" else allocations
    shapes = SHAPES[shape]()
    Run(entry, shapes, device=device).step()  # compiles what there is to compile, which is not what is measured
    gc.collect()
    run = Run(entry, shapes, device=device)
    _, held = counted(lambda: _some_steps(run))
    extra, _ = counted(run.step)
    tensors = {tensor.data_ptr(): tensor.nbytes for tensor in tensors_in(run.optimizer.state)}
    state = sum(tensors.values())
    count = coordinates(shapes)
    return {
        "package": entry.package,
        "device": device,
        "state": state / count,
        "held": held / count,
        "extra": extra / count,
        "extra_bytes": extra,
    }


def tensors_in(thing: Any) -> Iterator[torch.Tensor]:
    """Give all tensors in dictionaries and lists, however deep; parameters, being keys, are not among them."""
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, Mapping):
        yield from (tensor for value in thing.values() for tensor in tensors_in(value))
    elif isinstance(thing, list | tuple):
        yield from (tensor for value in thing for tensor in tensors_in(value))


def _some_steps(run: Run) -> None:
    for _ in range(WARM_UP):
        run.prepare()
        run.step()
    run.prepare()
    gc.collect()


def shown(results: dict[str, Any]) -> Iterator[str]:
    """Give the lines of a table."""
    yield f"{'bytes per parameter':40s}{'state':>9s}{'held':>9s}{'extra':>9s}{'extra, MiB':>12s}"
    for label, found in results.items():
        figures = "".join(f"{found[name]:9.2f}" for name in ("state", "held", "extra"))
        yield f"{label:40s}{figures}{found['extra_bytes'] / 2**20:12.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="eight-million", help="model (default: %(default)s)")
    options = options_of(parser, "memory")
    shape = "ppo" if options.quick else options.shape
    device = "cuda" if torch.cuda.is_available() else "cpu"
    entries, missing = contenders()
    results = {}
    for entry in entries:
        start = time.perf_counter()
        results[entry.label] = measure(entry, shape, device)
        say(f"{entry.label}: {time.perf_counter() - start:.1f} s")
    print("\n".join(shown(results)))
    for name, reason in missing.items():
        print(f"{name}: {reason}")
    record = {"shape": shape, "coordinates": coordinates(SHAPES[shape]()), "results": results, "missing": missing}
    write(options.out, record)
    speed_pictures.save("memory", record, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
