"""Noise-free cells: progenitors are edited, differentiate, and are harvested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from waddington.twin.data.conditions import Condition
from waddington.twin.simulate.cascade import Cascade, Wiring
from waddington.twin.simulate.dynamics import MYELOID_KINETICS, Edits, integrate
from waddington.twin.simulate.network import MYELOID

__all__ = ["BLOCK_CELLS", "Cells", "grow", "grow_paired"]

Array = npt.NDArray[np.float32]

BLOCK_CELLS = 2048
"""Cells integrated together: few enough for the processor's cache, and what bounds memory besides the result."""

_PACE_SPREAD = 0.3
_PACE_LIMITS = (0.5, 2.0)
_HEAD_START_HOURS = 12.0
_STEP_HOURS = 0.75
_OBSERVE_EVERY = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Cells:
    """A block of harvested cells.

    Attributes
    ----------
    regulators
        Concentrations, shape (regulators, cells).
    touched
        True for edited regulators, shape (regulators, cells).
    profiles
        Noise-free amounts of each modality, each of shape (features, cells).
    """

    regulators: Array
    touched: npt.NDArray[np.bool_]
    profiles: dict[str, Array]


def _differentiate(wiring: Wiring, edits: Edits, hours: Array, rng: np.random.Generator, *, replicas: int = 1) -> Cells:
    """Grow one block; with replicas, all of them share start, pace and fluctuations."""
    kinetics = MYELOID_KINETICS
    own = hours.shape[0] // replicas
    pace = np.clip(rng.lognormal(0.0, _PACE_SPREAD, own), *_PACE_LIMITS).astype(np.float32)
    head_start = rng.uniform(0.0, _HEAD_START_HOURS, own).astype(np.float32)
    scatter = rng.standard_normal((len(MYELOID), own), dtype=np.float32)
    start = kinetics.start[:, None] + np.sqrt(kinetics.start / np.float32(kinetics.system_size))[:, None] * scatter
    start = np.tile(np.maximum(start, 0), (1, replicas))
    # Messengers begin where the unedited progenitor has them; the regulators' own products are gone, or there, at once.
    cascade = Cascade(wiring, start)
    age = hours * np.tile(pace, replicas) + np.tile(head_start, replicas)
    x = integrate(
        MYELOID,
        kinetics,
        edits.apply(start),
        hours=age,
        rng=rng,
        edits=edits,
        # A whole number of observations, so that the last one is at the harvest.
        n_steps=_OBSERVE_EVERY * max(1, int(np.ceil(float(age.max()) / (_OBSERVE_EVERY * _STEP_HOURS)))),
        replicas=replicas,
        observe=cascade,
        observe_every=_OBSERVE_EVERY,
    )
    return Cells(regulators=x, touched=edits.touched, profiles=cascade.profiles(x))


def grow(
    wiring: Wiring, conditions: Sequence[Condition], codes: npt.NDArray[np.int64], hours: Array, *, seed: int
) -> Iterator[tuple[slice, Cells]]:
    """Grow cells block by block.

    Parameters
    ----------
    wiring
        What lies downstream of the regulators.
    conditions
        Conditions by code.
    codes
        Condition of each cell, shape (cells,).
    hours
        Hour of harvest of each cell, shape (cells,).
    seed
        Each block draws from a stream of its own.

    Yields
    ------
    tuple[slice, Cells]
        Which cells, and the cells.
    """
    table = Edits.of(MYELOID, conditions, [1] * len(conditions))
    for block, begin in enumerate(range(0, len(codes), BLOCK_CELLS)):
        cells = slice(begin, min(begin + BLOCK_CELLS, len(codes)))
        yield (
            cells,
            _differentiate(wiring, table.take(codes[cells]), hours[cells], np.random.default_rng([seed, 0, block])),
        )


def grow_paired(
    wiring: Wiring, conditions: Sequence[Condition], hours: Sequence[float], *, n_cells: int, seed: int
) -> Iterator[dict[str, Array]]:
    """Grow the same cells under each of several conditions: true counterfactuals.

    Parameters
    ----------
    wiring
        What lies downstream of the regulators.
    conditions
        The conditions to compare.
    hours
        Hours of harvest, which the cells take in turn.
    n_cells
        Cells for each condition. A cell has one start, pace and course of fluctuations under every condition.
    seed
        Of those cells.

    Yields
    ------
    dict[str, numpy.ndarray]
        For each condition in order: noise-free profiles of each modality, each of shape (features, n_cells).
    """
    taken = np.resize(np.asarray(hours, dtype=np.float32), n_cells)
    together = max(1, BLOCK_CELLS // n_cells)
    for begin in range(0, len(conditions), together):
        batch = conditions[begin : begin + together]
        edits = Edits.of(MYELOID, batch, [n_cells] * len(batch))
        rng = np.random.default_rng([seed, 1])
        grown = _differentiate(wiring, edits, np.tile(taken, len(batch)), rng, replicas=len(batch))
        for row in range(len(batch)):
            cells = slice(row * n_cells, (row + 1) * n_cells)
            yield {name: profile[:, cells] for name, profile in grown.profiles.items()}
