"""AlphaAdam's mask (:mod:`waddington.optim.masking`) on the updates of any optimizer that has a first moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from waddington.errors import UnsupportedError
from waddington.optim.engine.params import ParamSlot, local_real
from waddington.optim.engine.settings import NonfiniteUnmasked, settings_of
from waddington.optim.masking import AlphaForm, Compensation, Mask, aligned, check_mask, mask_terms, strength
from waddington.optim.rule import Settings, Tensors
from waddington.optim.wrappers.columns import alike, column_of, sizes_of
from waddington.optim.wrappers.update import Observed, Pending, UpdateWrapper

__all__ = ["Masked"]


class Masked(UpdateWrapper):
    """Put AlphaAdam's mask on the updates of any optimizer that has a first moment.

    ``Masked(torch.optim.AdamW(model.parameters(), lr=1e-3))`` is :class:`~waddington.optim.AlphaAdam`, as far as the
    precision of the parameters goes. The first moment is ``exp_avg`` or ``momentum_buffer`` in the optimizer's state:
    AdamW, AMSGrad, Lion, RAdam, SGD with momentum, ASGDAdam and AMVT have one. Decay that the optimizer applies to the
    parameters themselves (``decoupled_weight_decay``) is left unmasked, as in Algorithm 1.

    The update is what the optimizer did to the parameters, so it is known to the parameters' precision only: for
    bfloat16 parameters use :class:`~waddington.optim.AlphaAdam`.

    Parameters
    ----------
    optimizer
        What is masked; its groups may override any setting, such as ``mask="none"`` for embeddings.
    mask
        ``"asynchronous"``, ``"synchronous"`` or ``"none"``.
    strict_mask
        Leave out coordinates in which gradient or momentum is zero. With the first moment zero at first, the first step
        of an asynchronous mask then changes nothing.
    compensation
        ``"full"``: α and the count; ``"norm"``: α; ``"count"``: n/(‖φ‖₀+1); ``"none"``.
    alpha_form
        ``"squared"`` (Algorithm 1) or ``"root"`` (Eq. 9).
    alpha_max
        Upper bound of α, at least 1; may be infinite.
    nonfinite
        See :class:`~.state.WrapperState`.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    UnsupportedError
        The optimizer masks already, or (at the first step) has no first moment.
    """

    _own = ("mask", "strict_mask", "compensation", "alpha_form", "alpha_max")
    _sets_decay_aside = True
    _scales_with_rate = True

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        mask: Mask = "asynchronous",
        strict_mask: bool = False,
        compensation: Compensation = "full",
        alpha_form: AlphaForm = "squared",
        alpha_max: float = 2.0,
        nonfinite: NonfiniteUnmasked = "skip",
    ) -> None:
        super().__init__(optimizer, settings_of(locals(), "optimizer", "nonfinite"), nonfinite=nonfinite)

    def _check_own(self, settings: Settings) -> None:
        check_mask(settings)

    def _before(self, slots: list[ParamSlot]) -> list[torch.Tensor | None]:
        """Take the asynchronous masks while the state still holds the moments of the step before."""
        chosen = [slot for slot in slots if slot.group["mask"] == "asynchronous"]
        found = self._masks(chosen, [self._first_moment(slot) for slot in chosen]) if chosen else {}
        return [found.get(slot.index) for slot in slots]

    def _masks(self, slots: list[ParamSlot], moments: Sequence[torch.Tensor | None]) -> dict[int, torch.Tensor]:
        """Take masks against first moments, which may be missing where they are zero; give them by place."""
        masks = [self._scratch.like("mask", slot, torch.bool) for slot in slots]
        columns = {
            "mask": masks,
            "grad": [slot.grad for slot in slots],
            "exp_avg": [
                torch.zeros_like(slot.grad) if moment is None else moment
                for slot, moment in zip(slots, moments, strict=True)
            ],
        }
        self._passes(_write_mask, slots, columns, flags=("strict_mask",))
        return {slot.index: mask for slot, mask in zip(slots, masks, strict=True)}

    def _after(self, slots: list[ParamSlot], pending: list[Pending], before: list[Any]) -> Observed:
        masks = {slot.index: mask for slot, mask in zip(slots, before, strict=True) if mask is not None}
        moments = {slot.index: self._moment(slot) for slot in slots if slot.group["mask"] != "none"}
        late = [slot for slot in slots if slot.group["mask"] == "synchronous"]
        if late:
            masks |= self._masks(late, [moments[slot.index] for slot in late])
        changes = {slot.index: change for slot, change in zip(slots, pending, strict=True)}
        reported: dict[int, Tensors] = {}
        masked = [slot for slot in slots if slot.index in masks]
        if masked:
            of = [changes[slot.index] for slot in masked]
            columns = {
                "value": [change.target for change in of],
                "old": [change.old for change in of],
                "mask": [masks[slot.index] for slot in masked],
            }
            totals, sizes = self._passes(_mask_sums, masked, columns), sizes_of(masked)
            says = self._strengths(masked, totals, sizes)
            scalars = {"factor": says["rate_multiplier"], "decay": column_of([change.decay for change in of], sizes)}
            self._passes(_write_masked, masked, columns, scalars, writes=("value",))
            reported = {
                slot.index: {name: column[row] for name, column in says.items()} for row, slot in enumerate(masked)
            }
        for slot in slots:
            if slot.index not in masks:
                change = changes[slot.index]
                if change.decays:
                    change.write(change.target.to(change.old.dtype))
                one = torch.ones((), device=change.old.device, dtype=change.old.dtype)
                reported[slot.index] = dict.fromkeys(("keep_rate", "alpha", "rate_multiplier"), one)
        return Observed(reported=[reported[slot.index] for slot in slots])

    def _strengths(self, slots: list[ParamSlot], totals: Tensors, sizes: torch.Tensor) -> Tensors:
        """Give what :func:`~waddington.optim.masking.strength` says of each slot under its group's settings."""
        found: dict[str, torch.Tensor] = {}
        for _, rows in alike(slots):
            part = {name: column[rows] for name, column in totals.items()}
            for name, value in strength(part, sizes[rows].to(part["kept"]), slots[rows[0]].group).items():
                found.setdefault(name, torch.empty_like(totals["kept"]))[rows] = value
        return found

    def _moment(self, slot: ParamSlot) -> torch.Tensor:
        exp_avg = self._first_moment(slot)
        if exp_avg is None:
            raise UnsupportedError(
                f"cannot mask the updates of {type(self.innermost).__name__}: a mask compares the gradient with a first"
                f" moment, and its state holds {self._held(slot.param)}; accepted are optimizers that keep exp_avg or"
                " momentum_buffer (for SGD, momentum above 0)"
            )
        return exp_avg

    def _first_moment(self, slot: ParamSlot) -> torch.Tensor | None:
        state = self.state.get(slot.param, {})
        for name in ("exp_avg", "momentum_buffer"):
            if isinstance(state.get(name), torch.Tensor):
                return local_real(state[name])
        return None


def _write_mask(mask: torch.Tensor, grad: torch.Tensor, exp_avg: torch.Tensor, *, strict_mask: bool) -> Tensors:
    mask.copy_(aligned(grad, exp_avg, strict=strict_mask))
    return {}


def _mask_sums(value: torch.Tensor, old: torch.Tensor, mask: torch.Tensor) -> Tensors:
    """Sum what the strength of a mask follows from."""
    terms = mask_terms(old - value.to(old.dtype), mask.to(old.dtype))
    return {name: term.sum() for name, term in terms.items()}


def _write_masked(
    value: torch.Tensor, old: torch.Tensor, mask: torch.Tensor, factor: torch.Tensor, decay: torch.Tensor
) -> Tensors:
    """Write so many times the masked update, and the decay that no mask touches."""
    scaled = torch.lerp(old, value.to(old.dtype), factor.to(old.dtype))
    value.copy_(torch.where(mask, scaled, old) - old * decay)
    return {}
