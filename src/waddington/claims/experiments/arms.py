"""What experiments on training share: the arms, one training of the bench, and the training data in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from waddington import bench
from waddington._checks import check_known
from waddington.analysis import BatchLoss, over_batches
from waddington.bench.arm import build_optimizer
from waddington.optim import schedules

__all__ = ["ARMS", "Kind", "Pass", "StepDecay", "Trial", "build_arm", "pass_over", "rounded", "schedule_of"]

_RECIPES = "waddington.bench.tasks.recipes"
_MODULES = {
    "clip_grad_norm": 1.0,
    "outlier_threshold": 6.0,
    "clip_update": 1.0,
    "momentum": "curvature",
    "warmup_steps": 30,
}
"""All four modules of Section 3.1, at values of ours: the paper has none."""


class Kind(NamedTuple):
    """An arm: what stands for its optimizer, and its fixed arguments."""

    optimizer: str
    arguments: Mapping[str, Any] = {}


ARMS: Mapping[str, Kind] = {
    "AMVT": Kind("AMVT"),
    "AMVT, all modules": Kind("AMVT", _MODULES),
    "AMVT, variance unused": Kind("waddington.claims.experiments.unused:UnusedVariance"),
    "Adam": Kind("Adam", {"fused": True}),
    "AdamW": Kind("AdamW", {"fused": True, "weight_decay": 0.01}),
    "SGD": Kind("SGD", {"fused": True, "momentum": 0.9}),
    "RAdam": Kind("RAdam"),
    "AdaBound": Kind("AdaBound"),
    "Lookahead(AMVT)": Kind(f"{_RECIPES}:lookahead_amvt"),
    "Lookahead(Adam)": Kind(f"{_RECIPES}:lookahead_adam"),
}
"""The arms of the paper's tables, and controls, by name."""


@dataclass(frozen=True, kw_only=True)
class StepDecay(bench.Schedule):
    """Algorithm 4: the rate falls to a tenth twice, each time after a third of the steps."""

    def build(self, optimizer: torch.optim.Optimizer, *, steps: int, seed: int) -> Any:
        """Make the scheduler."""
        return schedules.step_decay(optimizer, max(1, steps // 3), first_step=0)


_SCHEDULES: Mapping[str, bench.Schedule] = {
    "constant": bench.Schedule(),
    "constant with warm-up": bench.Schedule(warmup=0.05),
    "cosine": bench.Schedule(name="cosine"),
    "cosine with warm-up": bench.Schedule(name="cosine", warmup=0.05),
    "step decay": StepDecay(),
    "inverse root": bench.Schedule(name="inverse-sqrt"),
}


def schedule_of(name: str) -> bench.Schedule:
    """Give a schedule by the paper's name of it."""
    return _SCHEDULES[check_known("schedule", name, _SCHEDULES)]


def build_arm(arm: str, model: nn.Module, lr: float, **arguments: Any) -> torch.optim.Optimizer:
    """Build the optimizer of an arm over a model's parameters."""
    kind = ARMS[check_known("arm", arm, ARMS)]
    return build_optimizer(kind.optimizer, model.parameters(), {"lr": lr, **kind.arguments, **arguments})


@dataclass(kw_only=True)
class Trial:
    """One training of a task of the bench.

    Attributes
    ----------
    task, parameters
        Which, with what is not its default.
    arm, lr, arguments
        Its optimizer.
    steps, schedule, evaluations
        How it is trained.
    seed
        Of initialization, data order and noise.
    """

    task: str
    arm: str
    lr: float
    steps: int
    seed: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    schedule: str = "constant"
    evaluations: int = 1
    problem: bench.Problem = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        self.problem = bench.get_task(self.task).problem(self.seed, **self.parameters)
        self.optimizer = build_arm(self.arm, self.problem.model, self.lr, **self.arguments)

    def train(
        self, watch: Callable[[dict[str, float]], None] = lambda row: None, *, test: bool = True
    ) -> bench.Trained:
        """Train by the bench's loop; `watch` is told every row of the curve, and may raise to end it there."""
        plan = bench.Plan(steps=self.steps, seed=self.seed, evaluations=self.evaluations, test=test)
        return bench.train(self.problem, self.optimizer, schedule_of(self.schedule), plan, watch=watch)


@dataclass(frozen=True)
class Pass:
    """Training data of a task: the same whatever the optimizer and the batch size of a run.

    Attributes
    ----------
    batches
        Inputs and classes.
    loss
        The task's, over all of them.
    """

    batches: list[tuple[torch.Tensor, torch.Tensor]]
    loss: BatchLoss

    def measure(self, model: nn.Module) -> tuple[float, float]:
        """Give loss and accuracy in evaluation mode; the model is left in the mode in which it was."""
        was_training = model.training
        model.eval()
        with torch.no_grad():
            value = float(self.loss(model))
            right = [float((model(x).argmax(-1) == y).float().mean()) for x, y in self.batches]
        model.train(was_training)
        return value, sum(right) / len(right)


def pass_over(task: str, seed: int, parameters: Mapping[str, Any], *, cases: int = 1_000) -> Pass:
    """Give training data of a task of classes.

    Parameters
    ----------
    task, seed, parameters
        Of the run.
    cases
        Training data that are taken, in batches of at most 250.
    """
    size = min(250, cases)
    data = bench.get_task(task).problem(seed, **{**parameters, "batch_size": size})
    generator = torch.Generator().manual_seed(0)
    batches = [data.batch(generator, step) for step in range(max(1, cases // size))]
    return Pass(batches, over_batches(data.loss, batches))


def rounded(values: Iterable[float | None]) -> list[float | None]:
    """Give values with six digits; None for what is not finite."""
    return [None if one is None or not abs(one) < float("inf") else float(f"{one:.6g}") for one in values]
