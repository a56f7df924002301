"""Jobs that train one agent (or take a policy that is not trained) and score where it leads test cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
import torch
from stable_baselines3 import PPO

from waddington.jobs import Context, Job
from waddington.twin.evaluate.heldout import average
from waddington.twin.evaluate.paper import score_paper
from waddington.twin.evaluate.summary import FIXED_POLICIES
from waddington.twin.plan.agent import AgentConfig, rollout, train_agent
from waddington.twin.plan.agent.config import Update
from waddington.twin.plan.env import CellVecEnv
from waddington.twin.plan.planners import PLANNERS, make_policy
from waddington.twin.plan.policy import Policy
from waddington.twin.run.artifacts import CHECKPOINT, finite
from waddington.twin.run.sections import Evaluation
from waddington.twin.tables import anisotropy
from waddington.twin.tables.embeddings import EmbeddingJob, read_task

__all__ = ["EVALUATIONS", "TableJob"]

EVALUATIONS: tuple[Evaluation, ...] = ("deterministic", "stochastic")
"""How a trained agent acts where it is judged; both are recorded."""


@dataclass(frozen=True, kw_only=True)
class TableJob(Job):
    """One row of one table under one seed.

    Its result holds ``scores`` (rows evaluation, scoring, modality, metric, value, n), the ``objective`` that a search
    compares (mean return in the training environment), the ``history`` of training, and what the optimizer says of
    itself at the end (``diagnostics``). A training whose weights are not finite has ``diverged``, and no score.
    """

    kind: ClassVar[str] = "tables-agent"

    embedding: EmbeddingJob
    max_perturb: int
    """Most random perturbations at once."""
    policy: str
    """Name of the optimizer, or of a policy that is not trained."""
    arguments: tuple[tuple[str, Any], ...] = ()
    """All keyword arguments of the optimizer, `lr` and `eps` among them."""
    seed: int
    """Of nets, cells, actions, mini-batches, and of the episodes of evaluation."""
    steps: int = 50_000
    """Transitions of training."""
    net: tuple[int, ...] = (256,) * 6
    batch_size: int = 64
    n_envs: int = 8
    rollout_steps: int = 2048
    """Transitions of one rollout, over all environments."""
    horizon: int = 1000
    """Most steps of an episode."""
    episodes: int = 30
    """Of evaluation; 0 in a search, whose objective is of training cells alone."""
    update: Update = "written-out"
    anisotropy: bool = False
    """Whether second moment, gradients and Hessian are measured along the training."""

    @property
    def label(self) -> str:
        """Protocol, regime, cells, policy, rate and seed."""
        rate = dict(self.arguments).get("lr")
        about = self.embedding
        parts = (about.cells.source.name, about.protocol, f"max{self.max_perturb}", self.policy)
        return "_".join([*parts, *([f"{rate:g}"] if rate else []), str(self.seed)])

    def run(self, context: Context) -> dict[str, Any]:
        """Train and score."""
        folder = context.folder_of(self.embedding)
        tasks = {
            name: read_task(folder, train=name == "train", horizon=self.horizon, max_perturb=self.max_perturb)
            for name in ("train", "test")
        }
        env = CellVecEnv(tasks["train"], self.n_envs, seed=self.seed)
        n_steps = max(1, min(self.rollout_steps, self.steps) // self.n_envs)
        settings = AgentConfig(
            net_arch=self.net,
            n_steps=n_steps,
            batch_size=max(2, min(self.batch_size, n_steps * self.n_envs)),
            n_epochs=10,
            update=self.update,
        )
        history: list[dict[str, float]] = []
        found: dict[str, Any] = {"diverged": False, "diagnostics": {}}
        acting: Policy
        if self.policy in FIXED_POLICIES:
            planner = PLANNERS[self.policy]
            acting = make_policy(self.policy, env, seed=self.seed, **({"config": settings} if planner.has_net else {}))
            modes: tuple[Evaluation, ...] = ("stochastic",) if planner.draws else ("deterministic",)
        else:
            acting, modes = self._trained(context, env, settings, history), EVALUATIONS
            found |= self._about(acting)
        slices = {name: slice(*ends) for name, ends in context.result(self.embedding)["slices"].items()}
        scores: list[dict[str, Any]] = []
        if self.episodes and not found["diverged"]:
            test = CellVecEnv(tasks["test"], 1, seed=self.seed)
            for mode in modes:
                done = rollout(
                    acting, test, episodes=self.episodes, deterministic=mode == "deterministic", seed=self.seed
                )
                scored = average(score_paper(done.initial, done.final, done.goal, slices=slices, table=mode))
                scores += _rows(scored)
        objective = None
        if not found["diverged"]:
            trial = rollout(acting, env, episodes=self.episodes or 30, seed=self.seed + 1)
            objective = finite(float(trial.returns.mean()))
        (context.folder / CHECKPOINT).unlink(missing_ok=True)
        names = dict.fromkeys(name for record in history for name in record)
        return {
            **found,
            "objective": objective,
            "scores": scores,
            "history": {name: [finite(record.get(name)) for record in history] for name in names},
        }

    def _trained(
        self, context: Context, env: CellVecEnv, settings: AgentConfig, history: list[dict[str, float]]
    ) -> PPO:
        def hear(record: dict[str, float]) -> None:
            history.append(record)
            context.progress(0.95 * min(1.0, record["timesteps"] / self.steps))

        arguments = dict(self.arguments)
        lr, eps = float(arguments.pop("lr")), float(arguments.pop("eps", 1e-8))
        return train_agent(
            env,
            optimizer=self.policy,
            lr=lr,
            eps=eps,
            optimizer_kwargs=arguments,
            total_timesteps=self.steps,
            seed=self.seed,
            config=settings,
            checkpoint=context.folder / CHECKPOINT,
            checkpoint_every_s=10.0,
            progress=hear,
            measure=self._measured if self.anisotropy else None,
        )

    def _measured(self, agent: PPO) -> dict[str, float]:
        """Measure what the last update was made of; at the end, of the Hessian too, which takes longer."""
        found = anisotropy.measure(agent)
        return found | anisotropy.curvature(agent, seed=self.seed) if agent.num_timesteps >= self.steps else found

    @staticmethod
    def _about(agent: PPO) -> dict[str, Any]:
        """Say what became of an agent's weights, and what its optimizer says of itself."""
        optimizer = agent.policy.optimizer
        told = optimizer.diagnostics() if hasattr(optimizer, "diagnostics") else {}
        diagnostics = {name: finite(float(value)) for name, value in told.items() if isinstance(value, int | float)}
        diverged = not all(torch.isfinite(parameter).all() for parameter in agent.policy.parameters())
        return {"diverged": diverged, "diagnostics": diagnostics}


def _rows(scored: pd.DataFrame) -> list[dict[str, Any]]:
    """Give averaged scores as JSON holds them; the split is "mode, scoring"."""
    rows = []
    for row in scored.to_dict("records"):
        evaluation, _, scoring = str(row["split"]).partition(", ")
        about = {"evaluation": evaluation, "scoring": scoring, "modality": row["modality"], "metric": row["metric"]}
        rows.append({**about, "value": finite(row["value"]), "n": int(row["n"])})
    return rows
