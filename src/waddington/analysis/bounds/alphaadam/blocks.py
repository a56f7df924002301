"""Theorem 3.3 (A.3): a directional sharpness between c1‖Δθ‖² and c2‖Δθ‖², with c1 above zero.

The theorem takes a Hessian H = D + E with D block-diagonal, ‖E‖ ≤ ε‖D‖ (A.1), and in block i all eigenvalues between
(1-σ_i)μ_i and (1+σ_i)μ_i with μ_i > 0 and σ_i < 1 (A.2). Then c1 = (1-σ)·min μ - ε(1+σ)·max μ and c2 =
(1+σ)(1+ε)·max μ with σ the largest σ_i. But the best constants of any Hessian are its own extreme eigenvalues, so c1 >
0 says no more and no less than that H is positive definite, and no c2 is below its largest eigenvalue, the L of a
Lipschitz gradient. Here all of that is measured, on a dense Hessian of a small model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from waddington._checks import check_count, check_in_range
from waddington.analysis.batches import BatchLoss, Loss
from waddington.analysis.bounds.assumption import Assumption, at_most, stated
from waddington.analysis.bounds.bound import Bound
from waddington.analysis.objective import Mode, Objective, evaluating
from waddington.analysis.records import Arrays, Saved
from waddington.errors import ArgumentError

__all__ = ["BlockStructure", "block_structure", "dense_hessian", "measure_blocks", "sharpness_bounds"]

_SOURCE = "003, Theorem 3.3"


@dataclass(frozen=True)
class BlockStructure(Saved):
    """Eigenvalues of a Hessian, of its diagonal blocks, and the norm of the rest.

    Attributes
    ----------
    names
        Of the blocks.
    sizes
        Coordinates of each, of shape (blocks,).
    smallest, largest
        Extreme eigenvalues of each diagonal block, of shape (blocks,).
    lowest, highest
        Extreme eigenvalues of the whole Hessian.
    negative, zero
        How many of its eigenvalues are below -`tolerance`, and how many within it.
    tolerance
        What rounding may do to an eigenvalue: d · ‖H‖ · the unit of rounding of the numbers that H was computed in.
    rest_norm
        ‖E‖₂ of what lies outside of the blocks.
    """

    names: tuple[str, ...]
    sizes: Arrays
    smallest: Arrays
    largest: Arrays
    lowest: float
    highest: float
    negative: int
    zero: int
    tolerance: float
    rest_norm: float

    @property
    def block_norm(self) -> float:
        """Give ‖D‖₂."""
        return float(np.maximum(np.abs(self.smallest), np.abs(self.largest)).max())

    @property
    def coupling(self) -> float:
        """Give ε = ‖E‖₂ / ‖D‖₂; infinite where the blocks are zero and the rest is not."""
        if self.block_norm == 0.0:
            return 0.0 if self.rest_norm == 0.0 else math.inf
        return self.rest_norm / self.block_norm

    @property
    def centers(self) -> Arrays:
        """Give μ_i, the middle of each block's eigenvalues, of shape (blocks,)."""
        return 0.5 * (_cleaned(self.smallest, self.tolerance) + _cleaned(self.largest, self.tolerance))

    @property
    def spreads(self) -> Arrays:
        """Give the least σ_i around μ_i, of shape (blocks,); infinite where μ_i is not above zero.

        It is below 1 where the block is positive definite by more than rounding, and only there.
        """
        half = 0.5 * (_cleaned(self.largest, self.tolerance) - _cleaned(self.smallest, self.tolerance))
        middle = self.centers
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(middle > 0.0, half / middle, math.inf)

    @property
    def is_positive_definite(self) -> bool:
        """Whether every eigenvalue of the whole Hessian is above zero by more than rounding."""
        return self.lowest > self.tolerance

    @property
    def allowed_coupling(self) -> float:
        """Give the ε below which the paper's c1 is above zero; 0, where none is, if a block has a spread of 1."""
        spread = float(self.spreads.max())
        if not spread < 1.0:
            return 0.0
        return (1.0 - spread) * float(self.centers.min()) / ((1.0 + spread) * float(self.centers.max()))

    @property
    def constants(self) -> tuple[float, float]:
        """Give the paper's c1 and c2; minus infinity and infinity where a block has no μ_i > 0.

        Where σ is 1 or more, c1 has max μ in the place of min μ: (1-σ)·min μ would be no bound.
        """
        spread, low, high = (float(each) for each in (self.spreads.max(), self.centers.min(), self.centers.max()))
        if not math.isfinite(spread) or not math.isfinite(self.coupling):
            return -math.inf, math.inf
        top = (1.0 + spread) * high
        return (1.0 - spread) * (low if spread < 1.0 else high) - self.coupling * top, (1.0 + self.coupling) * top


def dense_hessian(
    model: nn.Module, loss: Loss, *, limit: int = 2048, mode: Mode = "eval", seed: int = 0
) -> torch.Tensor:
    """Make the whole Hessian of a small model, symmetric, in float64.

    Parameters
    ----------
    model, loss, mode, seed
        As for :func:`~waddington.analysis.hessian_vector_product`. A model in float64 tells eigenvalues of zero from
        small ones.
    limit
        Largest number of coordinates d: the matrix has d² entries, and its eigenvalues cost d³.

    Returns
    -------
    torch.Tensor
        Of shape (d, d).

    Raises
    ------
    ArgumentError
        The model has more coordinates.
    """
    check_count("limit", limit, 1)
    with evaluating(model, loss, mode=mode, seed=seed, order=2) as objective:
        if objective.size > limit:
            raise ArgumentError(
                f"cannot make a Hessian of {objective.size} coordinates; accepted: at most limit={limit};"
                " analysis.eigenvalues finds the ends of the spectrum without it"
            )
        rows = _rows(objective, batched=not isinstance(loss, BatchLoss)).double()
    return 0.5 * (rows + rows.T)


def block_structure(
    hessian: torch.Tensor | Arrays, blocks: Mapping[str, Sequence[int]], *, rounding: float = 2.0**-52
) -> BlockStructure:
    """Measure a Hessian against a division of its coordinates into blocks.

    Parameters
    ----------
    hessian
        Symmetric, of shape (d, d).
    blocks
        The coordinates of each block; every coordinate is in one of them.
    rounding
        Unit of rounding of the numbers that the Hessian was computed in.

    Returns
    -------
    BlockStructure
        Of these blocks.

    Raises
    ------
    ArgumentError
        The matrix is not symmetric, not finite, or the blocks are no division of its coordinates.
    """
    matrix = np.asarray(hessian, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ArgumentError(f"cannot use a Hessian of shape {matrix.shape}; accepted: (d, d), d at least 1")
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T, rtol=1e-8, atol=1e-12):
        raise ArgumentError("cannot use a Hessian that is not finite and symmetric; accepted: what dense_hessian gives")
    check_in_range("rounding", rounding, 0.0, 1.0, open_low=True)
    places = {name: np.asarray(list(at), dtype=np.intp) for name, at in blocks.items()}
    together = np.sort(np.concatenate([np.empty(0, np.intp), *places.values()]))
    if not np.array_equal(together, np.arange(len(matrix))) or not all(len(at) for at in places.values()):
        raise ArgumentError(
            f"cannot use blocks of {len(together)} coordinates in all; accepted: each of 0 to {len(matrix) - 1} in one"
            " block, and no empty block"
        )
    rest = matrix.copy()
    ends = []
    for at in places.values():
        inside = np.ix_(at, at)
        found = np.linalg.eigvalsh(matrix[inside])
        ends.append((found[0], found[-1]))
        rest[inside] = 0.0
    whole = np.linalg.eigvalsh(matrix)
    tolerance = len(matrix) * float(np.abs(whole).max()) * rounding
    return BlockStructure(
        names=tuple(places),
        sizes=np.array([len(at) for at in places.values()]),
        smallest=np.array([low for low, _ in ends]),
        largest=np.array([high for _, high in ends]),
        lowest=float(whole[0]),
        highest=float(whole[-1]),
        negative=int((whole < -tolerance).sum()),
        zero=int((np.abs(whole) <= tolerance).sum()),
        tolerance=tolerance,
        rest_norm=float(np.abs(np.linalg.eigvalsh(rest)).max()),
    )


def measure_blocks(
    model: nn.Module,
    loss: Loss,
    blocks: Mapping[str, Sequence[int]] | None = None,
    *,
    limit: int = 2048,
    mode: Mode = "eval",
    seed: int = 0,
) -> BlockStructure:
    """Measure the Hessian of a small model where it stands.

    Parameters
    ----------
    model, loss, limit, mode, seed
        As for :func:`dense_hessian`.
    blocks
        As for :func:`block_structure`, of coordinates in the order of the model's parameters that require grad; None
        takes each tensor for a block.

    Returns
    -------
    BlockStructure
        Of the Hessian here and now.
    """
    hessian = dense_hessian(model, loss, limit=limit, mode=mode, seed=seed)
    named = [(name, param) for name, param in model.named_parameters() if param.requires_grad]
    if blocks is None:
        blocks, start = {}, 0
        for name, param in named:
            if param.numel():
                blocks[name] = range(start, start + param.numel())
            start += param.numel()
    rounding = max(float(torch.finfo(param.dtype).eps) for _, param in named)
    return block_structure(hessian, blocks, rounding=rounding)


def sharpness_bounds(structure: BlockStructure) -> tuple[Bound, Bound]:
    """Give the theorem's two halves, for the curvature DS/‖Δθ‖² along any step from where the Hessian was measured.

    Parameters
    ----------
    structure
        What :func:`measure_blocks` found.

    Returns
    -------
    tuple of Bound
        The lower half bounds **minus** the curvature by -c1, the upper half the curvature by c2; neither depends on
        the number of steps. What holds without the theorem is minus the smallest eigenvalue, and the largest. A half
        without constants, since a block has no μ_i > 0, is infinite.
    """
    low, high = structure.constants
    assumptions = _assumptions(structure)
    constants = {
        "c1": low,
        "c2": high,
        "epsilon": structure.coupling,
        "sigma_max": float(structure.spreads.max()),
        "c_min": float(structure.centers.min()),
        "c_max": float(structure.centers.max()),
        "lambda_min": structure.lowest,
        "lambda_max": structure.highest,
    }
    lower = Bound(
        name="minus the curvature along a step",
        source=_SOURCE,
        at=lambda steps: np.full_like(steps, -low),
        trivial=-structure.lowest,
        constants=constants,
        assumptions=assumptions,
        note="-DS/‖Δθ‖² ≤ -c1; the best c1 is the smallest eigenvalue",
    )
    upper = Bound(
        name="curvature along a step",
        source=_SOURCE,
        at=lambda steps: np.full_like(steps, high),
        trivial=structure.highest,
        constants=constants,
        assumptions=assumptions,
        note="DS/‖Δθ‖² ≤ c2; the best c2 is the largest eigenvalue, so this half adds nothing to smoothness",
    )
    return lower, upper


def _assumptions(found: BlockStructure) -> tuple[Assumption, ...]:
    spread = float(found.spreads.max())
    share = f"{found.negative} of {int(found.sizes.sum())} eigenvalues are negative, {found.zero} are zero"
    return (
        at_most("nearly block-diagonal", "‖E‖ ≤ ε‖D‖ with ε < 1", "003, A.1", found.coupling, 1.0, strict=True),
        at_most(
            "eigenvalues of a block near each other",
            "all between (1-σ)μ and (1+σ)μ, μ > 0, σ < 1",
            "003, A.2",
            spread,
            1.0,
            strict=True,
            note="the largest spread of a block",
        ),
        at_most(
            "weak coupling",
            "ε < (1-σ)·min μ / ((1+σ)·max μ)",
            "003, A.3",
            found.coupling,
            found.allowed_coupling,
            strict=True,
        ),
        stated(
            "positive definite Hessian",
            "c1 > 0, which is λ_min > 0",
            _SOURCE,
            found.is_positive_definite,
            note=f"λ_min = {found.lowest:.3g}; {share}",
        ),
    )


def _cleaned(values: Arrays, tolerance: float) -> Arrays:
    """Make zero what rounding cannot tell from zero."""
    return np.where(np.abs(values) <= tolerance, 0.0, values)


def _rows(objective: Objective, *, batched: bool) -> torch.Tensor:
    basis = torch.eye(objective.size, dtype=objective.dtype, device=objective.device)
    if batched:
        objective.hvp(basis[0])  # makes the graph, of which every product is taken, outside of vmap
        try:
            found: torch.Tensor = torch.vmap(objective.hvp, chunk_size=256)(basis)
            return found
        except RuntimeError:  # an operation that vmap does not know; what is truly wrong is said again below
            pass
    return torch.stack([objective.hvp(column) for column in basis])
