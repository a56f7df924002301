"""Lookahead: slow weights that follow those of any optimizer.

Zhang, Lucas, Hinton & Ba (2019), "Lookahead Optimizer: k steps forward, 1 step back", Algorithm 1: after every k steps
of the wrapped optimizer::

    φ ← φ + α (θ - φ);   θ ← φ

One of AMVT's baselines, and its companion. All of it is elementwise on local shards, so it is safe under FSDP2, where
the one of a popular collection is not.
"""

from __future__ import annotations

from typing import Any

import torch

from waddington._checks import check_count, check_in_range
from waddington.optim.engine.host import host_sync_is_free
from waddington.optim.engine.params import ParamSlot, compute_dtype, moves_at
from waddington.optim.engine.settings import NonfiniteUnmasked
from waddington.optim.rule import Settings, Tensors
from waddington.optim.wrappers.base import OptimizerWrapper

__all__ = ["Lookahead"]


class Lookahead(OptimizerWrapper):
    """Slow weights around any optimizer (Zhang et al., 2019).

    Parameters
    ----------
    optimizer
        What takes the fast steps.
    k
        Steps between two updates of the slow weights, from 1; the paper's default is 5 (or 6).
    alpha
        Share of the way that the slow weights go, in (0, 1]; the paper's default is 0.5. With 1 nothing changes.
    nonfinite
        See :class:`~.state.WrapperState`.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    UnsupportedError
        Around another Lookahead.

    Notes
    -----
    The slow weights start at the parameters of the first step, and steps at rate 0 do not count. Between updates the
    model has the fast weights; evaluate after a multiple of k steps, or with what :meth:`slow_weights` gives.
    """

    _own = ("k", "alpha")
    _of_the_model = ("k",)

    def __init__(
        self, optimizer: torch.optim.Optimizer, *, k: int = 5, alpha: float = 0.5, nonfinite: NonfiniteUnmasked = "skip"
    ) -> None:
        super().__init__(optimizer, {"k": k, "alpha": alpha}, nonfinite=nonfinite)

    def _check_own(self, settings: Settings) -> None:
        check_count("k", settings["k"], 1)
        check_in_range("alpha", settings["alpha"], 0.0, 1.0, open_low=True)

    def _buffer_names(self) -> tuple[str, ...]:
        return ("slow_param",)

    def _initial(self, param: torch.Tensor) -> torch.Tensor:
        return param.detach().to(compute_dtype(param), copy=True)

    def _entries(self) -> dict[str, float]:
        return super()._entries() | {"lookahead_steps": 0.0}

    def _around(self, slots: list[ParamSlot]) -> None:
        fresh = [slot for slot in slots if "slow_param" not in self.state.get(slot.param, {})]
        starts = [self._initial(slot.param) for slot in fresh]
        self._inner_step()
        for slot, start in zip(fresh, starts, strict=True):
            self.state[slot.param]["slow_param"] = start
        self._model_state()
        self._settle_down(slots)
        steps = self._model_state()["lookahead_steps"]
        # A step at rate 0 is none. The count is on the device, where skipped steps are known; so is the choice.
        moves = [moves_at(group["lr"], steps.device) for group in self.param_groups]
        taken = torch.stack(moves).any()
        if self._finite is not None:
            taken = taken & self._finite.to(steps.device)
        steps.add_(taken.to(steps.dtype))
        due = taken & (torch.remainder(steps, self.param_groups[0]["k"]) == 0.0)
        if host_sync_is_free(due.device) and not bool(due):
            return
        moving = [due & moves[slot.group_index] for slot in slots]
        alphas = torch.tensor([slot.group["alpha"] for slot in slots], dtype=steps.dtype, device=steps.device)
        self._passes(
            _caught_up,
            slots,
            {"value": [slot.value for slot in slots], "slow": [self._buffer(slot, "slow_param") for slot in slots]},
            {"now": torch.stack(moving).to(alphas), "alpha": alphas},
            writes=("value", "slow"),
        )

    def slow_weights(self) -> dict[torch.Tensor, Any]:
        """Give the slow weights by parameter; parameters that were never stepped are missing."""
        return {param: state["slow_param"] for param, state in self.state.items() if "slow_param" in state}


def _caught_up(value: torch.Tensor, slow: torch.Tensor, now: torch.Tensor, alpha: torch.Tensor) -> Tensors:
    """Move the slow weights, and the fast ones to them, where it is time."""
    caught_up = torch.where(now > 0.5, torch.lerp(slow, value.to(slow.dtype), alpha.to(slow.dtype)), slow)
    value.copy_(torch.where(now > 0.5, caught_up.to(value.dtype), value))
    slow.copy_(caught_up)
    return {}
