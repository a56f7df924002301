"""Stable-Baselines3 builds the optimizers from policy_kwargs and overwrites their rate before every update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("stable_baselines3")

import torch
from stable_baselines3 import PPO, SAC

from optim.hosts.hosted import SWITCHED, Hosted, each_hosted
from waddington.optim import registry

LR = 1e-2


def agent(factory: Callable[..., Any], kwargs: dict[str, Any], rate: Any) -> PPO:
    return PPO(
        "MlpPolicy",
        "CartPole-v1",
        learning_rate=rate,
        n_steps=64,
        batch_size=32,
        n_epochs=2,
        seed=0,
        device="cpu",
        policy_kwargs={"optimizer_class": factory, "optimizer_kwargs": kwargs, "net_arch": [8]},
    )


def halving(left: float) -> float:
    return LR * (1 + left) / 2


@each_hosted
def test_ppo_trains_saves_and_loads(hosted: Hosted, tmp_path):
    trained = agent(hosted.factory, hosted.kwargs, halving)
    before = [param.detach().clone() for param in trained.policy.parameters()]
    trained.learn(192)
    optimizer = trained.policy.optimizer
    group, figures = optimizer.param_groups[0], optimizer.diagnostics()
    assert group["lr"] == pytest.approx(LR / 2)  # which was set before the last update
    assert group.get("base_lr", LR) == LR
    assert figures["skipped_steps"] == 0
    assert not all(torch.equal(a, b) for a, b in zip(before, trained.policy.parameters(), strict=True))
    trained.save(tmp_path / "agent.zip")
    loaded = PPO.load(tmp_path / "agent.zip", device="cpu")
    assert loaded.policy.optimizer.diagnostics() == figures
    assert type(loaded.policy.optimizer) is type(optimizer)
    loaded.set_env(trained.get_env())
    loaded.learn(64)


@each_hosted
def test_both_rates_of_a_switch_follow_the_schedule(hosted: Hosted):
    trained = agent(hosted.factory, hosted.kwargs, halving)
    trained.learn(192)
    group, figures = trained.policy.optimizer.param_groups[0], trained.policy.optimizer.diagnostics()
    low, high = group.get("alpha_min", LR) / 2, LR / 2
    assert low * (1 - 1e-9) <= figures["base_rate"] <= high * (1 + 1e-9)


@pytest.mark.parametrize("name", [name for name in registry.names() if registry.get(name).package == "waddington"])
def test_ppo_takes_every_registered_optimizer_of_ours(name):
    cls, kwargs = registry.resolve(name, lr=LR, ignore_unsupported=True, eps=1e-5)
    kwargs.pop("lr")
    trained = agent(cls, kwargs, LR)
    trained.learn(64)
    assert type(trained.policy.optimizer) is cls
    assert trained.policy.optimizer.param_groups[0]["lr"] == LR


def test_each_network_of_sac_has_its_own():
    trained = SAC(
        "MlpPolicy",
        "Pendulum-v1",
        learning_rate=LR,
        learning_starts=20,
        batch_size=16,
        seed=0,
        device="cpu",
        policy_kwargs={"optimizer_class": SWITCHED.factory, "optimizer_kwargs": SWITCHED.kwargs, "net_arch": [8]},
    )
    trained.learn(40)
    actor, critic = trained.actor.optimizer, trained.critic.optimizer
    assert type(actor) is type(critic) is SWITCHED.factory
    assert actor.diagnostics() != critic.diagnostics()
    assert all(optimizer.diagnostics()["skipped_steps"] == 0 for optimizer in (actor, critic))
