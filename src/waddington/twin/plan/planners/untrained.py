"""The planner that has a policy net and never trained it: what a training that went nowhere looks like."""

from __future__ import annotations

from waddington.twin.plan.agent._randomness import contained
from waddington.twin.plan.agent.config import AgentConfig
from waddington.twin.plan.agent.train import build_agent
from waddington.twin.plan.env import CellVecEnv
from waddington.twin.plan.planners.base import Planner
from waddington.twin.plan.policy import Act, as_act

__all__ = ["Untrained", "UntrainedStochastic"]


class Untrained(Planner):
    """Acts by a net at its first weights, those that a training under the same seed begins with; most likely action."""

    name = "untrained policy"
    has_net = True

    def policy(self, env: CellVecEnv, *, seed: int = 0, config: AgentConfig | None = None) -> Act:  # type: ignore[override]
        """Give the policy of an agent that was built and not trained; `config` says how large its nets are."""
        with contained():
            agent = build_agent(env, optimizer="SGD", lr=1.0, seed=seed, config=config)
        return as_act(agent, deterministic=not self.draws)


class UntrainedStochastic(Untrained):
    """The same net, with actions drawn as in training."""

    name = "untrained policy, stochastic"
    draws = True
