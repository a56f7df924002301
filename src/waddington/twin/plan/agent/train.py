"""Training a PPO agent with any optimizer of the registry, resumable bit for bit.

Fairness between optimizers: Stable-Baselines3 gives plain Adam an eps of 1e-5 when no optimizer arguments are passed,
and every other optimizer its own default, so a comparison by its defaults is one at unequal eps. Here the arguments
are always passed, complete, with one eps for all that have one. Under one seed all optimizers start from the same nets
and meet the same cells first.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from torch import nn

from waddington._checks import check_in_range
from waddington.errors import ArgumentError, OutputError
from waddington.optim import registry
from waddington.optim.registry import OptimizerLike
from waddington.twin.plan.agent._randomness import contained
from waddington.twin.plan.agent.checkpoint import load_checkpoint, restore, task_digest
from waddington.twin.plan.agent.config import AgentConfig
from waddington.twin.plan.agent.recording import Measure, Progress, Recorder
from waddington.twin.plan.agent.written_out import WrittenOutPPO
from waddington.twin.plan.agent.written_out_policy import WrittenOutPolicy
from waddington.twin.plan.env import CellVecEnv

__all__ = ["build_agent", "load_agent", "rebuild_agent", "train_agent"]

_PATHS = {"fused", "foreach", "differentiable"}
"""Arguments by which a caller has chosen how torch's optimizers step."""

_ACTIVATION: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


def build_agent(
    vec_env: CellVecEnv,
    *,
    optimizer: OptimizerLike,
    lr: float,
    eps: float = 1e-5,
    optimizer_kwargs: Mapping[str, Any] | None = None,
    seed: int = 0,
    config: AgentConfig | None = None,
) -> PPO:
    """Make an untrained agent; seeds the global generators of Python, numpy and torch (see :func:`train_agent`).

    Parameters
    ----------
    vec_env
        Where it acts.
    optimizer
        A name, a class or a factory, as everywhere (:mod:`waddington.optim.registry`).
    lr
        Learning rate; of the switching optimizers, the large base rate. Stable-Baselines3 sets it in every group before
        each update, also where a factory has a rate of its own.
    eps
        Added to the denominator, of every optimizer that has one. Default: 1e-5, as is usual for PPO.
    optimizer_kwargs
        Further arguments of the optimizer, checked by the registry.
    seed
        Of nets, cells, actions and mini-batches.
    config
        Settings of PPO. Default: :class:`AgentConfig`.

    Raises
    ------
    UnknownNameError, ArgumentError
        For what is no optimizer, an argument that it does not have, or a rollout of one transition.
    """
    config = config or AgentConfig()
    check_in_range("lr", lr, 0.0, open_low=True)
    check_in_range("eps", eps, 0.0, open_low=True)
    rollout = config.n_steps * vec_env.num_envs
    if rollout < 2:
        raise ArgumentError("cannot train on rollouts of one transition: accepted is n_steps * n_envs of at least 2")
    is_written_out = config.update == "written-out"
    cls, arguments = _resolve(optimizer, lr=lr, eps=eps, further=optimizer_kwargs or {}, fused=is_written_out)
    arguments.pop("lr", None)
    model = (WrittenOutPPO if is_written_out else PPO)(
        WrittenOutPolicy if is_written_out else "MlpPolicy",
        vec_env,
        learning_rate=float(lr),
        n_steps=config.n_steps,
        batch_size=_divisor(rollout, config.batch_size),
        n_epochs=config.n_epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        ent_coef=config.ent_coef,
        vf_coef=config.vf_coef,
        max_grad_norm=config.max_grad_norm,
        target_kl=config.target_kl,
        policy_kwargs={
            "net_arch": {"pi": list(config.net_arch), "vf": list(config.net_arch)},
            "activation_fn": _ACTIVATION[config.activation],
            "log_std_init": config.log_std_init,
            "optimizer_class": cls,
            "optimizer_kwargs": arguments,
        },
        seed=seed,
        device="cpu",
        verbose=0,
    )
    # Without this Stable-Baselines3 makes a folder for its logs in the system's temporary one.
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def train_agent(
    vec_env: CellVecEnv,
    *,
    optimizer: OptimizerLike,
    lr: float,
    total_timesteps: int,
    eps: float = 1e-5,
    optimizer_kwargs: Mapping[str, Any] | None = None,
    seed: int = 0,
    config: AgentConfig | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every_s: float = 60.0,
    progress: Progress | None = None,
    measure: Measure | None = None,
) -> PPO:
    """Train an agent, or go on with its training.

    The global generators that Stable-Baselines3 seeds are given back as they were found.

    Parameters
    ----------
    vec_env, optimizer, lr, eps, optimizer_kwargs, seed, config
        See :func:`build_agent`.
    total_timesteps
        Transitions, rounded up to whole rollouts.
    checkpoint
        File to save to, and to go on from if it is there. A training that was killed and started again ends with the
        same parameters, bit for bit, as one that was not. With a larger `total_timesteps` a finished one goes on.
    checkpoint_every_s
        Least seconds between two checkpoints; 0 saves after every rollout. The end is always saved.
    progress
        Called after each rollout; on resuming, first with the records made before.
    measure
        Called with the agent after each rollout, before `progress`; the numbers that it gives are part of the record.

    Returns
    -------
    PPO
        The trained agent.

    Raises
    ------
    UnknownNameError, ArgumentError
        See :func:`build_agent`. Or there is a `checkpoint`, and a lambda or what is made in a notebook as the
        optimizer: a checkpoint names it.
    DataError
        When the checkpoint is broken or belongs to another run.
    OutputError
        When the checkpoint's folder does not exist, or cannot be written.
    """
    config = config or AgentConfig()
    check_in_range("total_timesteps", total_timesteps, 1)
    place = None if checkpoint is None else Path(checkpoint)
    if place is not None and not place.parent.is_dir():
        raise OutputError(f"cannot write checkpoint {place}: its folder does not exist; accepted: an existing one")
    run = {
        # Only what is written to a checkpoint has to be found again by its name.
        "optimizer": registry.get(optimizer).name if checkpoint is None else registry.name_of(optimizer),
        "optimizer_kwargs": dict(optimizer_kwargs or {}),
        "lr": lr,
        "eps": eps,
        "seed": seed,
        "n_envs": vec_env.num_envs,
        "task": task_digest(vec_env.task),
        **dataclasses.asdict(config),
    }
    with contained():
        model = build_agent(
            vec_env, optimizer=optimizer, lr=lr, eps=eps, optimizer_kwargs=optimizer_kwargs, seed=seed, config=config
        )
        history: list[dict[str, float]] = []
        if place is not None and place.exists():
            history = restore(model, load_checkpoint(place, run=run))
        if progress is not None:
            for record in history:
                progress(dict(record))
        resumed = bool(model.num_timesteps)
        if model.num_timesteps < total_timesteps:
            recorder = Recorder(run, history, progress, place, checkpoint_every_s, measure)
            model.learn(
                total_timesteps - model.num_timesteps,
                callback=recorder,
                log_interval=None,
                reset_num_timesteps=not resumed,
            )
    return model


def load_agent(path: str | os.PathLike[str], vec_env: CellVecEnv) -> PPO:
    """Rebuild an agent from its checkpoint, to act in an environment of the same spaces.

    Raises
    ------
    DataError
        When the file cannot be read.
    """
    saved = load_checkpoint(path)
    run = json.loads(saved["run"])
    fields = {field.name for field in dataclasses.fields(AgentConfig)}
    chosen = {name: value for name, value in run.items() if name in fields}
    with contained():
        model = build_agent(
            vec_env,
            optimizer=run["optimizer"],
            lr=run["lr"],
            eps=run["eps"],
            optimizer_kwargs=run["optimizer_kwargs"],
            seed=run["seed"],
            config=AgentConfig(**chosen | {"net_arch": tuple(chosen["net_arch"])}),
        )
    model.policy.load_state_dict(saved["policy"])
    model.policy.optimizer.load_state_dict(saved["optimizer"])
    return model


def rebuild_agent(vec_env: CellVecEnv, weights: Mapping[str, torch.Tensor], *, config: AgentConfig) -> PPO:
    """Rebuild an agent from the weights of its policy, to act; its optimizer is a fresh one.

    Parameters
    ----------
    vec_env
        Where it acts: an environment of the spaces that it was trained in.
    weights
        State of its policy.
    config
        Settings that it was trained with.
    """
    with contained():
        model = build_agent(vec_env, optimizer="Adam", lr=1e-3, config=config)
    model.policy.load_state_dict(dict(weights))
    return model


def _resolve(
    optimizer: OptimizerLike, *, lr: float, eps: float, further: Mapping[str, Any], fused: bool
) -> tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]:
    """Give class or factory and complete arguments; the one eps reaches every optimizer that has such an argument.

    `fused` asks torch's own optimizers for their fused step where they have one: the same step in a third of the time.
    """
    spec = registry.get(optimizer)
    arguments = spec.arguments
    overrides = dict(further)
    if "eps" in arguments:
        overrides.setdefault("eps", float(eps))
    if fused and spec.package == "torch" and "fused" in arguments and not overrides.keys() & _PATHS:
        overrides["fused"] = True
    if "lr" in arguments:
        return registry.resolve(optimizer, **{"lr": float(lr)} | overrides)
    factory, found = registry.resolve(optimizer, **overrides)
    return lambda params, lr, **kwargs: factory(params, **kwargs), found


def _divisor(rollout: int, batch_size: int) -> int:
    """Give the largest mini-batch up to `batch_size` that divides the rollout, so that no odd one is left over."""
    n_batches = math.ceil(rollout / batch_size)
    while rollout % n_batches:
        n_batches += 1
    return rollout // n_batches
