"""Stable-Baselines3 builds the optimizers from policy_kwargs and overwrites their rate before every update."""

from __future__ import annotations

import pytest

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO

from waddington.optim import registry


@pytest.mark.parametrize("name", ["ASGDAdam", "ASGDAMSGrad", "Padam"])
def test_ppo_trains_saves_and_loads(name, tmp_path):
    cls, kwargs = registry.resolve(name, lr=2e-3, eps=1e-5, **({} if name == "Padam" else {"switch_interval": 2}))
    lr = kwargs.pop("lr")
    agent = PPO(
        "MlpPolicy",
        "CartPole-v1",
        learning_rate=lambda left: lr * (1 + left) / 2,
        n_steps=64,
        batch_size=32,
        n_epochs=2,
        seed=0,
        device="cpu",
        policy_kwargs={"optimizer_class": cls, "optimizer_kwargs": kwargs},
    )
    agent.learn(192)
    optimizer = agent.policy.optimizer
    assert type(optimizer) is cls
    group, figures = optimizer.param_groups[0], optimizer.diagnostics()
    assert group["eps"] == 1e-5
    assert group["base_lr"] == lr
    assert group["lr"] == pytest.approx(lr / 2)
    rates = {group["lr"], kwargs.get("alpha_min", group["lr"]) * group["lr"] / lr}
    assert any(figures["base_rate"] == pytest.approx(rate) for rate in rates)
    agent.save(tmp_path / "agent.zip")
    loaded = PPO.load(tmp_path / "agent.zip", device="cpu")
    assert loaded.policy.optimizer.diagnostics() == figures
