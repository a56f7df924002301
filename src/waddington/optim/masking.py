"""AlphaAdam's masks with dynamic strength: which coordinates of an update are taken, and how much longer they are made.

Chang, Li and Yuan (2025), "AlphaAdam: Asynchronous Masked Optimization with Dynamic Alpha for Selective Updates"
(arXiv 2501.18094), Section 3.2 and Algorithm 1. With update u (to be subtracted), gradient g and first moment m::

    φ = 1[g ⊙ m_{t-1} ≥ 0]  asynchronous (Eq. 6; Algorithm 1 has >)
    φ = 1[g ⊙ m_t ≥ 0]      synchronous (Cautious Adam has >)
    α = ‖u‖² / ‖φ⊙u‖²       (Algorithm 1; Eq. 9 has its root)
    η̂ = η n / (‖φ‖₀ + 1)    (Algorithm 1; n coordinates in the tensor)
    θ -= η̂ α φ⊙u

α and η̂/η both make up for what the mask takes away, and Algorithm 1 applies both: with half of the coordinates masked
that is four times the step of each that remains. `compensation` chooses. Eq. 9's root restores ‖u‖ exactly.

The functions serve :class:`waddington.optim.AlphaAdam`; :class:`Masked` puts the same mask on any optimizer that has a
first moment.
"""

from __future__ import annotations

from typing import Any

import torch

from waddington._checks import check_choice, check_in_range
from waddington._errors import UnsupportedError
from waddington.optim._control import sum_terms
from waddington.optim._rule import Settings, Tensors
from waddington.optim._slots import Slot, local_real
from waddington.optim._state import settings_of
from waddington.optim._update import Observed, Pending, UpdateWrapper

__all__ = ["Masked", "aligned", "check_mask", "mask_terms", "strength"]

MASKS = ("asynchronous", "synchronous", "none")
COMPENSATIONS = ("full", "norm", "count", "none")


def check_mask(settings: Settings) -> None:
    """Check the settings of a mask.

    Raises
    ------
    ArgumentError
        Names the argument, its value and the range.
    """
    check_choice("mask", settings["mask"], MASKS)
    check_choice("strict_mask", settings["strict_mask"], (False, True))
    check_choice("compensation", settings["compensation"], COMPENSATIONS)
    check_choice("alpha_form", settings["alpha_form"], ("squared", "root"))
    check_in_range("alpha_max", settings["alpha_max"], 1.0)


def aligned(grad: torch.Tensor, exp_avg: torch.Tensor, *, strict: bool) -> torch.Tensor:
    """Mask of the coordinates in which gradient and momentum agree: 1, and elsewhere 0, in their dtype.

    Parameters
    ----------
    grad, exp_avg
        Gradient and first moment, of one shape.
    strict
        Leave out the coordinates in which one of them is zero (Algorithm 1), instead of taking them (Eq. 6).
    """
    # Not the product, which underflows to zero; and asked of what is left out, so that NaN is kept, and seen.
    agreement = grad * torch.sign(exp_avg)
    compare = torch.le if strict else torch.lt
    if torch.compiler.is_exporting():
        return 1.0 - compare(agreement, 0.0).to(agreement.dtype)
    return 1.0 - compare(agreement, 0.0, out=torch.empty_like(agreement))  # operations on booleans are slow


def mask_terms(update: torch.Tensor, mask: torch.Tensor) -> Tensors:
    """Give the terms, coordinate by coordinate, of the sums that :func:`strength` needs: ‖u‖², ‖φ⊙u‖², ‖φ‖₀.

    NaN of a masked coordinate stays, so that it is seen.
    """
    squares = update.square()
    return {"update_square": squares, "kept_square": squares * mask, "kept": mask}


def strength(totals: Tensors, size: torch.Tensor, settings: Settings) -> Tensors:
    """Give what the masked update is multiplied by, elementwise over tensors.

    Parameters
    ----------
    totals
        Sums of the terms of :func:`mask_terms` over whole tensors.
    size
        Their numbers of coordinates n.
    settings
        ``compensation``, ``alpha_form``, ``alpha_max``.

    Returns
    -------
    dict
        ``keep_rate`` ‖φ‖₀/n; ``alpha``, at most ``alpha_max``, and 1 where nothing was kept; ``rate_multiplier``, by
        which the rate of the kept coordinates is multiplied.
    """
    ratio = totals["update_square"] / totals["kept_square"]
    alpha = torch.clamp(ratio.sqrt() if settings["alpha_form"] == "root" else ratio, max=settings["alpha_max"])
    alpha = torch.where(totals["kept_square"] > 0.0, alpha, 1.0)
    multiplier = alpha if settings["compensation"] in ("full", "norm") else torch.ones_like(alpha)
    if settings["compensation"] in ("full", "count"):
        multiplier = multiplier * (size / (totals["kept"] + 1.0))
    return {"keep_rate": totals["kept"] / size.clamp_min(1.0), "alpha": alpha, "rate_multiplier": multiplier}


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
        See :class:`~waddington.optim._wrapper_state.WrapperState`.

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

    def _before(self, slots: list[Slot]) -> list[torch.Tensor | None]:
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

    def _after(self, slots: list[Slot], pending: list[Pending], before: list[Any]) -> Observed:
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

    def _mask_of(self, slot: Slot, taken: torch.Tensor | None) -> torch.Tensor:
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

    def _first_moment(self, slot: Slot) -> torch.Tensor | None:
        state = self.state.get(slot.param, {})
        for name in ("exp_avg", "momentum_buffer"):
            if isinstance(state.get(name), torch.Tensor):
                return local_real(state[name])
        return None
