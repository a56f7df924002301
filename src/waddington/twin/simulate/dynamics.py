"""Stochastic dynamics of a network in many cells at once.

Every gene is produced at the rate its rule gives and decays linearly; fluctuations follow the chemical Langevin
equation (Gillespie 2000) for a cell of finite volume,

    dx = (p(h(x)) - x) / τ dt + sqrt((p + x) / (τ Ω)) dW,

integrated by Euler–Maruyama and clipped at zero. Arrays are (genes, cells): each row is one
contiguous vector, so that a rule costs a handful of vector operations for all cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from waddington._checks import check_known
from waddington.errors import ArgumentError, UnsupportedError
from waddington.twin.data.conditions import Condition
from waddington.twin.simulate.network import MYELOID, Network

__all__ = ["EFFECTS", "MYELOID_KINETICS", "Edits", "Kinetics", "hill", "integrate", "steady_state"]

Array = npt.NDArray[np.float32]

EFFECTS = {
    "knockout": (0.0, 0.0),
    "knockdown": (0.25, 0.0),
    "activation": (1.0, 1.0),
    "overexpression": (1.0, 1.5),
}
"""What a mode does to a gene's production: ``(factor, floor)`` in ``max(factor * production, floor)``.

A knock-down leaves a quarter, as CRISPRi typically does; an activation holds the gene at its natural maximum, an
over-expression at half as much again.
"""


@dataclass(frozen=True, kw_only=True)
class Kinetics:
    """Numbers that turn a Boolean network into rates.

    Attributes
    ----------
    lifetime
        Time constant τ of every gene in hours, shape (genes,).
    threshold
        Concentration at which a gene acts at half strength, before normalization, shape (genes,).
    start
        Mean concentrations from which cells set out, shape (genes,).
    hill_exponent
        Steepness of every Hill function.
    system_size
        Molecules Ω at concentration 1: at equilibrium a gene at 1 has a standard deviation of ``Ω ** -0.5``.
    """

    lifetime: Array
    threshold: Array
    start: Array
    hill_exponent: int = 4
    system_size: float = 100.0


def _by_gene(network: Network, default: float, values: Mapping[str, float]) -> Array:
    return np.array([values.get(gene, default) for gene in network.genes], dtype=np.float32)


MYELOID_KINETICS = Kinetics(
    lifetime=_by_gene(MYELOID, 12.0, {"Fog1": 9, "SCL": 9, "Cebpa": 9, "EKLF": 15, "Fli1": 15, "Gfi1": 36}),
    threshold=_by_gene(MYELOID, 0.5, {"Pu.1": 0.52, "cJun": 0.35, "EgrNab": 0.3}),
    start=_by_gene(MYELOID, 0.0, {"Gata2": 0.8, "Cebpa": 0.8, "Pu.1": 0.65}),
)
"""Rates chosen by us so that unperturbed progenitors spread about evenly over the four fates within five days.

The paper gives rules, not rates: these numbers set the scale of time and the odds, never which fates exist.
"""


@dataclass(frozen=True, kw_only=True)
class Edits:
    """What is done to every gene of every cell.

    Attributes
    ----------
    factor
        Multiplies the production, shape (genes, cells).
    floor
        Lowest production, shape (genes, cells).
    touched
        True where a gene is edited, shape (genes, cells).
    """

    factor: Array
    floor: Array
    touched: npt.NDArray[np.bool_] = field(repr=False)

    @classmethod
    def of(cls, network: Network, conditions: Sequence[Condition], counts: Sequence[int]) -> Edits:
        """Lay out conditions over cells: ``counts[i]`` neighbouring cells receive ``conditions[i]``.

        Raises
        ------
        UnknownNameError
            When a condition edits a gene that is not in the network.
        UnsupportedError
            When a mode has no meaning for a gene network (a drug, a cytokine), or a dose.
        ArgumentError
            When a condition edits one gene twice.
        """
        factor = np.ones((len(network), len(conditions)), dtype=np.float32)
        floor = np.zeros_like(factor)
        touched = np.zeros(factor.shape, dtype=bool)
        for column, condition in enumerate(conditions):
            for edit in condition:
                row = network.index(check_known("regulator", edit.gene, network.genes))
                if edit.mode not in EFFECTS:
                    raise UnsupportedError(
                        f"cannot simulate {edit.mode!r} of {edit.gene}: the network knows genes only; "
                        f"accepted modes are {', '.join(EFFECTS)}"
                    )
                if edit.dose is not None:
                    raise UnsupportedError(
                        f"cannot simulate dose {edit.dose:g} of {edit.gene}: the network knows no doses; accepted is "
                        f"{edit.gene!r} without one"
                    )
                if touched[row, column]:
                    raise ArgumentError(
                        f"cannot edit {edit.gene} twice in one condition: found {edit.mode!r} beside another mode"
                    )
                factor[row, column], floor[row, column] = EFFECTS[edit.mode]
                touched[row, column] = True
        repeats = np.asarray(counts)
        return cls(
            factor=np.repeat(factor, repeats, axis=1),
            floor=np.repeat(floor, repeats, axis=1),
            touched=np.repeat(touched, repeats, axis=1),
        )

    def take(self, cells: npt.NDArray[np.int64]) -> Edits:
        """Give the edits of the columns listed, in that order and as often as listed."""
        return Edits(factor=self.factor[:, cells], floor=self.floor[:, cells], touched=self.touched[:, cells])

    def apply(self, level: Array) -> Array:
        """Change a level or a production in place, and return it."""
        np.multiply(level, self.factor, out=level)
        return np.maximum(level, self.floor, out=level)


def hill(x: Array, threshold: Array, exponent: int) -> Array:
    """Hill function normalized to pass through (0, 0) and (1, 1); inputs above 1 count as 1.

    Parameters
    ----------
    x
        Concentrations, shape (genes, cells).
    threshold
        Half-points k before normalization, shape (genes,).
    exponent
        Steepness n: ``x^n (1 + k^n) / (x^n + k^n)``.
    """
    power: Array = np.minimum(x, np.float32(1.0)) ** exponent
    offset = (threshold**exponent).astype(np.float32)[:, None]
    out: Array = power / (power + offset)
    out *= 1 + offset
    return out


def integrate(
    network: Network,
    kinetics: Kinetics,
    start: Array,
    *,
    hours: npt.ArrayLike,
    rng: np.random.Generator | None,
    edits: Edits | None = None,
    n_steps: int = 200,
    replicas: int = 1,
    observe: Callable[[Array, Array], None] | None = None,
    observe_every: int = 2,
) -> Array:
    """Let cells develop, each for its own time.

    Parameters
    ----------
    network, kinetics
        The rules and the rates.
    start
        Concentrations to set out from, shape (genes, cells).
    hours
        Duration for each cell, shape (cells,) or one number. Every cell takes ``n_steps`` steps of its own length.
    rng
        Source of fluctuations; None integrates without noise.
    edits
        What holds throughout; None edits nothing.
    n_steps
        Euler–Maruyama steps; the longest step must stay well below the shortest lifetime.
    replicas
        Cells are this many equal blocks that share their fluctuations (common random numbers), so that blocks under
        different edits differ by the edits only.
    observe
        Called as ``observe(x, elapsed)`` after every ``observe_every`` steps with the hours since the last call.
    observe_every
        Steps between calls of ``observe``.

    Returns
    -------
    numpy.ndarray
        Concentrations at the end, shape (genes, cells), never negative.

    Raises
    ------
    ArgumentError
        When a step would exceed the shortest lifetime, or the cells do not divide into the replicas.
    """
    x = np.array(start, dtype=np.float32)
    n_genes, n_cells = x.shape
    step = np.broadcast_to(np.asarray(hours, dtype=np.float32) / np.float32(n_steps), (n_cells,))
    shortest = float(kinetics.lifetime.min())
    if n_cells and float(step.max()) > shortest:
        needed = int(np.ceil(n_steps * float(step.max()) / shortest))
        raise ArgumentError(
            f"cannot integrate with n_steps={n_steps}: a step of {step.max():.3g} h exceeds the shortest lifetime, "
            f"{shortest:.3g} h; accepted is n_steps >= {needed}"
        )
    if n_cells % replicas:
        raise ArgumentError(f"cannot use replicas={replicas}: it must divide the number of cells, {n_cells}")
    relative = step / kinetics.lifetime[:, None]
    spread = relative / np.float32(kinetics.system_size)
    for count in range(1, n_steps + 1):
        made = network.production(hill(x, kinetics.threshold, kinetics.hill_exponent))
        if edits is not None:
            edits.apply(made)
        change = (made - x) * relative
        if rng is not None:
            draws = rng.standard_normal((n_genes, n_cells // replicas), dtype=np.float32)
            made += x
            made *= spread
            np.sqrt(made, out=made)
            change += made * (draws if replicas == 1 else np.tile(draws, (1, replicas)))
        x += change
        np.maximum(x, 0, out=x)
        if observe is not None and count % observe_every == 0:
            observe(x, step * np.float32(observe_every))
    return x


def steady_state(network: Network, kinetics: Kinetics, start: Array, *, hours: float = 500.0) -> Array:
    """Follow the noise-free flow from ``start`` (genes, cells) until it rests; returns the same shape."""
    n_steps = int(np.ceil(hours / (0.25 * float(kinetics.lifetime.min()))))
    return integrate(network, kinetics, start, hours=hours, rng=None, n_steps=n_steps)
