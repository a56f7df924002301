"""Schedule-Free AdamW, ready to step."""

from __future__ import annotations

import schedulefree
from torch.optim.optimizer import ParamsT

__all__ = ["ScheduleFreeAdamW"]


class ScheduleFreeAdamW(schedulefree.AdamWScheduleFree):  # type: ignore[misc]
    """AdamW that averages its iterates instead of lowering its rate.

    The library's refuses to step before ``train()`` is called, which loops written for other optimizers never do. This
    one is built in training mode. ``eval()`` puts the average into the parameters, ``train()`` the point where
    gradients are taken; whoever evaluates without them sees that point, which is usually a little worse.

    Parameters
    ----------
    params
        Parameters, groups or named parameters.
    lr, betas, eps, weight_decay
        As for :class:`torch.optim.AdamW`; the first beta is the share of the average in the point where gradients are
        taken.
    warmup_steps
        Steps of linear warm-up.
    r, weight_lr_power
        Weight of step t in the average is ``t**r * lr**weight_lr_power``, with the largest rate so far.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            warmup_steps=warmup_steps,
            r=r,
            weight_lr_power=weight_lr_power,
        )
        # Not by train(), which leaves an empty state behind for every parameter.
        for settings in (self.defaults, *self.param_groups):
            settings["train_mode"] = True
