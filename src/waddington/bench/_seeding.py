"""Random numbers of a run: torch's, numpy's and Python's own, whichever of them a task draws from."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch

__all__ = ["seed_all", "seed_torch", "seeded"]


def seed_torch(seed: int) -> None:
    """Seed torch's own random numbers; ``torch.manual_seed`` records its callers, dearer than a small step."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)


def seed_all(seed: int) -> None:
    """Seed the global random numbers of torch, numpy and Python."""
    seed_torch(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  # tasks of users draw from it
    random.seed(seed)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed all of them, and bring back on leaving what they were."""
    numpys, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            seed_all(seed)
            yield
    finally:
        np.random.set_state(numpys)  # noqa: NPY002
        random.setstate(pythons)
