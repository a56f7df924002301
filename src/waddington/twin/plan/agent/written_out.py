"""PPO whose update is written out: Stable-Baselines3's loss and its gradient as formulas, without a graph.

Everything but the update is Stable-Baselines3's: rollouts, advantages, the order of mini-batches, the schedule of the
learning rate, what is logged. The optimizer is the same one, too: it finds the gradients in ``grad`` and steps.

With advantages A normalized over the mini-batch of n transitions, r = exp(log π(a) - log π_old(a)), values V, returns R
and entropy H, the loss is::

    L = -mean(min(A r, A clip(r, 1 - ε, 1 + ε))) - c_H mean(H) + c_V mean((V - R)²)

and its gradient::

    ∂L/∂log π(a) = -A r / n, but 0 where clipping decides: r > 1 + ε with A > 0, or r < 1 - ε with A < 0
    ∂L/∂V        = 2 c_V (V - R) / n

Gaussian actions with mean μ and spread s (its logarithm a parameter, the same in all states), z = (a - μ) / s::

    ∂log π/∂μ = z / s        ∂log π/∂log s = z² - 1        ∂H/∂log s = 1

Discrete actions with logits l, p = softmax(l)::

    ∂log π(a)/∂l = 1[a] - p        ∂H/∂l = -p (log p + H)

Schulman, Wolski, Dhariwal, Radford and Klimov (2017), "Proximal Policy Optimization Algorithms", Eqs. 7 and 9.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.utils import explained_variance
from torch import nn

from waddington.twin.plan.agent._randomness import contained
from waddington.twin.plan.agent.towers import FlatGradients
from waddington.twin.plan.agent.written_out_policy import towers_of

__all__ = ["WrittenOutPPO", "gradients_of"]


class WrittenOutPPO(PPO):  # type: ignore[misc]
    """Stable-Baselines3's PPO with the update of this module, for policies and value nets of linear layers."""

    def train(self) -> None:
        """Update policy and value net with the rollout that was collected."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        clip_range = float(self.clip_range(self._current_progress_remaining))
        update = _Update(self, clip_range)
        seen: list[_Seen] = []
        stopped = False
        for _ in range(self.n_epochs):
            begun = len(seen)
            # One permutation an epoch, as Stable-Baselines3 draws it: the mini-batches are the same ones.
            rollout = next(self.rollout_buffer.get(None))
            for batch in zip(*(part.split(self.batch_size) for part in rollout), strict=True):
                seen.append(update.gradients(*batch))
                stopped = self.target_kl is not None and seen[-1].divergence() > 1.5 * self.target_kl
                if stopped:
                    break
                update.step()
            self._n_updates += 1
            if stopped:
                break
        self._log(seen, begun, clip_range)

    def _log(self, seen: list[_Seen], begun: int, clip_range: float) -> None:
        """Log what Stable-Baselines3 does; of the divergence that is the mean of the last epoch, from `begun` on."""
        policy_losses = [one.policy_loss() for one in seen]
        value_losses = [one.value_loss() for one in seen]
        entropies = [one.entropy.item() for one in seen]
        self.logger.record("train/entropy_loss", -np.mean(entropies))
        self.logger.record("train/policy_gradient_loss", np.mean(policy_losses))
        self.logger.record("train/value_loss", np.mean(value_losses))
        self.logger.record("train/approx_kl", np.mean([one.divergence() for one in seen[begun:]]))
        self.logger.record("train/clip_fraction", np.mean([one.clip_fraction(clip_range) for one in seen]))
        self.logger.record(
            "train/loss", policy_losses[-1] - self.ent_coef * entropies[-1] + self.vf_coef * value_losses[-1]
        )
        values, returns = self.rollout_buffer.values.flatten(), self.rollout_buffer.returns.flatten()
        self.logger.record("train/explained_variance", explained_variance(values, returns))
        if hasattr(self.policy, "log_std"):
            self.logger.record("train/std", torch.exp(self.policy.log_std).mean().item())
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/clip_range", clip_range)


def gradients_of(model: PPO, *, most: int = 32) -> torch.Tensor:
    """Give the gradients of single mini-batches of the last rollout, at the weights as they are.

    Parameters
    ----------
    model
        After an update. Neither it nor any generator is changed.
    most
        Most mini-batches.

    Returns
    -------
    torch.Tensor
        Shape (mini-batches, parameters), in the order of ``model.policy.parameters()``; before any clipping of norms.
    """
    update = _Update(model, float(model.clip_range(model._current_progress_remaining)))
    with contained():
        rollout = next(model.rollout_buffer.get(None))
    batches = zip(*(part.split(model.batch_size) for part in rollout), strict=True)
    return torch.stack([update.gradient(*batch) for batch in itertools.islice(batches, most)])


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What a mini-batch of n transitions showed, before its step."""

    surrogate: torch.Tensor
    """min(A r, A clip(r)), (n,)."""
    log_ratio: torch.Tensor
    """log r, (n,)."""
    error: torch.Tensor
    """V - R, (n,)."""
    entropy: torch.Tensor
    """Mean of H, 0-d."""

    def policy_loss(self) -> float:
        return -self.surrogate.mean().item()

    def value_loss(self) -> float:
        return self.error.square().mean().item()

    def clip_fraction(self, clip_range: float) -> float:
        return ((self.log_ratio.exp() - 1.0).abs() > clip_range).double().mean().item()

    def divergence(self) -> float:
        """Estimate the divergence of the policies before and after (Schulman's third estimator)."""
        return (self.log_ratio.exp() - 1.0 - self.log_ratio).mean().item()


class _Update:
    """The gradient of one mini-batch, and the step that follows it."""

    def __init__(self, model: PPO, clip_range: float) -> None:
        policy = model.policy
        self._optimizer, self._max_grad_norm = policy.optimizer, model.max_grad_norm
        self._clip, self._ent_coef, self._vf_coef = clip_range, model.ent_coef, model.vf_coef
        self._normalizes = model.normalize_advantage
        self._gradients = FlatGradients(list(policy.parameters()))
        self._dtype = self._gradients.flat.dtype
        self._actor, self._critic = towers_of(policy, self._gradients)
        self._log_std: nn.Parameter | None = getattr(policy, "log_std", None)

    @torch.no_grad()
    def gradients(
        self,
        observations: torch.Tensor,
        actions: torch.Tensor,
        old_values: torch.Tensor,
        old_log_prob: torch.Tensor,
        advantages: torch.Tensor,
        returns: torch.Tensor,
    ) -> _Seen:
        """Compute the gradients of a mini-batch."""
        n = len(returns)
        observations = observations.to(self._dtype)
        if self._normalizes and n > 1:
            deviation, mean = torch.std_mean(advantages)
            advantages = (advantages - mean).div_(deviation + 1e-8)
        out, values = self._actor.forward(observations), self._critic.forward(observations)
        policy = _Categorical(out, actions) if self._log_std is None else _Gaussian(out, actions, self._log_std)
        log_ratio = policy.log_prob.sub_(old_log_prob)
        ratio = torch.exp(log_ratio)
        free = advantages * ratio
        clipped = ratio.clamp_(1.0 - self._clip, 1.0 + self._clip).mul_(advantages)
        # Where they are equal the ratio is within the clip, or the advantage 0: the gradient is that of the free one.
        by_log_prob = torch.where(free > clipped, 0.0, free).div_(-n)
        self._actor.backward(policy.gradient(by_log_prob, self._ent_coef))
        if isinstance(policy, _Gaussian) and self._log_std is not None:
            self._gradients.of(self._log_std).copy_(policy.spread_gradient(by_log_prob, self._ent_coef))
        error = values.squeeze(1) - returns
        self._critic.backward((error * (2.0 * self._vf_coef / n)).unsqueeze(1))
        return _Seen(torch.minimum(free, clipped), log_ratio, error, policy.entropy)

    def gradient(self, *batch: torch.Tensor) -> torch.Tensor:
        """Give a copy of the gradients of a mini-batch as one vector."""
        self.gradients(*batch)
        return self._gradients.flat.clone()

    def step(self) -> None:
        """Clip the gradients, hand them to the optimizer, and let it step."""
        self._gradients.clip(self._max_grad_norm)
        self._gradients.attach()
        self._optimizer.step()


class _Gaussian:
    """Independent normal actions: `mean` (n, d), `actions` (n, d), `log_std` (d,)."""

    def __init__(self, mean: torch.Tensor, actions: torch.Tensor, log_std: torch.Tensor) -> None:
        d = mean.shape[1]
        self._over_std = torch.exp(-log_std)
        self._z = (actions - mean).mul_(self._over_std)
        self._squares = self._z.square()
        log_volume = log_std.sum() + 0.5 * d * math.log(2.0 * math.pi)
        self.log_prob = self._squares.sum(1).mul_(-0.5).sub_(log_volume)
        self.entropy = log_volume + 0.5 * d

    def spread_gradient(self, by_log_prob: torch.Tensor, ent_coef: float) -> torch.Tensor:
        """Give the gradient by `log_std`."""
        return by_log_prob @ self._squares - (by_log_prob.sum() + ent_coef)

    def gradient(self, by_log_prob: torch.Tensor, ent_coef: float) -> torch.Tensor:
        """Give the gradient by `mean`."""
        return self._z.mul_(self._over_std).mul_(by_log_prob.unsqueeze(1))


class _Categorical:
    """One of several actions: `logits` (n, k), `actions` (n, 1)."""

    def __init__(self, logits: torch.Tensor, actions: torch.Tensor) -> None:
        self._actions = actions.long()
        self._log_p = torch.log_softmax(logits, 1)
        self._p = self._log_p.exp()
        self._entropies = -(self._p * self._log_p).sum(1, keepdim=True)
        self.log_prob = self._log_p.gather(1, self._actions).squeeze(1)
        self.entropy = self._entropies.mean()

    def gradient(self, by_log_prob: torch.Tensor, ent_coef: float) -> torch.Tensor:
        """Give the gradient by `logits`."""
        by_log_prob = by_log_prob.unsqueeze(1)
        grad = -by_log_prob * self._p
        grad.scatter_add_(1, self._actions, by_log_prob)
        if ent_coef:
            grad += self._p * (self._log_p + self._entropies) * (ent_coef / len(grad))
        return grad
