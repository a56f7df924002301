"""PPO in the cell environment, mini-batch by mini-batch, as a problem: Stable-Baselines3 acts, whoever asks trains."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBufferSamples
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import set_random_seed
from torch import Tensor, nn
from torch.nn import functional as F

from waddington.twin.data.conditions import CONTROL
from waddington.twin.dynamics import build_dynamics, fit_flow
from waddington.twin.embed.scaling import Standardization
from waddington.twin.objectives.screen import simulated_screen
from waddington.twin.plan.agent import AgentConfig, build_agent, paper_config, rollout
from waddington.twin.plan.agent._randomness import contained
from waddington.twin.plan.env import CellTask, CellVecEnv
from waddington.twin.preprocess.components import leading_axes
from waddington.twin.respond.latent import LatentResponse

__all__ = ["cell_tasks", "collect", "ppo_loss", "ppo_problem"]

_DIMENSIONS = 8
_EVALUATION_SEED = 0
_EPISODES = 256


def ppo_problem(
    seed: int, *, config: Literal["small", "paper"], cells: int, n_envs: int, batch_size: int | None, ent_coef: float
) -> dict[str, Any]:
    """Make the problem.

    Parameters
    ----------
    seed
        Of the initial nets.
    config, cells, n_envs, batch_size, ent_coef
        As in :func:`waddington.twin.objectives.twin_ppo`.

    Returns
    -------
    ``model``, ``batch``, ``loss``, ``evaluate``, ``clip``, ``state``, ``load``.
    """
    tasks = cell_tasks(cells)
    horizon = tasks["train"].max_steps
    if config == "paper":
        chosen = dataclasses.replace(paper_config(), n_steps=_whole_episodes(2048 / n_envs, horizon))
    else:
        chosen = AgentConfig(net_arch=(64,), n_steps=4 * horizon)
    # The bench trains the policy, by autograd; its actions are those of Stable-Baselines3's own, too.
    chosen = dataclasses.replace(
        chosen, batch_size=batch_size or chosen.batch_size, ent_coef=ent_coef, update="autograd"
    )
    with contained():
        # The agent's own optimizer is never stepped: the model's is the benchmark's.
        agent = build_agent(CellVecEnv(tasks["train"], n_envs), optimizer="SGD", lr=1e-3, seed=seed, config=chosen)
    minibatches = _Minibatches(agent)
    return {
        "model": agent.policy,
        "batch": minibatches.draw,
        "loss": functools.partial(
            ppo_loss, clip_range=chosen.clip_range, ent_coef=chosen.ent_coef, vf_coef=chosen.vf_coef
        ),
        "evaluate": functools.partial(_evaluate, tasks=tasks),
        "clip": chosen.max_grad_norm,
        "state": minibatches.state,
        "load": minibatches.load,
    }


def ppo_loss(
    model: nn.Module, batch: RolloutBufferSamples, *, clip_range: float, ent_coef: float, vf_coef: float
) -> Tensor:
    """Give PPO's loss: clipped surrogate, value error and entropy bonus, as Stable-Baselines3 weighs them.

    Parameters
    ----------
    model
        A policy of Stable-Baselines3.
    batch
        Transitions, with the advantages and the log probabilities that they had when they were collected.
    clip_range, ent_coef, vf_coef
        As in :class:`~waddington.twin.plan.agent.AgentConfig`.

    References
    ----------
    Schulman et al., *Proximal policy optimization algorithms*, 2017, eq. 7 and 9.
    """
    policy = cast(ActorCriticPolicy, model)
    is_discrete = isinstance(policy.action_space, spaces.Discrete)
    actions = batch.actions.long().flatten() if is_discrete else batch.actions
    values, log_prob, entropy = policy.evaluate_actions(batch.observations, actions)
    policy.action_dist.distribution = None  # it holds the graph, and a policy that holds one cannot be copied
    advantages = (batch.advantages - batch.advantages.mean()) / (batch.advantages.std() + 1e-8)
    ratio = torch.exp(log_prob - batch.old_log_prob)
    clipped = torch.clamp(ratio, 1.0 - clip_range, 1.0 + clip_range)
    surrogate = torch.min(advantages * ratio, advantages * clipped).mean()
    value_error = F.mse_loss(batch.returns, values.flatten())
    loss: Tensor = -surrogate - ent_coef * entropy.mean() + vf_coef * value_error
    return loss


def collect(agent: PPO, seed: int) -> RolloutBufferSamples:
    """Let an agent act for one rollout of new episodes; give its transitions, advantages and returns.

    Parameters
    ----------
    agent
        Its policy is not changed; its environment is reset.
    seed
        Of cells, disturbances and actions, and of the order of the transitions. Global generators are given back as
        they were found.
    """
    with contained():
        set_random_seed(seed % 2**32)
        agent.env.seed(seed)
        _, callback = agent._setup_learn(agent.n_steps * agent.n_envs)
        agent.collect_rollouts(agent.env, callback, agent.rollout_buffer, n_rollout_steps=agent.n_steps)
        agent.policy.set_training_mode(True)
        return next(agent.rollout_buffer.get())


@dataclass
class _Minibatches:
    """Deals a rollout out, pass after pass, each in an order of its own; then the next one is collected."""

    agent: PPO
    rollout: RolloutBufferSamples | None = None
    order: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def draw(self, generator: torch.Generator, step: int) -> RolloutBufferSamples:
        """Give the mini-batch of a step; steps must be asked for in order."""
        agent = self.agent
        size = agent.n_steps * agent.n_envs
        n_batches = size // agent.batch_size
        if self.rollout is None or step % (n_batches * agent.n_epochs) == 0:
            self.rollout = collect(agent, int(torch.randint(2**62, (), generator=generator)))
            self.order = torch.empty(0, dtype=torch.int64)
        at = step % n_batches * agent.batch_size
        if at == 0 or not len(self.order):
            self.order = torch.randperm(size, generator=generator)
        chosen = self.order[at : at + agent.batch_size]
        return RolloutBufferSamples(*(part[chosen] for part in self.rollout))

    def state(self) -> dict[str, Any]:
        """Give the present rollout and the order of the present pass."""
        return {} if self.rollout is None else {"rollout": list(self.rollout), "order": self.order}

    def load(self, state: dict[str, Any]) -> None:
        """Bring back what `state` gave."""
        self.rollout = RolloutBufferSamples(*state["rollout"]) if "rollout" in state else None
        self.order = state.get("order", self.order)


def _evaluate(model: nn.Module, split: str, *, tasks: dict[str, CellTask]) -> dict[str, float]:
    """Give the mean return of deterministic episodes; every policy meets the same cells, goals and disturbances."""
    found = rollout(
        cast(ActorCriticPolicy, model), CellVecEnv(tasks[split], 1), episodes=_EPISODES, seed=_EVALUATION_SEED
    )
    mean = float(found.returns.mean())
    return {"loss": -mean, "return": mean}


@functools.cache
def cell_tasks(cells: int) -> dict[str, CellTask]:
    """Learn the environment from training cells, once for each process; give its task for each part of the cells.

    States are the leading components of the three modalities side by side, as the encoder's embeddings begin there.
    Goals are the effects of all conditions on training cells; starts are the part's unperturbed cells.
    """
    screen = simulated_screen(cells)
    train = screen.rows["train"]
    places = [x / np.sqrt(np.mean(x[train] ** 2)) for x in screen.representations.values()]
    together = np.concatenate(places, axis=1, dtype=np.float32)
    joint = together @ leading_axes(together[train], _DIMENSIONS, centred=True).astype(np.float32)
    latent = Standardization.fit(joint, screen.train).apply(joint)
    response = LatentResponse.fit(latent[train], screen.conditions[train])
    dynamics = build_dynamics(response, flow=fit_flow(latent[train], screen.pseudotime[train], seed=0))
    labels = screen.conditions[train]
    means = {label: latent[train][labels == label].mean(axis=0) for label in np.unique(labels).tolist()}
    control = means.pop(CONTROL)
    goals = np.stack([mean - control for mean in means.values()])
    return {
        part: CellTask(
            dynamics=dynamics,
            starts=latent[rows[screen.conditions[rows] == CONTROL]],
            goals=goals,
            relative_goals=True,
        )
        for part, rows in screen.rows.items()
    }


def _whole_episodes(steps: float, horizon: int) -> int:
    return horizon * max(1, math.ceil(steps / horizon))
