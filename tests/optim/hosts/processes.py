"""Two processes that talk over gloo, for tests that need ranks."""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from optim.hosts.hosted import HOSTED, Hosted

__all__ = ["WORLD", "host_all", "of", "on_two_ranks"]

WORLD = 2
_IMPORTED = ["torch", "torch.distributed.fsdp", "torch.distributed.tensor", "torch.distributed.checkpoint", "pytest"]
_START = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
"""Processes fork from one that has imported what takes seconds and done nothing else."""


def on_two_ranks(worker: Callable[..., Any], folder: Path, *args: Any) -> list[Any]:
    """Run ``worker(rank, *args)`` in two processes at once and give what each returned, by rank.

    `worker` is a function of a module, and what it takes and returns consists of tensors and plain Python: it travels
    between processes. A rank that fails ends the other; only two that wait for each other are ended by a clock.
    """
    if _START == "forkserver":
        multiprocessing.set_forkserver_preload(_IMPORTED)
    mp.start_processes(_run, args=(worker, str(folder), args), nprocs=WORLD, start_method=_START)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(WORLD)]


def _run(rank: int, worker: Callable[..., Any], folder: str, args: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    # A file, because a port that is free now may be taken by the time both ranks have started.
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD, timeout=timedelta(minutes=20)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = worker(rank, *args)
    torch.save(found, Path(folder) / f"{rank}.saving")
    os.replace(Path(folder) / f"{rank}.saving", Path(folder) / f"{rank}.pt")
    # Whoever leaves while the other still reads breaks its last exchange.
    while not all((Path(folder) / f"{other}.pt").exists() for other in range(WORLD)):
        time.sleep(0.02)
    os._exit(0)  # gloo's threads may abort a process while its interpreter goes


def host_all(
    train: Callable[..., dict[str, Any]], rank: int, *args: Any, every: Sequence[Hosted] = tuple(HOSTED)
) -> dict[str, dict[str, Any]]:
    """Train every optimizer in this one pair of processes; one that fails leaves its error in place of its results."""
    found = {}
    for hosted in every:
        try:
            found[hosted.name] = train(rank, hosted, *args)
        except Exception:  # noqa: BLE001  (`of` raises it, in the tests of this optimizer and no other)
            found[hosted.name] = {"error": traceback.format_exc()}
    return found


def of(hosted: Hosted, ranks: Sequence[dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Give what `host_all` found for one optimizer, by rank; fail with its error where it failed."""
    found = [rank[hosted.name] for rank in ranks]
    for rank, results in enumerate(found):
        if "error" in results:
            pytest.fail(f"on rank {rank}: {results['error']}")
    return found
