"""An optimizer's own figures along a run, as curves: the switch, the mask, λ, the penalty, α."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch

from waddington._checks import check_count
from waddington.analysis.records import Arrays, Saved
from waddington.errors import ArgumentError

__all__ = ["Curves", "DiagnosticsRecorder", "as_curves", "figures_of", "watch_diagnostics"]


@dataclass(frozen=True)
class Curves(Saved):
    """Figures along a run.

    Attributes
    ----------
    steps
        Numbers of the steps, from 1, of shape (T,).
    figures
        By name, each of shape (T,); NaN where a step did not have it.
    """

    steps: Arrays
    figures: Mapping[str, Arrays] = field(default_factory=dict)


class DiagnosticsRecorder:
    """Take an optimizer's figures after every so many steps.

    Optimizers of this package have the figures of ``diagnostics()`` (see *Optimizers / Diagnostics*); of any other the
    rate alone is taken, as ``base_rate``.

    Parameters
    ----------
    optimizer
        Any optimizer.
    every
        Steps between two readings; each waits for the device.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, every: int = 1) -> None:
        check_count("every", every, 1)
        self._optimizer, self._every = optimizer, every
        self._count = 0
        self._rows: list[tuple[int, dict[str, float]]] = []

    def record(self) -> None:
        """Count a step, and read the figures if it is time."""
        self._count += 1
        if self._count % self._every == 0:
            self._rows.append((self._count, figures_of(self._optimizer)))

    def curves(self) -> Curves:
        """Give what was read so far."""
        names = sorted({name for _, row in self._rows for name in row})
        return Curves(
            np.array([step for step, _ in self._rows], dtype=np.int64),
            {name: np.array([row.get(name, np.nan) for _, row in self._rows], dtype=float) for name in names},
        )


@contextlib.contextmanager
def watch_diagnostics(optimizer: torch.optim.Optimizer, every: int = 1) -> Iterator[DiagnosticsRecorder]:
    """Record an optimizer's figures at its steps while the block runs.

    Switches ``record()`` on, for the figures that cost a pass over the tensors, and off again at the end.

    Parameters
    ----------
    optimizer
        Any optimizer.
    every
        Steps between two readings.

    Yields
    ------
    DiagnosticsRecorder
        Its ``curves()`` can be asked for at any time.
    """
    recorder = DiagnosticsRecorder(optimizer, every)
    switch: Any = getattr(optimizer, "record", None)
    was_on = bool(getattr(optimizer, "_recording_on", False))
    if switch is not None:
        switch(True)
    handle = optimizer.register_step_post_hook(lambda *_: recorder.record())
    try:
        yield recorder
    finally:
        handle.remove()
        if switch is not None and not was_on:
            switch(False)


def as_curves(results: Sequence[Saved], steps: Sequence[int] | None = None) -> Curves:
    """Make curves of results that were taken along a run, such as those of :func:`measure_step`.

    Parameters
    ----------
    results
        All of one kind; their numbers, and what follows from them (``predicted``, ``noise_scale``), become figures.
    steps
        When each was taken; without it they are counted from 1.

    Returns
    -------
    Curves
        To be drawn and saved.

    Raises
    ------
    ArgumentError
        There is none, they differ in kind, or there are more or fewer steps.
    """
    kinds = sorted({type(result).__name__ for result in results})
    if len(kinds) != 1 or not isinstance(results[0], Saved):
        raise ArgumentError(f"cannot make curves of {', '.join(kinds) or 'nothing'}: accepted are results of one kind")
    at = list(range(1, len(results) + 1)) if steps is None else list(steps)
    for step in at:
        check_count("steps", step, 0)
    if len(at) != len(results):
        raise ArgumentError(f"cannot use {len(at)} steps of {len(results)} results: accepted is one for each")
    kind = type(results[0])
    names = [each.name for each in fields(kind)] + [name for name, of in vars(kind).items() if isinstance(of, property)]
    numbers = [name for name in names if isinstance(getattr(results[0], name), int | float)]
    figures = {name: np.array([getattr(result, name) for result in results], dtype=float) for name in numbers}
    return Curves(np.array(at, dtype=np.int64), figures)


def figures_of(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Read an optimizer's figures; of one that has none, its rate."""
    read: Any = getattr(optimizer, "diagnostics", None)
    if callable(read):
        return {name: float(value) for name, value in read().items()}
    return {"base_rate": float(optimizer.param_groups[0]["lr"])}
