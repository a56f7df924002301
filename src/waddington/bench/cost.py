"""What a step costs: an optimizer's time and memory beside torch's fused AdamW, on a task's own parameters."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch

from waddington import jobs
from waddington.bench.arm import Arm, build_optimizer
from waddington.bench.entry import Entry
from waddington.bench.training import state_bytes

__all__ = ["Cost", "costs_of"]

_BLOCK_S = 0.003
"""Length of a block of steps that one clock reading covers."""


@dataclass(frozen=True, kw_only=True)
class Cost(jobs.Job):
    """Time the steps of an optimizer against those of ``torch.optim.AdamW(fused=True)``.

    Blocks of both take turns, so that what else the machine does falls on both; the ratio is that of neighbours.
    Gradients are those of the first batch, and stay. The optimizer's first steps, which compile and allocate, are not
    timed.

    Attributes
    ----------
    entry
        The task.
    optimizer, arguments, digest, source
        As :class:`~waddington.bench.Arm` has them.
    rounds
        Pairs of blocks.
    seed
        Of the model.
    """

    kind: ClassVar[str] = "waddington.bench.Cost"

    entry: Entry
    optimizer: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    rounds: int = 15
    seed: int = 0
    source: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """Task and optimizer."""
        return f"step of {self.optimizer} on {self.entry.task}"

    def run(self, context: jobs.Context) -> dict[str, Any]:
        """Give the ratio of step times, its quartiles, and bytes of state, all under ``clock``."""
        problem = self.entry.found.problem(self.seed, **self.entry.parameters)
        loss = problem.loss(problem.model, problem.batch(torch.Generator().manual_seed(self.seed), 0))
        torch.autograd.backward(loss)
        reference = f"{self.source}:{self.optimizer}" if self.source else self.optimizer
        grouped = problem.parameters or (lambda model: model.parameters())
        twin = copy.deepcopy(problem.model)
        for ours, theirs in zip(problem.model.parameters(), twin.parameters(), strict=True):
            theirs.grad = None if ours.grad is None else ours.grad.clone()
        optimizer = build_optimizer(reference, grouped(problem.model), self.arguments, digest=self.digest)
        baseline = torch.optim.AdamW(twin.parameters(), lr=1e-6, fused=True)
        steps = _steps_in_a_block(optimizer.step), _steps_in_a_block(baseline.step)
        ratios = []
        for _ in range(self.rounds):
            first, second = _seconds(optimizer.step, steps[0]), _seconds(baseline.step, steps[1])
            ratios.append(first / second)
        low, middle, high = statistics.quantiles(ratios, n=4)
        bytes_ = state_bytes(optimizer) / max(1, state_bytes(baseline))
        return {"state_ratio": bytes_, "clock": {"ratio": middle, "low": low, "high": high}}


def costs_of(entries: tuple[Entry, ...], arms: tuple[Arm, ...], arguments: Mapping[str, Any]) -> list[Cost]:
    """Write down what is timed in a study: every arm on every task, with its fixed arguments.

    Parameters
    ----------
    entries, arms
        Of the study.
    arguments
        Shared ones, for arms that have them.
    """
    pairs = [(entry, arm, arm.given(arguments)) for entry in entries for arm in arms]
    return [
        Cost(
            entry=replace(entry, parameters={**entry.parameters, **given.task}),
            optimizer=arm.optimizer,
            arguments=given.optimizer,
            digest=arm.digest,
            source=arm.source,
        )
        for entry, arm, given in pairs
    ]


def _steps_in_a_block(step: Callable[[], Any]) -> int:
    for _ in range(5):
        step()
    return max(1, round(_BLOCK_S / max(_seconds(step, 3), 1e-9)))


def _seconds(step: Callable[[], Any], times: int) -> float:
    """Time steps; give the seconds of one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(times):
        step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - begun) / times
