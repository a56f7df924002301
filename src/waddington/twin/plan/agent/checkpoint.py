"""Saving a PPO training so that it continues bit for bit.

A checkpoint is written between rollouts. It holds all that the rest depends on: the nets, the optimizer's state, the
cells and their generator, the generators of numpy and torch, the counters, and the record so far. It is a plain
dictionary of tensors, numbers and strings, loadable with ``torch.load(path, weights_only=True)``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO

from waddington._files import replacing
from waddington.errors import DataError
from waddington.twin.plan.agent._randomness import get_generators, set_generators
from waddington.twin.plan.env import CellVecEnv

__all__ = ["load_checkpoint", "restore", "save_checkpoint", "snapshot", "task_digest"]

_FORMAT = 1


def task_digest(task: Any) -> str:
    """Hash a task: its class and every field, arrays included."""
    digest = hashlib.sha256(type(task).__name__.encode())
    for field in dataclasses.fields(task):
        value = getattr(task, field.name)
        if isinstance(value, np.ndarray):
            content = f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
        elif dataclasses.is_dataclass(value):
            content = task_digest(value).encode()
        else:
            content = repr(value).encode()
        digest.update(field.name.encode() + b"=" + content + b";")
    return digest.hexdigest()


def snapshot(model: PPO, *, run: Mapping[str, Any], history: list[dict[str, float]]) -> dict[str, Any]:
    """Collect what the rest of a training depends on.

    Parameters
    ----------
    model
        Between two rollouts, on a :class:`~waddington.twin.plan.env.CellVecEnv`.
    run
        What the training was asked to do; must be writable as JSON.
    history
        One record for each rollout so far.
    """
    env: CellVecEnv = model.env
    saved = env.get_state()
    return {
        "format": _FORMAT,
        "run": json.dumps(dict(run), sort_keys=True),
        "num_timesteps": int(model.num_timesteps),
        "n_updates": int(model._n_updates),
        "policy": model.policy.state_dict(),
        "optimizer": model.policy.optimizer.state_dict(),
        "env": saved | {"arrays": _tensors(saved["arrays"]), "returns": torch.from_numpy(saved["returns"])},
        "last_obs": torch.from_numpy(np.array(model._last_obs)),
        "last_episode_starts": torch.from_numpy(np.array(model._last_episode_starts)),
        "episodes": [{"r": float(one["r"]), "l": int(one["l"])} for one in model.ep_info_buffer or ()],
        "generators": get_generators(),
        "history": [dict(record) for record in history],
    }


def restore(model: PPO, saved: Mapping[str, Any]) -> list[dict[str, float]]:
    """Put a freshly made model where :func:`snapshot` found one; give the record so far.

    Afterwards ``learn(..., reset_num_timesteps=False)`` goes on where the other left off.
    """
    env: CellVecEnv = model.env
    arrays = {name: value.numpy() for name, value in saved["env"]["arrays"].items()}
    env.set_state(dict(saved["env"]) | {"arrays": arrays, "returns": saved["env"]["returns"].numpy()})
    model.policy.load_state_dict(saved["policy"])
    model.policy.optimizer.load_state_dict(saved["optimizer"])
    model.num_timesteps, model._n_updates = saved["num_timesteps"], saved["n_updates"]
    model._last_obs = saved["last_obs"].numpy().copy()
    model._last_episode_starts = saved["last_episode_starts"].numpy().copy()
    model.ep_info_buffer = deque(saved["episodes"], maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)
    set_generators(saved["generators"])
    return [dict(record) for record in saved["history"]]


def save_checkpoint(path: str | os.PathLike[str], saved: Mapping[str, Any]) -> None:
    """Write a checkpoint; whoever reads meanwhile sees the old one or the new one, never a part.

    Raises
    ------
    OutputError
        When the place cannot be written.
    """
    with replacing(Path(path)) as beside:
        torch.save(dict(saved), beside)


def load_checkpoint(path: str | os.PathLike[str], *, run: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read a checkpoint.

    Parameters
    ----------
    path
        Where it is.
    run
        What the training is asked to do; must equal what the checkpoint's was. None accepts any.

    Raises
    ------
    DataError
        When the file is not a checkpoint, is broken, or belongs to another run (names what differs).
    """
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(f"cannot read checkpoint {path}: {error}; delete it to start anew") from error
    if not isinstance(saved, dict) or saved.get("format") != _FORMAT:
        raise DataError(f"cannot read checkpoint {path}: found no agent's checkpoint of format {_FORMAT}")
    if run is not None:
        found, asked = json.loads(saved["run"]), json.loads(json.dumps(dict(run)))
        differing = sorted(key for key in found.keys() | asked.keys() if found.get(key) != asked.get(key))
        if differing:
            details = "; ".join(f"{key} was {found.get(key)!r}, is {asked.get(key)!r}" for key in differing)
            raise DataError(
                f"cannot continue from checkpoint {path}: it belongs to another run ({details}); "
                "accepted: the same settings, or another path"
            )
    return dict(saved)


def _tensors(arrays: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
