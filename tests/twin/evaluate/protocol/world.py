"""A small screen in which effects add, for the tests of the evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np

from waddington.twin.evaluate.protocol import Screen

GENES = tuple(f"g{i}" for i in range(24))
SINGLES = tuple(f"{name}:knockout" for name in "ABCDEF")
DOUBLES = ("A:knockout+B:knockout", "A:knockout+C:knockout", "B:knockout+D:knockout")


def effects(scale: float = 1.5, seed: int = 0) -> dict[str, np.ndarray]:
    """Give the true effect of every condition."""
    rng = np.random.default_rng(seed)
    found = {label: scale * rng.normal(size=len(GENES)) * (rng.random(len(GENES)) < 0.5) for label in SINGLES}
    return found | {label: sum(found[part] for part in label.split("+")) for label in DOUBLES}


def make_screen(*, scale: float = 1.5, cells: int = 24, controls: int = 60, seed: int = 0, **changes: Any) -> Screen:
    """Give cells with noise of variance 1 about their condition's mean."""
    rng = np.random.default_rng([seed, 7])
    true = effects(scale)
    labels = np.repeat(["control", *true], [controls, *[cells] * len(true)])
    means = np.stack([true.get(label, np.zeros(len(GENES))) for label in labels])
    values = {"rna": (10.0 + means + rng.normal(size=means.shape)).astype(np.float32)}
    given: dict[str, Any] = {
        "values": values, "names": {"rna": np.array(GENES)}, "labels": labels.astype(np.str_), "control": "control",
    }  # fmt: skip
    return Screen(**(given | changes))
