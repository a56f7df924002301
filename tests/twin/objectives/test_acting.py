"""PPO's problem is Stable-Baselines3's update, and lets no randomness out."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from tests.twin.plan.env.conftest import _cell_task, _continuous_task

from waddington import bench
from waddington.bench.schedule import Schedule
from waddington.bench.training import Plan, train
from waddington.twin.objectives import TWIN_PPO
from waddington.twin.objectives.acting import cell_tasks, collect, ppo_loss
from waddington.twin.plan.agent import AgentConfig, build_agent
from waddington.twin.plan.agent._randomness import contained
from waddington.twin.plan.env import CellVecEnv

TASK = bench.Task(name="twin-ppo", **TWIN_PPO)
SMALL = {name: value for name, value in TASK.tiny.items() if name != "steps"}


@pytest.mark.parametrize("make_task", [_cell_task, _continuous_task], ids=["discrete", "continuous"])
def test_an_update_is_that_of_stable_baselines(make_task: Any) -> None:
    config = AgentConfig(net_arch=(8,), n_steps=12, batch_size=24, n_epochs=2, ent_coef=0.02, update="autograd")
    with contained():
        agent = build_agent(
            CellVecEnv(make_task(), 4),
            optimizer="SGD",
            lr=0.3,
            optimizer_kwargs={"momentum": 0.9},
            seed=3,
            config=config,
        )
        collect(agent, 5)
        for parameter in agent.policy.parameters():  # so that some ratios are beyond the clip
            torch.nn.init.normal_(parameter, std=0.5)
        ours = copy.deepcopy(agent.policy)
        np.random.seed(1)  # noqa: NPY002
        agent.train()

        np.random.seed(1)  # noqa: NPY002
        optimizer = torch.optim.SGD(ours.parameters(), lr=0.3, momentum=0.9)
        for _ in range(config.n_epochs):
            for batch in agent.rollout_buffer.get(agent.batch_size):
                optimizer.zero_grad()
                loss = ppo_loss(ours, batch, clip_range=0.2, ent_coef=0.02, vf_coef=config.vf_coef)
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(ours.parameters(), config.max_grad_norm)
                optimizer.step()
    assert agent.logger.name_to_value["train/clip_fraction"] > 0.1
    assert agent.logger.name_to_value["train/loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    for theirs, mine in zip(agent.policy.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_a_rollout_is_dealt_out_once_a_pass_and_then_another_is_collected() -> None:
    problem = TASK.problem(0, **SMALL, batch_size=64)
    generator = torch.Generator().manual_seed(0)
    batches = [problem.batch(generator, step) for step in range(18)]
    passes = [torch.cat([one.old_log_prob for one in batches[at : at + 3]]) for at in range(0, 18, 3)]
    assert len(passes[0]) == 8 * 24
    for one in passes[1:5]:
        assert not torch.equal(one, passes[0])
        assert torch.equal(one.sort().values, passes[0].sort().values)
    assert not torch.equal(passes[5].sort().values, passes[0].sort().values)


def test_no_randomness_gets_in_or_out() -> None:
    def states() -> list[Any]:
        return [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]  # noqa: NPY002

    def seen() -> list[Any]:
        problem = TASK.problem(0, **SMALL)
        batch = problem.batch(torch.Generator().manual_seed(0), 0)
        return [problem.evaluate(problem.model, "validation"), *(part.tolist() for part in batch)]

    before = states()
    first = seen()
    assert states() == before
    with contained():
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        assert seen() == first


def test_episodes_start_at_cells_apart_and_return_what_is_compared() -> None:
    tasks = cell_tasks(SMALL["cells"])
    starts = {part: {row.tobytes() for row in task.starts} for part, task in tasks.items()}
    assert all(starts.values())
    assert not starts["train"] & starts["validation"] | starts["train"] & starts["test"]
    assert not starts["validation"] & starts["test"]
    problem = TASK.problem(0, **SMALL)
    measures = {split: problem.evaluate(problem.model, split) for split in ("validation", "test")}
    assert measures["validation"] != measures["test"]
    for found in measures.values():
        assert found["loss"] == -found["return"]


def test_the_papers_nets_and_rollouts_are_a_parameter() -> None:
    problem = TASK.problem(0, **SMALL, config="paper")
    widths = [layer.out_features for layer in problem.model.modules() if isinstance(layer, torch.nn.Linear)]
    assert widths.count(256) == 12
    assert problem.clip == 0.5
    small = TASK.problem(0, **SMALL)
    assert sum(layer.out_features == 64 for layer in small.model.modules() if isinstance(layer, torch.nn.Linear)) == 2


@pytest.mark.slow
def test_a_few_rollouts_teach() -> None:
    found = TASK.problem(0, **SMALL)
    plan = Plan(steps=60, seed=0, evaluations=1, metric="return", larger_is_better=True)
    curve = train(found, torch.optim.AdamW(found.model.parameters(), lr=3e-3), Schedule(), plan).curve
    assert curve[-1]["return"] > curve[0]["return"] + 0.2
