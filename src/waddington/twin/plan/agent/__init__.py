"""PPO agents: settings, training with any optimizer, exact resume, and letting them act."""

from __future__ import annotations

from waddington.twin._moved import names_moved_from
from waddington.twin.plan.agent.checkpoint import load_checkpoint, save_checkpoint
from waddington.twin.plan.agent.config import AgentConfig, paper_config
from waddington.twin.plan.agent.episodes import Rollout, rollout
from waddington.twin.plan.agent.recording import Progress
from waddington.twin.plan.agent.train import build_agent, load_agent, rebuild_agent, train_agent

__all__ = [
    "AgentConfig",
    "Progress",
    "Rollout",
    "build_agent",
    "load_agent",
    "load_checkpoint",
    "paper_config",
    "rebuild_agent",
    "rollout",
    "save_checkpoint",
    "train_agent",
]

__getattr__ = names_moved_from(__name__)
