"""How does the time per parameter change with the size of the model, in one process and in two?

Run by hand: ``python benchmarks/scaling.py [--largest 1e9] [--processes 1 2]``. A minute on two cores up to 3e7
parameters. A size is left out where memory does not suffice; one that memory
holds for one optimizer only is run one optimizer after the other, and in one process. In two processes the parameters
are sharded by FSDP2 (``fully_shard``, over gloo), each process has half of the threads, and a step's collectives are
counted. Both processes start each step together, and the slower one counts.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.debug import CommDebugMode

import speed_pictures
from contenders import FUSED, Contender, Run, ours, torchs
from measuring import available_bytes, interleaved, options_of, quartiles, say, write

SIZES = [10**5, 3 * 10**5, 10**6, 3 * 10**6, 10**7, 3 * 10**7, 10**8, 3 * 10**8, 10**9]
LARGEST = 3e7
NAMES = ("ASGDAdam", "ASGDAdam, relative", "AMGT", "AMVT", "AlphaAdam")
NAMES_IN_TWO = ("ASGDAdam", "ASGDAdam, relative", "AlphaAdam")
"""With a statistic of the model, before every step and at some, and with statistics of each tensor as well."""
BYTES = 24  # of parameter, gradient and the most state, for one optimizer at a time
WARM_UP = 3
WORLD = 2


def contenders(names: tuple[str, ...] = NAMES) -> list[Contender]:
    """Give torch's fused AdamW and some of ours."""
    return [torchs()[0], *(ours(name) for name in names)]


def shapes_of(size: int) -> list[tuple[int, ...]]:
    """Give ten tensors or more, none of over a million coordinates."""
    tensors = max(10, -(-size // 2**20))
    rows = size // tensors // 100
    return [(rows, 100)] * tensors


def rounds_of(size: int, options: argparse.Namespace) -> int:
    """Give as many rounds as a size's steps are worth."""
    return options.repeats or (3 if options.quick else 7 if size > 10**7 else 15)


def measured(
    make: Callable[[Contender], Run], entries: list[Contender], rounds: int, inner: int
) -> tuple[dict[str, list[float | None]], dict[str, int], dict[str, str]]:
    """Time steps; give seconds, collectives of a step, and what could not be run."""
    runs, collectives, refused = {}, {}, {}
    for entry in entries:
        run = make(entry)
        try:
            for _ in range(WARM_UP):
                run.prepare()
                run.step()
        except (RuntimeError, NotImplementedError) as error:
            refused[entry.label] = str(error).splitlines()[0]
            continue
        with CommDebugMode() as seen:
            run.step()
        collectives[entry.label] = seen.get_total_counts()
        runs[entry.label] = run
    return interleaved(runs, rounds=rounds, inner=inner), collectives, refused


class Sharded(Run):
    """An optimizer on its process's shards of a model; steps start together."""

    def __init__(self, contender: Contender, shapes: list[tuple[int, ...]]) -> None:
        model = torch.nn.Module()
        model.params = torch.nn.ParameterList(torch.full(shape, 0.1) for shape in shapes)
        fully_shard(model, mesh=init_device_mesh("cpu", (WORLD,)))
        self.params = list(model.parameters())
        self.grads = [torch.ones_like(param) for param in self.params]
        for grad in self.grads:
            grad.to_local().normal_()
        self.model = model
        super().prepare()
        self.optimizer = contender.build(self.params)

    def prepare(self) -> None:
        """Give the gradients, and wait for the other process."""
        super().prepare()
        dist.barrier()


def one_process(sizes: list[int], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure all sizes in this process."""
    found = []
    for size in sizes:
        shapes, rounds = shapes_of(size), rounds_of(size, options)
        seconds, collectives, refused = {}, {}, {}
        together = [[entry] for entry in contenders()] if _tight(size) else [contenders()]
        for entries in together:
            parts = measured(partial(Run, shapes=shapes), entries, rounds, _inner(size))
            for whole, part in zip((seconds, collectives, refused), parts, strict=True):
                whole.update(part)
            gc.collect()
        found.append(_row(1, size, shapes, options.threads, seconds, collectives, refused))
        found[-1]["interleaved"] = len(together) == 1
        say(f"1 process, {size:,} parameters: done")
    return found


def _tight(size: int) -> bool:
    return bool(available_bytes()) and size * BYTES * len(contenders()) > 0.7 * available_bytes()


def _inner(size: int) -> int:
    return max(1, min(30, 10**6 // size))


def _row(
    processes: int, size: int, shapes: list[tuple[int, ...]], threads: int, seconds: Any, collectives: Any, refused: Any
) -> dict[str, Any]:
    count = sum(rows * columns for rows, columns in shapes)
    return {
        "processes": processes,
        "size": size,
        "coordinates": count,
        "tensors": len(shapes),
        "threads": threads,
        "seconds": seconds,
        "collectives": collectives,
        "refused": refused,
    }


def two_processes(sizes: list[int], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure all sizes in two processes that talk over gloo."""
    with tempfile.TemporaryDirectory(prefix="waddington") as folder:
        mp.spawn(_worker, args=(sizes, options, folder), nprocs=WORLD)
        first, second = (torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in range(WORLD))
    for row, other in zip(first, second, strict=True):
        for label, times in row["seconds"].items():
            row["seconds"][label] = [max(pair) for pair in zip(times, other["seconds"][label], strict=True)]
    return first


def _worker(rank: int, sizes: list[int], options: argparse.Namespace, folder: str) -> None:
    threads = max(1, options.threads // WORLD)
    torch.set_num_threads(threads)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD, timeout=timedelta(minutes=5)
    )
    found = []
    for size in sizes:
        shapes = shapes_of(size)
        entries = contenders(NAMES_IN_TWO)
        parts = measured(partial(Sharded, shapes=shapes), entries, rounds_of(size, options), _inner(size))
        found.append(_row(WORLD, size, shapes, threads, *parts))
        gc.collect()
        if rank == 0:
            say(f"2 processes, {size:,} parameters: done")
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def shown(results: list[dict[str, Any]]) -> Iterator[str]:
    """Give the lines of a table."""
    labels = [entry.label for entry in contenders()]
    yield f"{'ns per parameter':>24s}" + "".join(f"{label:>14s}" for label in labels) + "   collectives of a step"
    for row in results:
        cells = ""
        for label in labels:
            times = row["seconds"].get(label)
            reason = "refused" if label in row["refused"] else ""
            cells += f"{1e9 * quartiles(times)[1] / row['coordinates']:14.2f}" if times else f"{reason:>14s}"
        counts = " ".join(str(count) for count in row["collectives"].values())
        yield f"{row['processes']:>4d} x {row['threads']} threads {row['size']:>10.0e}{cells}   {counts}"
    for row in results[-1:]:
        yield from (f"{label}: {reason}" for label, reason in row["refused"].items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=float, default=LARGEST, help="parameters (default: %(default)g)")
    parser.add_argument("--processes", nargs="+", type=int, choices=(1, WORLD), default=[1, WORLD])
    parser.add_argument("--repeats", type=int, help="rounds (default: 15, and 7 above 1e7 parameters)")
    options = options_of(parser, "scaling")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    sizes = [size for size in SIZES if size <= (10**6 if options.quick else options.largest)]
    left_out = [size for size in sizes if available_bytes() and size * BYTES > 0.8 * available_bytes()]
    for size in left_out:
        say(f"{size:,} parameters left out: {available_bytes() / 2**30:.0f} GiB are free, and that needs more")
    sizes = [size for size in sizes if size not in left_out]
    results = one_process(sizes, options) if 1 in options.processes else []
    if WORLD in options.processes:
        results += two_processes([size for size in sizes if not _tight(size)], options)
    print("\n".join(shown(results)))
    record = {"fused": FUSED, "left_out": left_out, "results": results}
    write(options.out, record)
    speed_pictures.save("scaling", record, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
