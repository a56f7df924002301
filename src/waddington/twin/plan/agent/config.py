"""Settings of a PPO agent, and the paper's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from waddington._checks import check_choice, check_in_range
from waddington.errors import ArgumentError

__all__ = ["ACTIVATIONS", "UPDATES", "AgentConfig", "Update", "paper_config"]

ACTIVATIONS = ("tanh", "relu")
Update = Literal["written-out", "autograd"]
"""How the gradient of PPO's loss is computed."""
UPDATES = get_args(Update)
"""All values of `update`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentConfig:
    """How PPO learns. Nothing about the optimizer: that is given beside it, so that all are trained alike.

    The defaults are meant for the held-out environment with 64 cells at once: short episodes, whole ones in a rollout,
    one wide layer, few and large mini-batches. They gave the most reward for a second of one core among those tried.

    Raises
    ------
    ArgumentError
        When a number lies outside its range.
    """

    net_arch: tuple[int, ...] = (128,)
    """Hidden layers of the policy net and, apart from it, of the value net."""
    activation: Literal["tanh", "relu"] = "tanh"
    """`tanh` or `relu`."""
    n_steps: int = 24
    """Steps of each cell in a rollout; a multiple of the episode's length keeps episodes whole."""
    batch_size: int = 256
    """Most transitions in a mini-batch; fewer where that cuts the rollout into equal parts."""
    n_epochs: int = 5
    """Passes over each rollout."""
    gamma: float = 0.99
    """Discount of a step."""
    gae_lambda: float = 0.95
    """Bias against variance of the advantage (Schulman et al. 2016)."""
    clip_range: float = 0.2
    """Clip of the probability ratio."""
    ent_coef: float = 0.0
    """Weight of the entropy bonus."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Clip of the gradient's norm."""
    log_std_init: float = 0.0
    """Logarithm of the initial spread of continuous actions."""
    target_kl: float | None = None
    """Divergence at which the passes over a rollout stop early; None never does."""
    update: Update = "written-out"
    """`written-out`: gradients by formulas and matrix products, and torch's fused optimizers where it has them; equal
    to `autograd`, Stable-Baselines3's own update, to rounding, in less time
    (:mod:`~waddington.twin.plan.agent.written_out`)."""

    def __post_init__(self) -> None:
        if not self.net_arch or min(self.net_arch) < 1:
            raise ArgumentError(
                f"cannot use net_arch={self.net_arch!r}: accepted is at least one layer of at least 1 unit"
            )
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("update", self.update, UPDATES)
        check_in_range("n_steps", self.n_steps, 1)
        check_in_range("batch_size", self.batch_size, 2)
        check_in_range("n_epochs", self.n_epochs, 1)
        for name in ("gamma", "gae_lambda"):
            check_in_range(name, getattr(self, name), 0.0, 1.0)
        check_in_range("clip_range", self.clip_range, 0.0, open_low=True)
        for name in ("ent_coef", "vf_coef"):
            check_in_range(name, getattr(self, name), 0.0)
        check_in_range("max_grad_norm", self.max_grad_norm, 0.0, open_low=True)
        if self.target_kl is not None:
            check_in_range("target_kl", self.target_kl, 0.0, open_low=True)


def paper_config(*, net_arch: tuple[int, ...] = (256,) * 6) -> AgentConfig:
    """Give the settings of the paper's published code: six tanh layers of 256, and PPO's defaults of 2048/64/10.

    There `n_steps` is for one cell; with k cells at once use ``dataclasses.replace(config, n_steps=2048 // k)``.
    """
    return AgentConfig(net_arch=net_arch, n_steps=2048, batch_size=64, n_epochs=10)
