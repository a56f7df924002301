"""The engine: the only ``step()`` that runs rules, with what it needs of layout, state, loading and diagnostics."""

from __future__ import annotations

from waddington.optim.engine.dispatch import Execution
from waddington.optim.engine.optimizer import RuleOptimizer
from waddington.optim.engine.settings import EngineSettings

__all__ = ["EngineSettings", "Execution", "RuleOptimizer"]
