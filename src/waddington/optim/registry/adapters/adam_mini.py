"""Adam-mini, built from parameters instead of a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytorch_optimizer
from torch import Tensor
from torch.optim.optimizer import ParamsT

__all__ = ["AdamMini"]


class AdamMini(pytorch_optimizer.AdamMini):  # type: ignore[misc]
    """Adam with one second moment for each block of parameters.

    The library takes a module and reads the block of a parameter off its name. Here names come from named parameters;
    a parameter without one is a single block. Options of a group hold for each of its parameters.

    Parameters
    ----------
    params
        Parameters, groups or named parameters.
    lr, betas, eps, weight_decay, maximize
        As for :class:`torch.optim.AdamW`; norms are not decayed.
    num_embeds, num_heads, num_query_groups
        Width of the embedding and numbers of heads, read only where names tell of queries and keys.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        num_embeds: int = 2048,
        num_heads: int = 32,
        num_query_groups: int | None = None,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            _Model(params),
            lr=lr,
            betas=betas,
            weight_decay=weight_decay,
            num_embeds=num_embeds,
            num_heads=num_heads,
            num_query_groups=num_query_groups,
            eps=eps,
            maximize=maximize,
        )

    def get_optimizer_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Give one group for each parameter that is not frozen, with the options of the group it came in."""
        groups = super().get_optimizer_groups(weight_decay)
        return [{**group, **self.model.options[group["name"]]} for group in groups]


class _Model:
    """What the library asks of a model, which is the names of its parameters."""

    def __init__(self, params: ParamsT) -> None:
        given: list[Any] = list(params)
        groups = given if given and isinstance(given[0], dict) else [{"params": given}]
        self.parameters: dict[str, Tensor] = {}
        self.options: dict[str, dict[str, Any]] = {}
        for group in groups:
            options = {key: value for key, value in group.items() if key not in ("params", "name")}
            slots = group["params"]
            for slot in [slots] if isinstance(slots, Tensor) else slots:
                name, parameter = slot if isinstance(slot, tuple) else (str(len(self.parameters)), slot)
                self.parameters[name], self.options[name] = parameter, options

    def named_parameters(self) -> Iterable[tuple[str, Tensor]]:
        return self.parameters.items()
