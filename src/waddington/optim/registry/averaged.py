"""Optimizers with averaged weights, under names of their own: a comparison by name needs no code."""

from __future__ import annotations

import torch
from torch.optim.optimizer import ParamsT

from waddington.optim.alignment import Alignment
from waddington.optim.asgd import ASGDAdam
from waddington.optim.engine.settings import Nonfinite, NonfiniteUnmasked
from waddington.optim.wrappers.averaged import Averaged, Since

__all__ = ["AveragedASGDAdam", "AveragedAdamW"]


class AveragedAdamW(Averaged):
    """torch's AdamW in an :class:`~waddington.optim.Averaged`: polynomial averaging, or an EMA with `ema_decay`.

    Parameters
    ----------
    params, lr, betas, eps, weight_decay
        As for :class:`torch.optim.AdamW`.
    eta, ema_decay, nonfinite
        As for :class:`~waddington.optim.Averaged`.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | torch.Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        eta: float = 1.0,
        ema_decay: float = 1.0,
        nonfinite: NonfiniteUnmasked = "skip",
    ) -> None:
        inner = torch.optim.AdamW(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        super().__init__(inner, eta=eta, ema_decay=ema_decay, nonfinite=nonfinite)


class AveragedASGDAdam(Averaged):
    """ASGDAdam with the noise clock, whose alarm begins the average anew, in an :class:`~waddington.optim.Averaged`.

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, alignment, tau, nonfinite
        As for :class:`~waddington.optim.ASGDAdam` with ``switch="alignment"``. A `tau` far above the number of steps
        leaves the rate at `lr`: then only the average is begun anew.
    eta, ema_decay, since
        As for :class:`~waddington.optim.Averaged`.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | torch.Tensor = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        alignment: Alignment = "clock",
        tau: float = 50.0,
        eta: float = 1.0,
        ema_decay: float = 1.0,
        since: Since = "noise",
        nonfinite: Nonfinite = "mask",
    ) -> None:
        inner = ASGDAdam(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            switch="alignment",
            alignment=alignment,
            tau=tau,
            nonfinite=nonfinite,
        )
        super().__init__(inner, eta=eta, ema_decay=ema_decay, since=since)
