"""What is written down while an agent trains: a record after each update, and a checkpoint when one is due."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from waddington.twin.plan.agent._randomness import contained
from waddington.twin.plan.agent.checkpoint import save_checkpoint, snapshot

__all__ = ["Measure", "Progress", "Recorder"]

Progress = Callable[[dict[str, float]], None]
"""Called with one record after each rollout: ``timesteps``, ``episodes``, ``mean_return`` (of the last 100 episodes;
NaN before the first has ended), ``loss``, ``policy_loss``, ``value_loss``, ``entropy``, ``approx_kl``,
``explained_variance``, and where the optimizer switches rates, ``base_rate``."""

Measure = Callable[[PPO], dict[str, float]]
"""Called with the agent after each update; its numbers are part of the record. Global generators are given back."""

_LOGGED = {
    "train/loss": "loss",
    "train/policy_gradient_loss": "policy_loss",
    "train/value_loss": "value_loss",
    "train/entropy_loss": "entropy",
    "train/approx_kl": "approx_kl",
    "train/explained_variance": "explained_variance",
}


class Recorder(BaseCallback):  # type: ignore[misc]
    """Make a record and, when due, a checkpoint after each update: where the next rollout starts, or at the end."""

    def __init__(
        self,
        run: Mapping[str, Any],
        history: list[dict[str, float]],
        progress: Progress | None,
        checkpoint: Path | None,
        every_s: float,
        measure: Measure | None = None,
    ) -> None:
        super().__init__()
        self._measure = measure
        self._run, self._history, self._progress = run, history, progress
        self._checkpoint, self._every_s = checkpoint, every_s
        self._saved_at = time.monotonic()
        self._episodes = int(history[-1]["episodes"]) if history else 0
        self._begun = False

    def _on_step(self) -> bool:
        self._episodes += int(np.count_nonzero(self.locals["dones"]))
        return True

    def _on_rollout_start(self) -> None:
        if self._begun:
            self._updated(last=False)
        self._begun = True

    def _on_training_end(self) -> None:
        self._updated(last=True)

    def _updated(self, *, last: bool) -> None:
        model = self.model
        returns = [one["r"] for one in model.ep_info_buffer]
        logged = model.logger.name_to_value
        record = {
            "timesteps": float(model.num_timesteps),
            "episodes": float(self._episodes),
            "mean_return": float(np.mean(returns)) if returns else math.nan,
        }
        record |= {name: float(logged[key]) for key, name in _LOGGED.items() if key in logged}
        diagnostics = getattr(model.policy.optimizer, "diagnostics", None)
        if diagnostics is not None:
            found = diagnostics()
            record |= {"base_rate": float(found["base_rate"])} if "base_rate" in found else {}
        if self._measure is not None:
            with contained():
                record |= self._measure(model)
        self._history.append(record)
        # Saved before anyone is told: a training that dies in the callback has lost nothing.
        due = last or time.monotonic() - self._saved_at >= self._every_s
        if self._checkpoint is not None and due:
            save_checkpoint(self._checkpoint, snapshot(model, run=self._run, history=self._history))
            self._saved_at = time.monotonic()
        if self._progress is not None:
            self._progress(dict(record))
