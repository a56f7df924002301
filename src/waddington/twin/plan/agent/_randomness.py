"""Containing the global generators that Stable-Baselines3 and torch.distributions draw from."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

__all__ = ["contained", "get_generators", "seeded", "set_generators"]


def get_generators() -> dict[str, Any]:
    """Give the state of numpy's and torch's global generators, in types that load with ``weights_only=True``.

    PPO shuffles mini-batches with the one and samples actions with the other.
    """
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "numpy": json.dumps([str(name), np.asarray(keys).tolist(), int(position), int(has_gauss), float(gauss)]),
        "torch": torch.get_rng_state(),
    }


def set_generators(saved: dict[str, Any]) -> None:
    """Continue from what :func:`get_generators` gave."""
    name, keys, *rest = json.loads(saved["numpy"])
    np.random.set_state((name, np.array(keys, np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(saved["torch"])


@contextmanager
def contained() -> Iterator[None]:
    """Give every global generator back as it was found."""
    saved, python = get_generators(), random.getstate()
    try:
        yield
    finally:
        set_generators(saved)
        random.setstate(python)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator for a while, and give it back as it was found."""
    with contained():
        torch.manual_seed(seed)
        yield
