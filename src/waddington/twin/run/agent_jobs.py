"""Jobs that train an agent with one optimizer, and judge where it leads cells it never saw."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington.jobs import Context
from waddington.twin.evaluate.heldout import average
from waddington.twin.evaluate.paper import score_paper
from waddington.twin.evaluate.summary import FIXED_POLICIES
from waddington.twin.plan.agent import (
    AgentConfig,
    Rollout,
    paper_config,
    rollout,
)
from waddington.twin.plan.env import CellTask, CellVecEnv, PaperTask
from waddington.twin.plan.planners import PLANNERS, Idle, ProximalPolicy, Uniform, idle_policy, make_policy
from waddington.twin.run.artifacts import (
    CHECKPOINT,
    WEIGHTS,
    finite,
    joint_latent,
    save_arrays,
    save_state,
    score_rows,
)
from waddington.twin.run.config import RunConfig
from waddington.twin.run.data import RunData
from waddington.twin.run.encoder_jobs import EncoderJob, untrained
from waddington.twin.run.environments import (
    HeldOutEnvironment,
    PaperEnvironment,
    build_heldout_environment,
    build_paper_environment,
    score_goals,
)
from waddington.twin.run.jobs import TwinJob, read_inputs
from waddington.twin.run.optimizers import OptimizerSetting
from waddington.twin.run.replicate_jobs import ReplicateJob, measurable_pairs

__all__ = ["IDLE", "RANDOM", "TABLES", "AgentJob", "heldout_settings"]

Float = npt.NDArray[np.float32]

IDLE, RANDOM = Idle.name, Uniform.name
"""Optimizers of agent jobs that train nothing: the policies that wait, and that act at random."""

TABLES = {1: "single (Table II)", 2: "double (Table III)"}
"""Name of a paper split by the number of perturbations at once."""


@dataclass(frozen=True, kw_only=True)
class AgentJob(TwinJob):
    """Trains an agent with one optimizer (or takes a policy that needs no training) and scores where it leads cells."""

    kind: ClassVar[str] = "agent"
    version: ClassVar[int] = 3

    encoder: EncoderJob | None = None
    """The encoder in whose space an agent of the held-out protocol acts; None: the paper's protocol."""
    replicates: tuple[ReplicateJob, ...] = ()
    """Which conditions can be measured; the paper's protocol does not ask."""

    def run(self, context: Context) -> dict[str, Any]:
        """Train and score; weights and trajectories lie in the job's folder."""
        prepared, config = read_inputs(context)
        environment: HeldOutEnvironment | PaperEnvironment
        task: CellTask | PaperTask
        if self.encoder is None:
            environment = _paper_environment(prepared, config, self)
            task, n_envs, steps = environment.train, 8, config.ppo.paper_steps
            published = paper_config(net_arch=config.ppo.paper_net)
            n_steps = max(8, min(published.n_steps, steps) // n_envs)
            settings = dataclasses.replace(
                published, n_steps=n_steps, batch_size=min(config.ppo.paper_batch_size, n_steps * n_envs)
            )
        else:
            environment = _heldout_environment(prepared, config, context.folder_of(self.encoder))
            task, n_envs, steps = environment.train, config.ppo.n_envs, config.ppo.steps
            settings = heldout_settings(config)
        env = CellVecEnv(task, n_envs, seed=self.seed)
        history: list[dict[str, float]] = []
        policy: Any
        checkpoint = context.folder / CHECKPOINT
        if self.optimizer in FIXED_POLICIES:
            options = {"config": settings} if PLANNERS[self.optimizer].has_net else {}
            policy = make_policy(self.optimizer, env, seed=self.seed, **options)
        else:
            arguments = config.arguments(self.optimizer, self.lr, dict(self.searched))
            eps = arguments.pop("eps", config.eps)

            def hear(record: dict[str, float]) -> None:
                history.append(record)
                context.progress(0.9 * min(1.0, record["timesteps"] / steps))

            policy = make_policy(
                ProximalPolicy.name,
                env,
                optimizer=OptimizerSetting.of(self.optimizer).optimizer,
                optimizer_kwargs={name: value for name, value in arguments.items() if name != "lr"},
                lr=self.lr,
                eps=eps,
                total_timesteps=steps,
                seed=self.seed,
                config=settings,
                checkpoint=checkpoint,
                checkpoint_every_s=10.0,
                progress=hear,
            )
            save_state(context.folder / WEIGHTS, policy.policy.state_dict())
        scores = pd.DataFrame(columns=["split", "modality", "metric", "value"])
        # On the tuning seed nothing is judged: a rate is chosen by the return in the training environment alone.
        if isinstance(environment, PaperEnvironment) and self.seed != config.tuning_seed:
            scores = average(_judge_paper(environment, policy, config, self))
        elif isinstance(environment, HeldOutEnvironment) and self.seed != config.tuning_seed:
            scores = average(
                _judge_heldout(environment, policy, config, self), measurable_pairs(context, self.replicates)
            )
            save_arrays(context.folder, _trajectories(environment, policy, prepared))
        # Episodes of the held-out environment are short, so its return is averaged over more of them.
        episodes = config.ppo.eval_episodes * (1 if isinstance(environment, PaperEnvironment) else 8)
        deterministic = config.ppo.evaluation == "deterministic"
        trial = rollout(policy, env, episodes=episodes, deterministic=deterministic, seed=self.seed + 1)
        reward = float(trial.returns.mean())
        checkpoint.unlink(missing_ok=True)
        return {
            "objective": finite(reward),
            "evaluation": config.ppo.evaluation,
            "scores": score_rows(scores),
            "history": {
                name: [finite(record.get(name)) for record in history]
                for name in ("timesteps", "mean_return", "loss", "base_rate")
            },
        }


def heldout_settings(config: RunConfig) -> AgentConfig:
    """Give the settings of PPO in the held-out protocol."""
    return AgentConfig(batch_size=config.ppo.batch_size, n_epochs=config.ppo.epochs, n_steps=3 * config.ppo.horizon)


@functools.lru_cache(maxsize=4)
def _heldout_environment(prepared: RunData, config: RunConfig, encoder: Path) -> HeldOutEnvironment:
    """Build the environment on the encoder in that folder; kept for the other jobs on it."""
    return build_heldout_environment(prepared, joint_latent(encoder, prepared.design.train), config)


def _paper_environment(prepared: RunData, config: RunConfig, job: AgentJob) -> PaperEnvironment:
    return build_paper_environment(
        prepared, untrained(prepared, config, job.seed), config, max_perturb=int(job.variant.removeprefix("max"))
    )


def _judge_heldout(environment: HeldOutEnvironment, policy: Any, config: RunConfig, job: AgentJob) -> pd.DataFrame:
    """Let the policy act on test cells, towards every observed goal; the same cells left alone are the contrast."""
    goals = np.repeat(np.arange(len(environment.labels)), config.ppo.eval_episodes)
    rng = np.random.default_rng(job.seed)
    starts = rng.integers(len(environment.test.starts), size=len(goals))
    env = CellVecEnv(environment.test, 1, seed=job.seed)

    def moved(acting: Any) -> Rollout:
        deterministic = config.ppo.evaluation == "deterministic"
        return rollout(acting, env, starts=starts, goals=goals, deterministic=deterministic, seed=job.seed)

    ended, rested = moved(policy), moved(idle_policy(environment.test))
    return score_goals(environment, goals, ended.final - ended.initial, rested.final - rested.initial)


def _trajectories(environment: HeldOutEnvironment, policy: Any, prepared: RunData) -> dict[str, Float]:
    """Let one early test cell differentiate, left alone and as the policy edits it; give (steps, dimensions) by name.

    For the picture, the flow is sped up so that an episode spans all of pseudotime, and nothing disturbs the cell.
    """
    design, task = prepared.design, environment.test
    early = np.argsort(prepared.pseudotime[design.cells(design.control, train=False)], kind="stable")
    start = early[len(early) // 20]
    dynamics = dataclasses.replace(task.dynamics, drift_rate=1.0 / task.max_steps, disturbance_prob=0.0)
    env = CellVecEnv(dataclasses.replace(task, dynamics=dynamics), 1)

    def paths(acting: Any, goals: npt.NDArray[np.int64]) -> Float:
        found = rollout(acting, env, starts=np.full(len(goals), start), goals=goals, keep_trajectories=True)
        return found.trajectories if found.trajectories is not None else np.empty((0, 0, 0), np.float32)

    far = np.argsort(-np.linalg.norm(task.goals, axis=1), kind="stable")[:3]
    led = dict(zip((environment.labels[goal] for goal in far), paths(policy, far), strict=True))
    return {
        "left alone": paths(idle_policy(task), far[:1])[0],
        **{f"towards {label}": path for label, path in led.items()},
    }


def _judge_paper(environment: PaperEnvironment, policy: Any, config: RunConfig, job: AgentJob) -> pd.DataFrame:
    """Run the published evaluation episodes on test cells."""
    env = CellVecEnv(environment.test, 1, seed=job.seed)
    deterministic = config.ppo.evaluation == "deterministic"
    found = rollout(policy, env, episodes=config.ppo.eval_episodes, deterministic=deterministic, seed=job.seed)
    table = TABLES.get(environment.test.max_perturb, f"{environment.test.max_perturb} at once")
    return score_paper(found.initial, found.final, found.goal, slices=environment.slices, table=table)
