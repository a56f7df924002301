"""The smallest run that goes through everything, for tests."""

from __future__ import annotations

from typing import Any

TINY: dict[str, Any] = {
    "preset": "smoke",
    "n_cells": 640,
    "optimizer": ["Adam", "ASGDAdam"],
    "epochs": 2,
    "ppo_steps": 384,
    "ppo_epochs": 2,
    "ppo_batch_size": 64,
    "n_envs": 16,
    "paper_steps": 320,
    "paper_horizon": 20,
    "paper_net": (16, 16),
    "paper_perturbations": (2,),
    "eval_episodes": 4,
    "embedding_dim": 8,
    "workers": 1,
}


def flags(**changes: Any) -> list[str]:
    """Give the tiny run as arguments of `waddington run`."""
    fields = {**TINY, **changes}
    arguments = ["--preset", fields.pop("preset")]
    for name in fields.pop("optimizer"):
        arguments += ["--optimizer", name]
    for name, value in fields.items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        arguments += ["--set", f"{name}={text}"]
    return arguments
