"""Run independent pieces of work, here or in a pool of processes, with the same results.

A *unit* is a piece of work that is a function of its own description: it reads prepared data, computes, and its record
is written beside and renamed when it is whole. What is already recorded is never computed again, so a run that was
killed at any moment goes on from its last finished unit (and, inside a unit, from the unit's own checkpoint).
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.process
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from waddington._errors import UnsupportedError
from waddington._files import write_text

__all__ = ["Event", "Executor", "Record", "Unit", "core_count", "read_record", "write_record"]

Record = dict[str, Any]
"""What a unit found: numbers, strings and lists, as JSON holds them."""

Tell = Callable[[float], None]
"""Told the fraction of a unit that is done."""


_WORKER_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
}
"""What a worker starts with, since libraries read it once, when they are loaded: one thread, and none that spins.

Workers share the cores; threads of one that spin at a barrier take them from the others."""


_BROKEN = (
    "cannot go on: a worker process ended before its work was done; accepted: resume=True with workers=1 where memory "
    "was short, and in a script the call below `if __name__ == '__main__':`, for workers read the script too"
)
"""Said where a process of the pool dies: Python alone says that one did."""


@dataclass(frozen=True, kw_only=True, order=True)
class Unit:
    """One piece of work, named by what it computes."""

    kind: str
    """``encoder`` or ``agent``."""
    protocol: str
    optimizer: str
    lr: float
    seed: int
    variant: str = ""
    """What else tells it apart, e.g. how many perturbations at once."""

    @property
    def key(self) -> str:
        """Name of its files."""
        parts = (self.kind, self.protocol, self.variant, self.optimizer, f"{self.lr:g}", f"{self.seed}")
        return "_".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a unit: it moved on, or it ended."""

    unit: Unit
    fraction: float
    done: bool = False


def core_count() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_record(folder: Path, unit: Unit) -> Record | None:
    """Read a unit's record; None where it has not ended."""
    path = folder / f"{unit.key}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write_record(folder: Path, unit: Unit, record: Record) -> None:
    """Write a unit's record whole or not at all."""
    write_text(folder / f"{unit.key}.json", json.dumps({"unit": asdict(unit), **record}))


class Executor:
    """Runs units, in this process or in a pool of them that lives as long as the ``with`` block.

    Every process runs a unit on one thread, so that the bits of a result don't depend on how many processes share the
    work. After an error nothing queued starts, and what runs is stopped; it goes on from its checkpoint another time.

    Parameters
    ----------
    workers
        Processes; 1 runs in this one.
    """

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._context = multiprocessing.get_context("spawn")
        self._pool: ProcessPoolExecutor | None = None
        self._news: multiprocessing.Queue[Event] | None = None

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            for process in list((self._pool._processes or {}).values()) if error is not None else []:
                process.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)
        if self._news is not None:
            self._news.close()

    def run(
        self,
        units: Iterable[Unit],
        function: Callable[[Unit, Path, Tell], Record],
        *,
        folder: Path,
        tell: Callable[[Event], None] | None = None,
    ) -> dict[Unit, Record]:
        """Run every unit that has no record yet; give the records of all.

        Parameters
        ----------
        units
            What to run.
        function
            Importable function ``(unit, folder, tell) -> record``.
        folder
            Where records (and checkpoints) are.
        tell
            Told what happens.

        Raises
        ------
        Exception
            The first error of any unit.
        UnsupportedError
            A process ended before its unit did.
        """
        say = tell or _nobody
        wanted = list(dict.fromkeys(units))
        records = {unit: record for unit in wanted if (record := read_record(folder, unit)) is not None}
        for unit in records:
            say(Event(unit=unit, fraction=1.0, done=True))
        missing = [unit for unit in wanted if unit not in records]
        if self._workers > 1 and missing:
            try:
                found = self._run_pool(missing, function, folder, say)
            except BrokenProcessPool as error:
                raise UnsupportedError(_BROKEN) from error
        else:
            found = {unit: _run_here(unit, function, folder, say) for unit in missing}
        return {unit: (records | found)[unit] for unit in wanted}

    def _run_pool(
        self,
        units: Sequence[Unit],
        function: Callable[[Unit, Path, Tell], Record],
        folder: Path,
        say: Callable[[Event], None],
    ) -> dict[Unit, Record]:
        if self._pool is None or self._news is None:
            self._news = self._context.Queue()
            self._pool = ProcessPoolExecutor(
                self._workers, mp_context=self._context, initializer=_enter_worker, initargs=(self._news,)
            )
        with _environment(_WORKER_ENVIRONMENT):  # processes start as work is handed in
            pending = {self._pool.submit(_run_in_worker, unit, function, folder): unit for unit in units}
        records: dict[Unit, Record] = {}
        while pending:
            ended, _ = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            _forward(self._news, say)
            for future in ended:
                unit = pending.pop(future)
                records[unit] = future.result()
                say(Event(unit=unit, fraction=1.0, done=True))
        return records


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for a moment; what was there comes back."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _one_thread() -> Iterator[None]:
    """Give PyTorch, BLAS and OpenMP one thread for a moment, those that are loaded meanwhile, too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _environment(_WORKER_ENVIRONMENT), threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def _nobody(_: Event) -> None:
    """Hear nothing."""


def _run_here(
    unit: Unit, function: Callable[[Unit, Path, Tell], Record], folder: Path, say: Callable[[Event], None]
) -> Record:
    with _one_thread():
        record = function(unit, folder, lambda fraction: say(Event(unit=unit, fraction=fraction)))
    write_record(folder, unit, record)
    say(Event(unit=unit, fraction=1.0, done=True))
    return record


def _forward(news: multiprocessing.Queue[Event], say: Callable[[Event], None]) -> None:
    while True:
        try:
            say(news.get_nowait())
        except queue.Empty:
            return


_news: multiprocessing.Queue[Event] | None = None
"""Set in worker processes only: where they say how far they are."""


def _enter_worker(news: multiprocessing.Queue[Event]) -> None:
    """Prepare a worker: one thread, a way to speak, and an end when its parent ends (even by SIGKILL)."""
    global _news
    _news = news
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _run_in_worker(unit: Unit, function: Callable[[Unit, Path, Tell], Record], folder: Path) -> Record:
    def speak(fraction: float) -> None:
        if _news is not None:
            _news.put(Event(unit=unit, fraction=fraction))

    record = function(unit, folder, speak)
    write_record(folder, unit, record)
    return record
