"""Wrappers that change the update: they see the parameters before and after the wrapped optimizer's step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch

from waddington.errors import UnsupportedError
from waddington.optim.engine.diagnostics import common_terms
from waddington.optim.engine.host import host_sync_is_free
from waddington.optim.engine.params import ParamSlot, compute_dtype, gradient_of, local_real, mask_nonfinite
from waddington.optim.engine.settings import NonfiniteUnmasked
from waddington.optim.moments import Number
from waddington.optim.rule import Tensors
from waddington.optim.wrappers.base import OptimizerWrapper, is_decoupled

__all__ = ["Observed", "Pending", "UpdateWrapper"]


class Observed(NamedTuple):
    """What a wrapper has to say of a step to those who record it, besides what all optimizers say.

    Attributes
    ----------
    sums
        Sums over the local part of each tensor; empty where there are none, or nobody records.
    reported
        Statistics of whole tensors, 0-d; empty likewise.
    ratios
        Figures that are the quotient of two of the sums.
    """

    sums: list[Tensors] = []  # noqa: RUF012  (never written to: a named tuple's default)
    reported: list[Tensors] = []  # noqa: RUF012
    ratios: Mapping[str, tuple[str, str]] = {}


@dataclass(slots=True)
class Pending:
    """What the wrapped optimizer did to one parameter, before the wrapper has its say.

    Attributes
    ----------
    target
        The local real part of the parameter; holds the new values.
    old
        Its values before the step, in the dtype of the computation.
    decay
        Share of the old values that is subtracted from whatever is written.
    """

    target: torch.Tensor
    old: torch.Tensor
    decay: Number = 0.0

    @property
    def update(self) -> torch.Tensor:
        """What was subtracted."""
        return self.old - self.target.to(self.old.dtype)

    @property
    def decays(self) -> bool:
        """Whether anything decays, or only the device knows."""
        return isinstance(self.decay, torch.Tensor) or self.decay != 0.0

    def write(self, new: torch.Tensor) -> None:
        """Set the parameter, decayed."""
        self.target.copy_(new - self.old * self.decay if self.decays else new)


class UpdateWrapper(OptimizerWrapper, ABC):
    """A wrapper that compares the parameters before and after the step, and writes something else.

    It holds a copy of the parameters for that, on a processor from one step to the next.

    Attributes
    ----------
    _sets_decay_aside
        Whether decay that the wrapped optimizer applies to the parameters themselves is no part of the update, and is
        applied by the wrapper as it stands.
    """

    _sets_decay_aside: ClassVar[bool] = False

    def __init__(
        self, optimizer: torch.optim.Optimizer, settings: dict[str, Any], *, nonfinite: NonfiniteUnmasked = "skip"
    ) -> None:
        inner: Any = optimizer
        while isinstance(inner, OptimizerWrapper):
            if not isinstance(inner, UpdateWrapper):
                raise UnsupportedError(
                    f"cannot put {type(self).__name__} around {type(inner).__name__}: that sets parameters to values of"
                    f" its own, which are no update; put {type(inner).__name__} around {type(self).__name__} instead"
                )
            inner = inner.optimizer
        super().__init__(optimizer, settings, nonfinite=nonfinite)

    def _before(self, slots: list[ParamSlot]) -> list[Any]:
        """Look at the state before the step."""
        return [None] * len(slots)

    @abstractmethod
    def _after(self, slots: list[ParamSlot], pending: list[Pending], before: list[Any]) -> Observed:
        """Write what the parameters are to be, and say what was seen of it."""

    def _around(self, slots: list[ParamSlot]) -> None:
        before = self._before(slots)
        pending = self._copies(slots)
        decays = self._take_decay() if self._sets_decay_aside else {}
        try:
            self._inner_step()
        finally:
            for index, decay in decays.items():
                self.param_groups[index]["weight_decay"] = decay
        self._model_state()
        self._settle_down(slots)
        for slot, change in zip(slots, pending, strict=True):
            if slot.group_index in decays and slot.group.get("nonfinite") != "mask":
                change.decay = self._decay_of(slot, decays[slot.group_index])
        try:
            observed = self._after(slots, pending, before)
        except UnsupportedError:
            for change in pending:
                change.target.copy_(change.old)
            raise
        for slot, change in zip(slots, pending, strict=True):
            if slot.group_index in decays and slot.group.get("nonfinite") == "mask":
                _, keep = mask_nonfinite(local_real(gradient_of(slot.param).to(compute_dtype(slot.param))))
                lost = change.old * self._decay_of(slot, decays[slot.group_index])
                slot.value.copy_(slot.value - torch.where(keep, lost, 0.0))
        self._observe(slots, pending, observed)

    def _copies(self, slots: Sequence[ParamSlot]) -> list[Pending]:
        """Copy the parameters, which are about to be stepped."""
        old = [self._scratch.like("old", slot, slot.grad.dtype) for slot in slots]
        torch._foreach_copy_(old, [slot.value for slot in slots])
        return [Pending(slot.value, copy) for slot, copy in zip(slots, old, strict=True)]

    def _decay_of(self, slot: ParamSlot, decay: float) -> Number:
        """Give what share of a parameter is lost to decay in this step; none where it was left out."""
        share = decay * self._decay_rate(slot.param, slot.group)
        if self._finite is not None:
            if host_sync_is_free(self._finite.device):
                share = share if bool(self._finite) else 0.0
            else:
                share = torch.where(self._finite, torch.as_tensor(share, device=self._finite.device), 0.0)
        if isinstance(share, torch.Tensor):
            return share.item() if host_sync_is_free(share.device) else share.to(slot.value.device)
        return share

    def _observe(self, slots: list[ParamSlot], pending: list[Pending], observed: Observed) -> None:
        """Keep the statistics of a step for those who record it."""
        if self._recording_on:
            own = observed.sums or [{} for _ in slots]
            sums = [
                {name: term.sum() for name, term in common_terms(change.update, slot.grad, change.old).items()} | row
                for slot, change, row in zip(slots, pending, own, strict=True)
            ]
            self._keep(slots, sums, observed.reported or [{} for _ in slots], self._finite, observed.ratios)

    def _take_decay(self) -> dict[int, float]:
        taken = {}
        for index, group in enumerate(self.param_groups):
            if group.get("weight_decay") and is_decoupled(self.innermost, group):
                taken[index], group["weight_decay"] = group["weight_decay"], 0.0
        return taken
