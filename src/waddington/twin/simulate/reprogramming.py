"""The best edits to turn one fate into another, known because every single and double edit is tried."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from waddington._checks import check_choice, check_in_range, check_known
from waddington.twin.data.conditions import Condition, Perturbation, make_condition
from waddington.twin.simulate.dynamics import EFFECTS, MYELOID_KINETICS, Edits, integrate
from waddington.twin.simulate.fates import FATES, STATE_NAMES, STATES, classify
from waddington.twin.simulate.network import MYELOID

__all__ = ["edit_sets", "optimal_reprogramming", "reach_probability"]

Array = npt.NDArray[np.float32]

_STEP_HOURS = 1.0


def edit_sets(max_size: int = 2, *, modes: Sequence[str] = ("knockout", "activation")) -> tuple[Condition, ...]:
    """List every set of edits of up to ``max_size`` different regulators: 22 singles and 220 doubles by default.

    Raises
    ------
    ArgumentError
        When the size is not 1 to 3, or a mode has no meaning for a gene network.
    """
    check_choice("max_size", max_size, (1, 2, 3))
    for mode in modes:
        check_choice("modes", mode, EFFECTS)
    singles = [Perturbation(gene, mode) for gene in MYELOID.genes for mode in dict.fromkeys(modes)]
    return tuple(
        make_condition(edits)
        for size in range(1, max_size + 1)
        for edits in itertools.combinations(singles, size)
        if len({edit.gene for edit in edits}) == size
    )


def reach_probability(
    conditions: Sequence[Condition],
    start_fate: str,
    target_fate: str,
    *,
    n_cells: int = 64,
    hours: float = 144.0,
    release_hours: float = 48.0,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """Estimate how often each condition turns a cell of one fate into another.

    Parameters
    ----------
    conditions
        What to try; ``()`` is allowed and gives the odds of doing nothing.
    start_fate, target_fate
        Names of :data:`~.fates.STATE_NAMES`; the target must be one of the four fates.
    n_cells
        Cells for each condition; all conditions share their fluctuations.
    hours
        How long the edits are held.
    release_hours
        How long cells are left alone afterwards: a fate counts only if it stays by itself. With 0, cells are judged
        while edited, by the genes that are not.
    seed
        Of the fluctuations.

    Returns
    -------
    numpy.ndarray
        Share of cells that end in the target, shape (conditions,); standard error at most ``0.5 / sqrt(n_cells)``.

    Raises
    ------
    ArgumentError
        When a name is not known (UnknownNameError) or a number is outside its range.
    UnsupportedError
        When a mode has no meaning for a gene network.
    """
    start_name = check_known("state", start_fate, STATE_NAMES)
    target = STATE_NAMES.index(check_known("fate", target_fate, FATES))
    check_in_range("n_cells", n_cells, 1)
    check_in_range("hours", hours, 0.0, open_low=True)
    check_in_range("release_hours", release_hours, 0.0)
    center = STATES[:, STATE_NAMES.index(start_name), None]
    rng = np.random.default_rng([seed, 3])
    scatter = rng.standard_normal((len(MYELOID), n_cells), dtype=np.float32)
    single = np.maximum(center + np.sqrt(center / np.float32(MYELOID_KINETICS.system_size)) * scatter, 0)
    edits = Edits.of(MYELOID, conditions, [n_cells] * len(conditions))
    x = edits.apply(np.tile(single, (1, len(conditions))))
    touched: npt.NDArray[np.bool_] | None = edits.touched
    for duration, held in ((hours, edits), (release_hours, None)):
        if duration:
            n_steps = int(np.ceil(duration / _STEP_HOURS))
            x = integrate(
                MYELOID,
                MYELOID_KINETICS,
                x,
                hours=duration,
                rng=rng,
                edits=held,
                n_steps=n_steps,
                replicas=len(conditions),
            )
            touched = None if held is None else touched
    reached = classify(x, touched) == target
    share: npt.NDArray[np.float64] = reached.reshape(len(conditions), n_cells).mean(axis=1)
    return share


def optimal_reprogramming(
    start_fate: str,
    target_fate: str,
    *,
    max_size: int = 2,
    modes: Sequence[str] = ("knockout", "activation"),
    n_cells: int = 64,
    hours: float = 144.0,
    release_hours: float = 48.0,
    seed: int = 0,
) -> list[tuple[Condition, float]]:
    """Rank every set of edits by how often it turns one fate into another.

    Parameters
    ----------
    start_fate, target_fate
        ``"Erythrocyte"``, ``"Megakaryocyte"``, ``"Monocyte"``, ``"Neutrophil"``; a start may be ``"Progenitor"``.
    max_size
        Edits held together at most, 1 to 3 (3 tries 1,562 sets).
    modes
        What may be done to a regulator.
    n_cells, hours, release_hours, seed
        As in :func:`reach_probability`.

    Returns
    -------
    list[tuple[Condition, float]]
        Every set with its probability; most probable first, among equals the smaller set, then by label.

    Raises
    ------
    ArgumentError
        When a name is not known (UnknownNameError) or a number is outside its range.

    Examples
    --------
    >>> best, probability = optimal_reprogramming("Neutrophil", "Monocyte", max_size=1)[0]
    >>> str(best[0]), probability > 0.9
    ('EgrNab:activation', True)
    """
    sets = edit_sets(max_size, modes=modes)
    odds: list[float] = []
    # Batches of sets share their fluctuations with one another too, because every batch starts the same stream anew.
    for begin in range(0, len(sets), 64):
        batch = sets[begin : begin + 64]
        share = reach_probability(
            batch, start_fate, target_fate, n_cells=n_cells, hours=hours, release_hours=release_hours, seed=seed
        )
        odds.extend(share.tolist())
    return sorted(zip(sets, odds, strict=True), key=lambda pair: (-pair[1], len(pair[0]), pair[0]))
