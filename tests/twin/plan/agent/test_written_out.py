"""The written-out update is Stable-Baselines3's: same gradients, same parameters, same records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from torch import nn

from waddington.twin.plan.agent import AgentConfig, build_agent, train_agent
from waddington.twin.plan.agent.written_out import WrittenOutPPO
from waddington.twin.plan.env import CellTask, CellVecEnv, PaperTask

TINY = AgentConfig(net_arch=(16, 12), n_steps=12, batch_size=32, n_epochs=3, ent_coef=0.01)
PATHS = ("autograd", "written-out")


@pytest.fixture
def pushing() -> CellVecEnv:
    """Give eight cells of the paper's environment, whose actions are continuous."""
    cells = np.random.default_rng(0).standard_normal((20, 5))
    return CellVecEnv(PaperTask(cells=cells, max_steps=6, max_perturb=2), 8)


def in_float64(env: CellVecEnv, config: AgentConfig, **settings: Any) -> PPO:
    """Build an agent in float64 with a made-up rollout, the same for the same settings, whatever the update."""
    settings = {"optimizer": "Adam", "lr": 1e-3} | settings
    model = build_agent(env.spawn(env.num_envs), config=config, seed=3, **settings)
    model.policy.double()
    model.policy.extract_features = lambda obs, extractor=None: obs.double()
    rng, buffer = np.random.default_rng(1), model.rollout_buffer
    buffer.to_torch = lambda array, copy=True: torch.tensor(np.array(array), dtype=torch.float64)
    for name in ("observations", "values", "log_probs", "advantages", "returns", "actions"):
        array = getattr(buffer, name)
        array[:] = rng.standard_normal(array.shape)
    if hasattr(env.action_space, "n"):
        buffer.actions[:] = rng.integers(env.action_space.n, size=buffer.actions.shape)
    flat = (-1, buffer.observations.shape[-1])
    with torch.no_grad():
        _, log_prob, _ = model.policy.evaluate_actions(
            torch.tensor(buffer.observations.reshape(flat)).double(),
            torch.tensor(buffer.actions).flatten(0, 1).double().squeeze(-1)
            if hasattr(env.action_space, "n")
            else torch.tensor(buffer.actions).flatten(0, 1).double(),
        )
    # Old policies that differ, so that some ratios are clipped, on either side, from the first mini-batch on.
    noise = 0.2 * rng.standard_normal(buffer.log_probs.shape)
    buffer.log_probs[:] = log_prob.numpy().reshape(buffer.log_probs.shape) + noise
    buffer.full = True
    return model


def updated(model: PPO) -> np.ndarray:
    """Update once, under one seed; give all parameters."""
    np.random.seed(7)  # noqa: NPY002
    model.train()
    return torch.nn.utils.parameters_to_vector(model.policy.parameters()).detach().numpy().copy()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("space", ["continuous", "discrete"])
@pytest.mark.parametrize("optimizer", ["Adam", "SGD", "ASGDAdam", "Padam"])
def test_an_update_moves_the_parameters_as_stable_baselines_does(
    small: CellVecEnv, pushing: CellVecEnv, optimizer: str, space: str, activation: Any
) -> None:
    env = small if space == "discrete" else pushing
    models = [in_float64(env, replace(TINY, update=path, activation=activation), optimizer=optimizer) for path in PATHS]
    before = torch.nn.utils.parameters_to_vector(models[0].policy.parameters()).detach().numpy().copy()
    expected, found = map(updated, models)
    assert type(models[0]) is PPO
    assert type(models[1]) is WrittenOutPPO
    assert abs(expected - before).max() > 1e-4
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-8)
    logged = [model.logger.name_to_value for model in models]
    assert logged[0].keys() == logged[1].keys()
    assert 0.0 < logged[0]["train/clip_fraction"] < 1.0
    for name, value in logged[0].items():
        np.testing.assert_allclose(logged[1][name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_papers_nets_move_as_stable_baselines_moves_them(pushing: CellVecEnv) -> None:
    config = AgentConfig(net_arch=(256,) * 6, n_steps=16, batch_size=64, n_epochs=2)
    expected, found = (updated(in_float64(pushing, replace(config, update=path), lr=1e-4)) for path in PATHS)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-8)


def test_a_mini_batch_left_over_is_used_too(pushing: CellVecEnv) -> None:
    models = [in_float64(pushing, replace(TINY, update=path)) for path in PATHS]
    for model in models:
        model.batch_size = 40  # of 96
    expected, found = map(updated, models)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-8)


def test_passes_stop_at_the_same_divergence(pushing: CellVecEnv) -> None:
    config = replace(TINY, target_kl=0.02, n_epochs=20)
    models = [in_float64(pushing, replace(config, update=path), lr=1e-2) for path in PATHS]
    expected, found = map(updated, models)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-8)
    assert models[0]._n_updates == models[1]._n_updates < 20


@pytest.mark.parametrize("space", ["continuous", "discrete"])
def test_rollouts_are_those_of_stable_baselines(small: CellVecEnv, pushing: CellVecEnv, space: str) -> None:
    env = small if space == "discrete" else pushing
    seen = env.reset()
    found = []
    for path in PATHS:
        policy = build_agent(env, optimizer="Adam", lr=1e-3, seed=2, config=replace(TINY, update=path)).policy
        torch.manual_seed(11)
        with torch.no_grad():
            drawn, decided = policy(torch.tensor(seen)), policy(torch.tensor(seen), deterministic=True)
        found.append((*drawn, *decided))
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["Adam", "AMSGrad", "ASGDAMSGrad", "SGD"])
def test_trainings_stay_close_in_float32(task: Callable[..., CellTask], optimizer: str) -> None:
    config = AgentConfig(net_arch=(16,), n_steps=12, batch_size=64, n_epochs=2)
    vectors, records = [], []
    for path in PATHS:
        told: list[dict[str, float]] = []
        model = train_agent(
            CellVecEnv(task(), 16),
            optimizer=optimizer,
            lr=1e-3,
            total_timesteps=500,
            config=replace(config, update=path),
            progress=told.append,
        )
        vectors.append(torch.nn.utils.parameters_to_vector(model.policy.parameters()).detach().numpy())
        records.append(told)
    np.testing.assert_allclose(vectors[1], vectors[0], rtol=0.0, atol=2e-5)
    assert [record.keys() for record in records[1]] == [record.keys() for record in records[0]]
    assert records[1][-1]["mean_return"] == pytest.approx(records[0][-1]["mean_return"], abs=1e-3)


def test_values_of_a_policy_are_not_overwritten_by_its_next_step(pushing: CellVecEnv) -> None:
    policy = build_agent(pushing, optimizer="Adam", lr=1e-3, config=TINY).policy
    with torch.no_grad():
        _, values, _ = policy(torch.tensor(pushing.reset()))
        kept = values.clone()
        policy(torch.tensor(pushing.reset()) + 1.0)
    torch.testing.assert_close(values, kept, rtol=0.0, atol=0.0)


@pytest.mark.parametrize(("given", "fused"), [({}, True), ({"foreach": True}, None), ({"fused": False}, False)])
def test_torchs_optimizers_step_fused_unless_told_otherwise(small: CellVecEnv, given: Any, fused: Any) -> None:
    group = build_agent(small, optimizer="Adam", lr=1e-3, optimizer_kwargs=given, config=TINY).policy.optimizer
    assert group.param_groups[0]["fused"] is fused
    plain = build_agent(small, optimizer="Adam", lr=1e-3, config=replace(TINY, update="autograd")).policy.optimizer
    assert plain.param_groups[0]["fused"] is None
    assert all(isinstance(parameter, nn.Parameter) for parameter in plain.param_groups[0]["params"])
