"""GC and DS of both masks at points of a run, on the same gradient and moments (Theorem 3.5 measured)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from waddington._checks import check_choice
from waddington.analysis.batches import Loss
from waddington.analysis.bounds.alphaadam.masks import MaskedUpdates, correlation_gap, masked_updates
from waddington.analysis.bounds.alphaadam.states import AdamState, adam_states
from waddington.analysis.objective import Mode, Objective, evaluating
from waddington.analysis.records import Arrays, Saved
from waddington.errors import ArgumentError
from waddington.optim.masking import AlphaForm, Compensation, mask_terms, strength
from waddington.optim.rule import Settings

__all__ = ["MaskComparison", "MaskShares", "compare_masks", "mask_shares"]

_MASKS = ("synchronous", "asynchronous")
"""The order of the two masks in every array."""


@dataclass(frozen=True)
class MaskComparison(Saved):
    """Both masks at one point of a run, on the same gradient and moments.

    Columns of the arrays are the synchronous and the asynchronous mask, rows the losses. Correlations are those of
    what is subtracted, so that a positive one goes downhill, as the paper has it.

    Attributes
    ----------
    losses
        ``"batch"``, and ``"full"`` where a full loss was given.
    correlation
        GC, of shape (losses, 2).
    sharpness
        DS, of shape (losses, 2).
    length
        ‖u‖ of the masked updates, of shape (2,).
    kept
        Share of coordinates that each mask keeps, of shape (2,).
    only_synchronous, only_asynchronous
        Share of coordinates that one mask alone keeps; the second is 0.
    gap
        Σ of :func:`correlation_gap`: GC_sync - GC_async of the batch, where nothing is compensated.
    """

    losses: tuple[str, ...]
    correlation: Arrays
    sharpness: Arrays
    length: Arrays
    kept: Arrays
    only_synchronous: float
    only_asynchronous: float
    gap: float

    def differences(self, *, per_length: bool = False, uphill: bool = False) -> tuple[Arrays, Arrays]:
        """Give asynchronous minus synchronous, of GC and of DS, of shape (losses,) each.

        Parameters
        ----------
        per_length
            GC over ‖u‖ and DS over ‖u‖²; NaN where a mask keeps nothing.
        uphill
            Take Δθ = θ_{t+1} - θ_t, which turns the sign of every GC around. The theorem then says that the
            asynchronous mask goes less far downhill, which is true, and no advantage.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = self.length if per_length else np.ones(2)
            correlation, sharpness = self.correlation / scale, self.sharpness / scale**2
        sign = -1.0 if uphill else 1.0
        return sign * (correlation[:, 1] - correlation[:, 0]), sharpness[:, 1] - sharpness[:, 0]


def compare_masks(
    model: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    *,
    full_loss: Loss | None = None,
    strict: bool = False,
    compensation: Compensation = "none",
    alpha_form: AlphaForm = "squared",
    alpha_max: float = float("inf"),
    mode: Mode = "eval",
    seed: int = 0,
) -> MaskComparison:
    """Measure GC and DS of both masks, where a run stands and for the step that it would take next.

    Call it between two steps. Nothing is changed: neither the parameters nor the optimizer.

    Parameters
    ----------
    model
        The model.
    loss
        ``loss(model)`` on the batch of the next step.
    optimizer
        One that keeps Adam's moments and has taken a step.
    full_loss
        ``loss(model)`` on all data, for a second row.
    strict
        Masks with > instead of ≥.
    compensation, alpha_form, alpha_max
        What makes up for the mask, tensor by tensor, as :class:`~waddington.optim.AlphaAdam` has it. The theorem
        compares bare masks, the default.
    mode, seed
        As for :func:`~waddington.analysis.hessian_vector_product`.

    Returns
    -------
    MaskComparison
        Of this point.

    Raises
    ------
    ArgumentError
        The optimizer has no moments of a parameter yet.
    UnsupportedError
        The optimizer keeps none, or the loss has no second derivatives.
    """
    check_choice("compensation", compensation, ("full", "norm", "count", "none"))
    settings = {"compensation": compensation, "alpha_form": alpha_form, "alpha_max": alpha_max}
    states = adam_states(model, optimizer)
    with evaluating(model, loss, mode=mode, seed=seed, order=2) as objective:
        grad = objective.gradient()
        pairs = [_updates(part, state, strict) for part, state in zip(objective.split(grad), states, strict=True)]
        moves = [
            objective.flat([_compensated(pair.update, getattr(pair, mask), settings) for pair in pairs])
            for mask in _MASKS
        ]
        rows = [_row(objective, grad, moves)]
        gaps = [correlation_gap(part, pair) for part, pair in zip(objective.split(grad), pairs, strict=True)]
    names = ["batch"]
    if full_loss is not None:
        with evaluating(model, full_loss, mode=mode, seed=seed, order=2) as objective:
            rows.append(_row(objective, objective.gradient(), moves))
        names.append("full")
    kept = [torch.cat([getattr(pair, mask).reshape(-1) for pair in pairs]) > 0 for mask in _MASKS]
    return MaskComparison(
        losses=tuple(names),
        correlation=np.array([correlation for correlation, _ in rows]),
        sharpness=np.array([sharpness for _, sharpness in rows]),
        length=np.array([float(move.double().norm()) for move in moves]),
        kept=np.array([float(each.double().mean()) for each in kept]),
        only_synchronous=float((kept[0] & ~kept[1]).double().mean()),
        only_asynchronous=float((kept[1] & ~kept[0]).double().mean()),
        gap=sum(float(terms.double().sum()) for terms in gaps),
    )


@dataclass(frozen=True)
class MaskShares(Saved):
    """In which share of the points of a run the theorem's two statements hold.

    Attributes
    ----------
    losses
        Names of the rows.
    correlation
        Share with GC_async > GC_sync, of shape (losses, 2); columns: as it is, per length.
    sharpness
        Share with DS_async < DS_sync, alike.
    points
        How many were compared; a figure that is not finite speaks against a statement.
    """

    losses: tuple[str, ...]
    correlation: Arrays
    sharpness: Arrays
    points: int


def mask_shares(comparisons: Sequence[MaskComparison], *, uphill: bool = False) -> MaskShares:
    """Count over a run where the asynchronous mask has the higher GC and the lower DS: a two by two table of each.

    Parameters
    ----------
    comparisons
        Of one run, with the same losses.
    uphill
        As for :meth:`MaskComparison.differences`.

    Raises
    ------
    ArgumentError
        There is none, or their losses differ.
    """
    names = {each.losses for each in comparisons}
    if len(names) != 1:
        raise ArgumentError(f"cannot count over comparisons of losses {sorted(names)}; accepted: at least one, alike")
    higher, lower = [], []
    for per_length in (False, True):
        found = [each.differences(per_length=per_length, uphill=uphill) for each in comparisons]
        higher.append(np.mean([correlation > 0.0 for correlation, _ in found], axis=0))
        lower.append(np.mean([sharpness < 0.0 for _, sharpness in found], axis=0))
    return MaskShares(
        losses=names.pop(),
        correlation=np.stack(higher, axis=1),
        sharpness=np.stack(lower, axis=1),
        points=len(comparisons),
    )


def _updates(grad: torch.Tensor, state: AdamState, strict: bool) -> MaskedUpdates:
    return masked_updates(
        grad,
        state.exp_avg,
        state.exp_avg_sq,
        betas=state.betas,
        eps=state.eps,
        step=state.step + 1 if state.bias_correction else None,
        strict=strict,
    )


def _compensated(update: torch.Tensor, mask: torch.Tensor, settings: Settings) -> torch.Tensor:
    totals = {name: term.sum() for name, term in mask_terms(update, mask).items()}
    size = torch.as_tensor(float(update.numel()), dtype=update.dtype, device=update.device)
    return update * mask * strength(totals, size, settings)["rate_multiplier"]


def _row(objective: Objective, grad: torch.Tensor, moves: Sequence[torch.Tensor]) -> tuple[list[float], list[float]]:
    """Give GC and DS of each mask's update."""
    exact = [move.double() for move in moves]
    return (
        [float(move @ grad.double()) for move in exact],
        [float(exact[at] @ objective.hvp(move).double()) for at, move in enumerate(moves)],
    )
