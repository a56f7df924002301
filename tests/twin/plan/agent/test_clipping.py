"""What clipping the gradient's norm at every step, as PPO does, leaves of the switches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from waddington.twin.plan.agent import AgentConfig, train_agent
from waddington.twin.plan.env import CellVecEnv, PaperTask


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, float]]:
    """Train with each rule on gradients that are always clipped; give what the optimizers say of themselves."""
    cells = np.random.default_rng(0).standard_normal((40, 6))
    config = AgentConfig(net_arch=(16,), n_steps=32, batch_size=32, n_epochs=10, max_grad_norm=1e-3)

    def train(switch: str, **more: str) -> Any:
        env = CellVecEnv(PaperTask(cells=cells, max_steps=16), 4, seed=0)
        arguments = {"switch": switch, "alpha_min": 1e-5, **more}
        return train_agent(
            env, optimizer="ASGDAdam", lr=0.02, optimizer_kwargs=arguments, total_timesteps=1024, config=config
        )

    trained = {rule: train(rule) for rule in ("relative", "linear")}
    trained |= {reading: train("alignment", alignment=reading) for reading in ("dual", "clock")}
    return {rule: agent.policy.optimizer.diagnostics() for rule, agent in trained.items()}


def test_rules_of_the_mean_squared_gradient_are_frozen(told: dict[str, dict[str, float]]) -> None:
    assert told["relative"]["large_rate_fraction"] == 1.0
    assert told["relative"]["mean_rate"] == pytest.approx(0.02)
    assert told["linear"]["mean_rate"] == pytest.approx(0.01, rel=0.1)  # the middle, after the first look


def test_the_cosine_still_switches(told: dict[str, dict[str, float]]) -> None:
    assert 0.05 < told["dual"]["large_rate_fraction"] < 0.95
    assert told["clock"]["noise_steps"] > 0.0
    assert 1e-5 < told["clock"]["mean_rate"] < 0.99 * 0.02
