"""GaLore with its settings among its arguments and a state that can be saved."""

from __future__ import annotations

from typing import Any

import pytorch_optimizer
from pytorch_optimizer.optimizer.utils.galore import GaLoreProjector
from torch.optim.optimizer import ParamsT

from waddington._checks import check_in_range

__all__ = ["GaLore"]


class GaLore(pytorch_optimizer.GaLore):  # type: ignore[misc]
    """AdamW in a low-rank subspace of each matrix's gradient.

    The library reads the settings of the projection from parameter groups and keeps the projection as an object, which
    two optimizers share after ``load_state_dict`` and which ``torch.load`` refuses. Here they are arguments, and the
    state is made of tensors and numbers.

    Parameters
    ----------
    params
        Parameters, groups or named parameters. Matrices are projected, except in groups with ``rank=None``.
    lr, betas, eps, weight_decay, maximize
        As for :class:`torch.optim.AdamW`.
    rank
        Dimension of the subspace; a matrix with a shorter side keeps all of it.
    update_proj_gap
        Steps between two choices of the subspace.
    scale
        Factor on the update of projected matrices; 0.25 is the paper's.

    Raises
    ------
    ArgumentError
        When a setting of the projection is out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        rank: int | None = 128,
        update_proj_gap: int = 200,
        scale: float = 0.25,
        maximize: bool = False,
    ) -> None:
        if rank is not None:
            check_in_range("rank", rank, 1)
        check_in_range("update_proj_gap", update_proj_gap, 1)
        check_in_range("scale", scale, 0.0, open_low=True)
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            weight_decay=weight_decay,
            eps=eps,
            maximize=maximize,
            rank=rank,
            update_proj_gap=update_proj_gap,
            scale=scale,
            projection_type="std",
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; one with ``rank=None`` is not projected."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        if group["rank"] is None:  # the library projects wherever a group has a rank at all
            del group["rank"]

    def state_dict(self) -> dict[str, Any]:
        """Give the state, projections as their matrix and the step that chose it."""
        saved: dict[str, Any] = super().state_dict()
        saved["state"] = {
            key: {
                name: {"ortho_matrix": value.ortho_matrix, "last_svd_step": value.last_svd_step}
                if isinstance(value, GaLoreProjector)
                else value
                for name, value in state.items()
            }
            for key, state in saved["state"].items()
        }
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take a state over; its projections become this optimizer's own."""
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state.get(parameter, {})
                if "projector" in state:
                    kept, state["projector"] = state["projector"], _projector(group)
                    state["projector"].ortho_matrix = kept["ortho_matrix"]
                    state["projector"].last_svd_step = kept["last_svd_step"]


def _projector(group: dict[str, Any]) -> Any:
    settings = ("rank", "update_proj_gap", "scale", "projection_type")
    return GaLoreProjector(**{name: group[name] for name in settings})
