"""AlphaAdam's mask (:mod:`waddington.optim.masking`) on the updates of any optimizer that has a first moment."""

from __future__ import annotations

from typing import Any

import torch

from waddington._errors import UnsupportedError
from waddington.optim.engine.control import sum_terms
from waddington.optim.engine.params import ParamSlot, local_real
from waddington.optim.engine.state import settings_of
from waddington.optim.masking import aligned, check_mask, mask_terms, strength
from waddington.optim.rule import Settings, Tensors
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

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        mask: str = "asynchronous",
        strict_mask: bool = False,
        compensation: str = "full",
        alpha_form: str = "squared",
        alpha_max: float = 2.0,
        nonfinite: str = "skip",
    ) -> None:
        super().__init__(optimizer, settings_of(locals(), "optimizer", "nonfinite"), nonfinite=nonfinite)

    def _check_own(self, settings: Settings) -> None:
        check_mask(settings)

    def _before(self, slots: list[ParamSlot]) -> list[torch.Tensor | None]:
        """Take the asynchronous masks while the state still holds the moments of the step before."""
        masks: list[torch.Tensor | None] = []
        for slot in slots:
            if slot.group["mask"] != "asynchronous":
                masks.append(None)
                continue
            exp_avg = self._first_moment(slot)
            before = torch.zeros_like(slot.grad) if exp_avg is None else exp_avg
            masks.append(aligned(slot.grad, before, strict=slot.group["strict_mask"]))
        return masks

    def _after(self, slots: list[ParamSlot], pending: list[Pending], before: list[Any]) -> Observed:
        masks = [self._mask_of(slot, taken) for slot, taken in zip(slots, before, strict=True)]
        found = (mask_terms(change.update, mask) for change, mask in zip(pending, masks, strict=True))
        terms_of = {slot.index: row for slot, row in zip(slots, found, strict=True)}
        totals = sum_terms(slots, lambda slot: terms_of[slot.index])
        reported: list[Tensors] = []
        for row, (slot, change, mask) in enumerate(zip(slots, pending, masks, strict=True)):
            size = torch.full_like(totals["kept"][row], float(slot.size))
            says = strength({name: column[row] for name, column in totals.items()}, size, slot.group)
            if slot.group["mask"] == "none":
                says["rate_multiplier"] = torch.ones_like(says["rate_multiplier"])
            factor = says["rate_multiplier"].to(device=slot.value.device, dtype=slot.value.dtype)
            change.write(torch.where(mask > 0.0, change.scaled(factor), change.old))
            reported.append(says)
        return Observed(reported=reported)

    def _mask_of(self, slot: ParamSlot, taken: torch.Tensor | None) -> torch.Tensor:
        if slot.group["mask"] == "none":
            return torch.ones_like(slot.grad)
        exp_avg = self._first_moment(slot)
        if exp_avg is None:
            raise UnsupportedError(
                f"cannot mask the updates of {type(self.innermost).__name__}: a mask compares the gradient with a first"
                f" moment, and its state holds {self._held(slot.param)}; accepted are optimizers that keep exp_avg or"
                " momentum_buffer (for SGD, momentum above 0)"
            )
        return aligned(slot.grad, exp_avg, strict=slot.group["strict_mask"]) if taken is None else taken

    def _first_moment(self, slot: ParamSlot) -> torch.Tensor | None:
        state = self.state.get(slot.param, {})
        for name in ("exp_avg", "momentum_buffer"):
            if isinstance(state.get(name), torch.Tensor):
                return local_real(state[name])
        return None
