"""Adam with 8-bit state whose rate may be a plain number."""

from __future__ import annotations

from typing import Any

import torch
import torchao.optim
from torch.optim.optimizer import ParamsT

__all__ = ["Adam8bit"]


class Adam8bit(torchao.optim.Adam8bit):  # type: ignore[misc]
    """Adam with its moments quantized to 8 bits, block by block.

    The library's refuses to step after somebody has set a group's ``lr`` to a number, as Stable-Baselines3 does before
    every update. This one makes it the tensor that is wanted.

    Parameters
    ----------
    params
        Parameters, groups or named parameters.
    lr, betas, eps, weight_decay
        As for :class:`torch.optim.Adam`: the decay is added to the gradient.
    block_size
        Elements that share one scale.
    bf16_stochastic_round
        Round updates of bfloat16 parameters at random, so that small ones are not lost.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        block_size: int = 256,
        bf16_stochastic_round: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            block_size=block_size,
            bf16_stochastic_round=bf16_stochastic_round,
        )
        self.register_step_pre_hook(_make_rates_tensors)


def _make_rates_tensors(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    for group in optimizer.param_groups:
        if not isinstance(group["lr"], torch.Tensor):
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float32)
