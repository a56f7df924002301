"""Training: it learns, optimizers are treated alike, and a killed training ends as an undisturbed one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from waddington.errors import ArgumentError, DataError, OutputError, UnknownNameError
from waddington.optim import registry
from waddington.twin.plan.agent import (
    AgentConfig,
    build_agent,
    load_agent,
    paper_config,
    rollout,
    train_agent,
)
from waddington.twin.plan.env import CellTask, CellVecEnv, PaperTask
from waddington.twin.plan.planners import random_policy

TINY = AgentConfig(net_arch=(8,), n_steps=8, batch_size=32, n_epochs=2)


def parameters(model: Any) -> np.ndarray:
    """Give all parameters of the nets as one vector."""
    return torch.nn.utils.parameters_to_vector(model.policy.parameters()).detach().numpy().copy()


@pytest.mark.parametrize("gains", [True, False])
def test_beats_acting_at_random_and_doing_nothing(task: Callable[..., CellTask], gains: bool) -> None:
    env = CellVecEnv(task(observe_gains=gains), 64)
    model = train_agent(env, optimizer="Adam", lr=1e-3, total_timesteps=8_000, seed=0)
    learned = rollout(model, env, episodes=500, seed=1).returns.mean()
    at_random = rollout(random_policy(env.task), env, episodes=500, seed=1).returns.mean()
    assert at_random < 0.0
    assert learned > (0.45 if gains else 0.1)


@pytest.mark.parametrize(
    "name", [name for name in registry.names() if registry.get(name).package in ("torch", "waddington")]
)
def test_every_optimizer_trains_with_the_same_eps(small: CellVecEnv, name: str) -> None:
    model = train_agent(small, optimizer=name, lr=1e-3, total_timesteps=128, config=TINY)
    group = model.policy.optimizer.param_groups[0]
    assert type(model.policy.optimizer) is registry.get(name).cls
    assert group["lr"] == 1e-3
    if "eps" not in registry.get(name).arguments:
        assert group.get("eps", 0.0) != 1e-5
    else:
        assert group["eps"] == 1e-5
    assert np.isfinite(parameters(model)).all()
    given = build_agent(small, optimizer=name, lr=1e-3, eps=1e-8, config=TINY).policy.optimizer.param_groups[0]
    assert given.get("eps", 1e-8) == 1e-8


def test_optimizers_start_from_the_same_nets_and_cells(small: CellVecEnv) -> None:
    starts = []
    for name in ("Adam", "Padam", "SGD"):
        model = build_agent(small, optimizer=name, lr=1e-3, seed=5, config=TINY)
        starts.append((parameters(model), model.env.reset()))
    for nets, seen in starts[1:]:
        np.testing.assert_array_equal(nets, starts[0][0])
        np.testing.assert_array_equal(seen, starts[0][1])


@pytest.mark.parametrize("name", ["Adam", "ASGDAdam"])
@pytest.mark.parametrize("kill_after", [1, 4])
def test_killed_training_ends_as_an_undisturbed_one(
    small: CellVecEnv, tmp_path: Path, name: str, kill_after: int
) -> None:
    def train(**further: Any) -> Any:
        # A fresh environment each time, as a new process has.
        return train_agent(small.spawn(8), optimizer=name, lr=3e-3, total_timesteps=400, seed=3, config=TINY, **further)

    class Killed(BaseException):
        pass

    told: list[dict[str, float]] = []

    def kill(record: dict[str, float]) -> None:
        told.append(record)
        if len(told) == kill_after:
            raise Killed

    undisturbed: list[dict[str, float]] = []
    expected = parameters(train(progress=undisturbed.append))
    with pytest.raises(Killed):
        train(checkpoint=tmp_path / "agent.pt", checkpoint_every_s=0.0, progress=kill)
    resumed: list[dict[str, float]] = []
    model = train(checkpoint=tmp_path / "agent.pt", checkpoint_every_s=0.0, progress=resumed.append)
    np.testing.assert_array_equal(parameters(model), expected)
    np.testing.assert_equal(resumed, undisturbed)
    assert told == resumed[:kill_after]
    # Once more: nothing is left to do, and the same agent comes back.
    np.testing.assert_array_equal(parameters(train(checkpoint=str(tmp_path / "agent.pt"))), expected)


def test_death_in_the_middle_of_a_rollout_loses_only_that_rollout(
    small: CellVecEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, settings = tmp_path / "agent.pt", {"optimizer": "Adam", "lr": 1e-3, "total_timesteps": 256, "config": TINY}
    expected = parameters(train_agent(small.spawn(8), **settings))
    env, steps = small.spawn(8), iter(range(100))
    step_wait = env.step_wait

    def dying() -> Any:
        if next(steps) == 19:
            raise KeyboardInterrupt
        return step_wait()

    monkeypatch.setattr(env, "step_wait", dying)
    with pytest.raises(KeyboardInterrupt):
        train_agent(env, checkpoint=path, checkpoint_every_s=0.0, **settings)
    np.testing.assert_array_equal(parameters(train_agent(small.spawn(8), checkpoint=path, **settings)), expected)


def test_paper_environment_resumes_too(tmp_path: Path) -> None:
    cells = np.random.default_rng(0).standard_normal((20, 6))
    env = CellVecEnv(PaperTask(cells=cells, max_steps=9, max_perturb=2), 2)
    config = replace(paper_config(net_arch=(8, 8)), n_steps=32)
    settings: dict[str, Any] = {"optimizer": "ASGDAMSGrad", "lr": 1e-3, "seed": 1, "config": config}
    expected = parameters(train_agent(env.spawn(2), total_timesteps=192, **settings))
    train_agent(env.spawn(2), total_timesteps=64, checkpoint=tmp_path / "a.pt", **settings)
    model = train_agent(env.spawn(2), total_timesteps=192, checkpoint=tmp_path / "a.pt", **settings)
    np.testing.assert_array_equal(parameters(model), expected)


def test_checkpoint_is_plain_and_gives_the_agent_back(small: CellVecEnv, tmp_path: Path) -> None:
    path = tmp_path / "agent.pt"
    model = train_agent(small, optimizer="Padam", lr=1e-2, total_timesteps=128, config=TINY, checkpoint=path)
    saved = torch.load(path, weights_only=True)
    assert saved["num_timesteps"] == 128
    assert [entry.name for entry in tmp_path.iterdir()] == ["agent.pt"]
    again = load_agent(path, small.spawn(8))
    seen = small.reset()
    np.testing.assert_array_equal(
        again.predict(seen, deterministic=True)[0], model.predict(seen, deterministic=True)[0]
    )


def test_checkpoint_of_another_run_is_refused(small: CellVecEnv, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"total_timesteps": 64, "config": TINY, "checkpoint": tmp_path / "agent.pt"}
    train_agent(small, optimizer="Adam", lr=1e-3, **settings)
    with pytest.raises(DataError, match=r"lr was 0\.001, is 0\.01"):
        train_agent(small, optimizer="Adam", lr=1e-2, **settings)
    with pytest.raises(DataError, match="task was"):
        train_agent(CellVecEnv(replace(small.task, cost=0.5), 8), optimizer="Adam", lr=1e-3, **settings)
    (tmp_path / "agent.pt").write_bytes((tmp_path / "agent.pt").read_bytes()[:500])
    with pytest.raises(DataError, match="cannot read checkpoint"):
        train_agent(small, optimizer="Adam", lr=1e-3, **settings)
    with pytest.raises(OutputError, match="folder does not exist"):
        train_agent(small, optimizer="Adam", lr=1e-3, **settings | {"checkpoint": tmp_path / "no" / "agent.pt"})


def test_global_generators_are_given_back(small: CellVecEnv) -> None:
    def draw() -> tuple[Any, ...]:
        numpy_keys = np.random.get_state()[1].tolist()  # noqa: NPY002
        return random.getstate(), numpy_keys, torch.get_rng_state().tolist()

    before = draw()
    train_agent(small, optimizer="Adam", lr=1e-3, total_timesteps=64, config=TINY)
    assert draw() == before


def test_records_tell_how_it_goes(small: CellVecEnv) -> None:
    records: list[dict[str, float]] = []
    train_agent(small, optimizer="ASGDAdam", lr=1e-3, total_timesteps=192, config=TINY, progress=records.append)
    assert [record["timesteps"] for record in records] == [64, 128, 192]
    assert [record["episodes"] for record in records] == [16, 32, 48]
    assert {"mean_return", "loss", "value_loss", "policy_loss", "entropy", "approx_kl", "base_rate"} <= set(records[0])


def test_refuses_before_long_work(small: CellVecEnv) -> None:
    with pytest.raises(UnknownNameError, match="Adam"):
        train_agent(small, optimizer="Adma", lr=1e-3, total_timesteps=64)
    with pytest.raises(ArgumentError, match="momentum"):
        train_agent(small, optimizer="Adam", lr=1e-3, total_timesteps=64, optimizer_kwargs={"momentum": 0.9})
    with pytest.raises(ArgumentError, match="at least 2"):
        build_agent(small.spawn(1), optimizer="Adam", lr=1e-3, config=replace(TINY, n_steps=1))
    with pytest.raises(ArgumentError, match="lr"):
        build_agent(small, optimizer="Adam", lr=0.0, config=TINY)
    for changes in ({"net_arch": ()}, {"activation": "sine"}, {"gamma": 1.5}, {"n_epochs": 0}, {"target_kl": 0.0}):
        with pytest.raises(ArgumentError):
            replace(TINY, **changes)


@pytest.mark.parametrize(("n_steps", "asked", "used"), [(7, 30, 28), (8, 32, 32), (1, 256, 8)])
def test_rollouts_are_cut_into_equal_mini_batches(small: CellVecEnv, n_steps: int, asked: int, used: int) -> None:
    config = replace(TINY, n_steps=n_steps, batch_size=asked)
    assert build_agent(small, optimizer="Adam", lr=1e-3, config=config).batch_size == used


def test_papers_nets_are_six_tanh_layers_of_256() -> None:
    env = CellVecEnv(PaperTask(cells=np.eye(4)), 1)
    policy = build_agent(env, optimizer="Adam", lr=1e-4, config=paper_config()).policy
    for net in (policy.mlp_extractor.policy_net, policy.mlp_extractor.value_net):
        assert [layer.out_features for layer in net[::2]] == [256] * 6
        assert all(isinstance(layer, torch.nn.Tanh) for layer in net[1::2])


@pytest.mark.parametrize("form", [torch.optim.RAdam, "torch.optim:RAdam", lambda params: torch.optim.RAdam(params)])
def test_an_optimizer_is_a_name_a_class_or_a_factory(small: CellVecEnv, form: Any) -> None:
    model = build_agent(small, optimizer=form, lr=2e-3, config=TINY)
    assert type(model.policy.optimizer) is torch.optim.RAdam
    with pytest.raises(ArgumentError, match="accepted are"):
        build_agent(small, optimizer=torch.nn.Linear, lr=1e-3, config=TINY)


def test_a_checkpoint_of_an_agent_names_its_optimizer(small: CellVecEnv, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"lr": 1e-3, "total_timesteps": 64, "config": TINY, "checkpoint": tmp_path / "agent.pt"}
    with pytest.raises(ArgumentError, match="cannot be imported"):
        train_agent(small, optimizer=lambda params: torch.optim.RAdam(params), **settings)
    train_agent(small, optimizer=torch.optim.SGD, **settings)
    assert type(load_agent(tmp_path / "agent.pt", small).policy.optimizer) is torch.optim.SGD
