"""The policy of Stable-Baselines3 whose rollouts are written out: matrix products and one draw for all cells."""

from __future__ import annotations

import math
from typing import cast

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from waddington.twin.plan.agent.towers import Activation, FlatGradients, Tower

__all__ = ["WrittenOutPolicy", "towers_of"]


def towers_of(policy: ActorCriticPolicy, gradients: FlatGradients | None = None) -> tuple[Tower, Tower]:
    """Give the policy net and the value net of a policy, each with its last layer.

    Parameters
    ----------
    policy
        Of linear layers with one activation between them, nothing shared.
    gradients
        Where the towers write gradients; None where they only run forwards.
    """

    def tower(body: nn.Sequential, head: nn.Linear) -> Tower:
        activation: Activation = "tanh" if isinstance(body[1], nn.Tanh) else "relu"
        return Tower([*cast(list[nn.Linear], list(body)[::2]), head], activation, gradients)

    nets = policy.mlp_extractor
    return tower(nets.policy_net, policy.action_net), tower(nets.value_net, policy.value_net)


class WrittenOutPolicy(ActorCriticPolicy):  # type: ignore[misc]
    """Stable-Baselines3's policy; what it does at each step of a rollout is written out.

    Under one seed of torch's generator it draws the actions that Stable-Baselines3's draws, to rounding.
    """

    def forward(self, obs: torch.Tensor, deterministic: bool = False) -> tuple[torch.Tensor, ...]:
        """Give actions, values (n, 1) and log-probabilities (n,) for observations (n, features)."""
        actor, critic = self._towers
        log_std: nn.Parameter | None = getattr(self, "log_std", None)
        obs = obs.to(self.action_net.weight.dtype)
        out, values = actor.forward(obs), critic.forward(obs).clone()
        if log_std is None:
            log_p = torch.log_softmax(out, 1)
            actions = out.argmax(1) if deterministic else torch.multinomial(log_p.exp(), 1).squeeze(1)
            return actions, values, log_p.gather(1, actions.unsqueeze(1)).squeeze(1)
        noise = torch.zeros_like(out) if deterministic else torch.empty_like(out).normal_()
        log_volume = log_std.sum() + 0.5 * out.shape[1] * math.log(2.0 * math.pi)
        log_prob = noise.square().sum(1).mul_(-0.5).sub_(log_volume)
        return noise.mul_(log_std.exp()).add_(out), values, log_prob

    @property
    def _towers(self) -> tuple[Tower, Tower]:
        """The nets; made when they are first asked for, as Stable-Baselines3 builds its layers in parts."""
        found: tuple[Tower, Tower] | None = self.__dict__.get("_made_towers")
        if found is None:
            found = self.__dict__["_made_towers"] = towers_of(self)
        return found
