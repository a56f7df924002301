"""What acts: a function of observations, or an agent that predicts actions as Stable-Baselines3's do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Act", "Agent", "Policy", "as_act"]

Act: TypeAlias = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]
"""Takes observations (n, features), gives actions (n, …)."""


class Agent(Protocol):
    """Predicts actions, as agents of Stable-Baselines3 do."""

    def predict(self, observation: Any, *, deterministic: bool = ...) -> tuple[npt.NDArray[Any], Any]:
        """Give the actions for observations, and a state that is not used here."""


Policy: TypeAlias = Agent | Act


def as_act(policy: Policy, *, deterministic: bool = True) -> Act:
    """Give a policy as a function; `deterministic` says whether an agent takes its most likely action."""
    predict = getattr(policy, "predict", None)
    if predict is None:
        return policy  # type: ignore[return-value]
    return lambda seen: np.asarray(predict(seen, deterministic=deterministic)[0])
