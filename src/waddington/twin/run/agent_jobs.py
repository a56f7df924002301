"""Units that train an agent with one optimizer, and judge where it leads cells it never saw."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington.twin.evaluate.heldout import average
from waddington.twin.plan.agent import (
    AgentConfig,
    Rollout,
    idle_policy,
    paper_config,
    random_policy,
    rollout,
    train_agent,
)
from waddington.twin.plan.env import CellTask, CellVecEnv, PaperTask
from waddington.twin.run.artifacts import (
    finite,
    joint_latent,
    save_arrays,
    save_state,
    score_rows,
    shared,
    state_path,
)
from waddington.twin.run.config import RunConfig
from waddington.twin.run.encoder_jobs import untrained
from waddington.twin.run.environments import (
    HeldOutWorld,
    PaperWorld,
    build_heldout_world,
    build_paper_world,
    score_goals,
    score_paper,
)
from waddington.twin.run.executor import Record, Unit
from waddington.twin.run.prepare import Prepared
from waddington.twin.run.replicate_jobs import measurable_pairs

__all__ = ["IDLE", "RANDOM", "TABLES", "act", "heldout_world", "reference_unit"]

Float = npt.NDArray[np.float32]
Tell = Callable[[float], None]

IDLE, RANDOM = "do nothing", "random"
"""Optimizers of agent units that train nothing: the policies that wait, and that act at random."""

TABLES = {1: "single (Table II)", 2: "double (Table III)"}
"""Name of a paper split by the number of perturbations at once."""


def act(unit: Unit, folder: Path, tell: Tell) -> Record:
    """Train an agent with one optimizer (or take a policy that needs no training) and score where it leads cells."""
    prepared, config = shared(folder.parent)
    world: HeldOutWorld | PaperWorld
    task: CellTask | PaperTask
    if unit.protocol == "paper":
        world = _paper_world(prepared, config, unit)
        task, n_envs, steps = world.train, 8, config.paper_steps
        published = paper_config(net_arch=config.paper_net)
        n_steps = max(8, min(published.n_steps, steps) // n_envs)
        settings = dataclasses.replace(
            published, n_steps=n_steps, batch_size=min(config.paper_batch_size, n_steps * n_envs)
        )
    else:
        world = heldout_world(prepared, config, folder, unit.seed)
        task, n_envs, steps = world.train, config.n_envs, config.ppo_steps
        settings = AgentConfig(batch_size=config.ppo_batch_size, n_epochs=config.ppo_epochs, n_steps=3 * config.horizon)
    env = CellVecEnv(task, n_envs, seed=unit.seed)
    history: list[dict[str, float]] = []
    policy: Any
    checkpoint = folder / f"{unit.key}.ckpt"
    if unit.optimizer in (IDLE, RANDOM):
        policy = idle_policy(task) if unit.optimizer == IDLE else random_policy(task, seed=unit.seed)
    else:
        rate = unit.lr
        arguments = {k: v for k, v in config.arguments(unit.optimizer, rate).items() if k not in ("lr", "eps")}

        def hear(record: dict[str, float]) -> None:
            history.append(record)
            tell(0.9 * min(1.0, record["timesteps"] / steps))

        policy = train_agent(
            env,
            optimizer=unit.optimizer,
            optimizer_kwargs=arguments,
            lr=rate,
            eps=config.eps,
            total_timesteps=steps,
            seed=unit.seed,
            config=settings,
            checkpoint=checkpoint,
            checkpoint_every_s=10.0,
            progress=hear,
        )
        save_state(state_path(folder, unit), policy.policy.state_dict())
    scores = pd.DataFrame(columns=["split", "modality", "metric", "value"])
    # On the tuning seed nothing is judged: a rate is chosen by the return in the training world alone.
    if isinstance(world, PaperWorld) and unit.seed != config.tuning_seed:
        scores = average(_judge_paper(world, policy, config, unit))
    elif isinstance(world, HeldOutWorld) and unit.seed != config.tuning_seed:
        scores = average(_judge_heldout(world, policy, config, unit), measurable_pairs(folder.parent))
        save_arrays(folder / f"{unit.key}.npz", _courses(world, policy, prepared, unit))
    # Episodes of the held-out world are short, so its return is averaged over more of them.
    episodes = config.eval_episodes * (1 if isinstance(world, PaperWorld) else 8)
    trial = rollout(policy, env, episodes=episodes, seed=unit.seed + 1)
    reward = float(trial.returns.mean())
    checkpoint.unlink(missing_ok=True)
    return {
        "objective": finite(reward),
        "scores": score_rows(scores),
        "history": {
            name: [finite(record.get(name)) for record in history]
            for name in ("timesteps", "mean_return", "loss", "base_rate")
        },
    }


@functools.lru_cache(maxsize=4)
def heldout_world(prepared: Prepared, config: RunConfig, folder: Path, seed: int) -> HeldOutWorld:
    """Build the world of a seed on its reference encoder; kept for the other units of the same seed."""
    latent = joint_latent(folder, reference_unit(folder, seed), prepared.design.train)
    return build_heldout_world(prepared, latent, config)


def reference_unit(folder: Path, seed: int) -> Unit:
    """Name the encoder unit that a seed's held-out world stands on."""
    reference = json.loads((folder.parent / "reference.json").read_text(encoding="utf-8"))
    return Unit(**reference[str(seed)])


def _paper_world(prepared: Prepared, config: RunConfig, unit: Unit) -> PaperWorld:
    return build_paper_world(
        prepared, untrained(prepared, config, unit.seed), config, max_perturb=int(unit.variant.removeprefix("max"))
    )


def _judge_heldout(world: HeldOutWorld, policy: Any, config: RunConfig, unit: Unit) -> pd.DataFrame:
    """Let the policy act on test cells, towards every observed goal; the same cells left alone are the contrast."""
    goals = np.repeat(np.arange(len(world.labels)), config.eval_episodes)
    rng = np.random.default_rng(unit.seed)
    starts = rng.integers(len(world.test.starts), size=len(goals))
    env = CellVecEnv(world.test, 1, seed=unit.seed)

    def moved(acting: Any) -> Rollout:
        return rollout(acting, env, starts=starts, goals=goals, seed=unit.seed)

    ended, rested = moved(policy), moved(idle_policy(world.test))
    return score_goals(world, goals, ended.final - ended.initial, rested.final - rested.initial)


def _courses(world: HeldOutWorld, policy: Any, prepared: Prepared, unit: Unit) -> dict[str, Float]:
    """Let one early test cell differentiate, left alone and as the policy edits it; give (steps, dimensions) by name.

    For the picture, the flow is sped up so that an episode spans all of pseudotime, and nothing disturbs the cell.
    """
    design, task = prepared.design, world.test
    early = np.argsort(prepared.pseudotime[design.cells(design.control, train=False)], kind="stable")
    start = early[len(early) // 20]
    dynamics = dataclasses.replace(task.dynamics, drift_rate=1.0 / task.max_steps, disturbance_prob=0.0)
    env = CellVecEnv(dataclasses.replace(task, dynamics=dynamics), 1)

    def ways(acting: Any, goals: npt.NDArray[np.int64]) -> Float:
        found = rollout(acting, env, starts=np.full(len(goals), start), goals=goals, keep_trajectories=True)
        return found.trajectories if found.trajectories is not None else np.empty((0, 0, 0), np.float32)

    far = np.argsort(-np.linalg.norm(task.goals, axis=1), kind="stable")[:3]
    led = dict(zip((world.labels[goal] for goal in far), ways(policy, far), strict=True))
    return {
        "left alone": ways(idle_policy(task), far[:1])[0],
        **{f"towards {label}": way for label, way in led.items()},
    }


def _judge_paper(world: PaperWorld, policy: Any, config: RunConfig, unit: Unit) -> pd.DataFrame:
    """Run the published evaluation episodes on test cells."""
    env = CellVecEnv(world.test, 1, seed=unit.seed)
    found = rollout(policy, env, episodes=config.eval_episodes, seed=unit.seed)
    table = TABLES.get(world.test.max_perturb, f"{world.test.max_perturb} at once")
    return score_paper(world, found.initial, found.final, found.goal, table=table)
