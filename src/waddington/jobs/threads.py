"""One thread a process: the bits of a result must not depend on how many processes share the work."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController

__all__ = ["WORKER_ENVIRONMENT", "core_count", "environment", "one_thread"]

WORKER_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
}
"""What a worker starts with, since libraries read it once, when they are loaded: one thread, and none that spins.

Workers share the cores; threads of one that spin at a barrier take them from the others."""


def core_count() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for a moment; what was there comes back."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def one_thread() -> Iterator[None]:
    """Give PyTorch, BLAS and OpenMP one thread for a moment, those that are loaded meanwhile, too."""
    torch = sys.modules.get("torch")  # one that is not loaded yet reads the environment when it is
    threads = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    try:
        with environment(WORKER_ENVIRONMENT), _libraries(len(sys.modules)).limit(limits=1):
            yield
    finally:
        if torch:
            torch.set_num_threads(threads)


@functools.lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """Find the libraries that have threads; anew only after an import, as that takes milliseconds."""
    return ThreadpoolController()
