"""Paths of optimizers on a task, for a picture of its loss surface with these paths on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from waddington._checks import check_count
from waddington.analysis import BatchLoss, PathRecorder, over_batches
from waddington.bench._task import Task
from waddington.bench.arm import Arm, build_optimizer
from waddington.bench.schedule import Schedule
from waddington.bench.training import Plan, train
from waddington.errors import ArgumentError

__all__ = ["Traced", "trace"]

_BATCHES = 8
_APART = 1_000_003  # the batches of the surface are others than those of the first steps


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What tracing gave.

    Attributes
    ----------
    model
        Trained by the last optimizer.
    loss
        Of the model, on fixed batches of the task.
    optimizer
        The last one.
    paths
        Parameters along each run, by the arm's name, of shape (snapshots, n); without those that are not finite.
    """

    model: nn.Module
    loss: BatchLoss
    optimizer: torch.optim.Optimizer
    paths: dict[str, torch.Tensor]


def trace(task: Task, arms: Sequence[Arm], *, seed: int = 0, steps: int | None = None) -> Traced:
    """Train a task with each optimizer, from one start and on the same batches, and keep the paths.

    Parameters
    ----------
    task
        The task.
    arms
        Optimizers with their arguments; nothing is searched.
    seed
        Of initialization, data and noise.
    steps
        Of each run; the task's own without it.

    Returns
    -------
    Traced
        Paths, and the surface that they lie on.

    Raises
    ------
    ArgumentError
        There is no optimizer, or every run diverged at its first step.
    """
    if not arms:
        raise ArgumentError(f"cannot trace task {task.name!r} without an optimizer; accepted are one or more")
    steps = task.steps if steps is None else steps
    check_count("steps", steps, 1)
    paths = {}
    for arm in arms:
        problem = task.problem(seed)
        wanted = problem.model.parameters() if problem.parameters is None else problem.parameters(problem.model)
        optimizer = build_optimizer(arm.reference, wanted, arm.arguments, digest=arm.digest)
        recorder = PathRecorder(problem.model)
        recorder.record()
        handle = optimizer.register_step_post_hook(lambda *_, recorder=recorder: recorder.record())
        train(
            problem,
            optimizer,
            arm.schedule or Schedule(),
            Plan(steps=steps, seed=seed, evaluations=1, metric=task.metric),
        )
        handle.remove()
        points = torch.as_tensor(recorder.path().snapshots)
        paths[arm.name] = points[points.isfinite().all(dim=1)]
    generator = torch.Generator().manual_seed(seed + _APART)
    batches = [problem.batch(generator, step) for step in range(_BATCHES)]
    kept = {name: points for name, points in paths.items() if len(points) > 1}
    if not kept:
        raise ArgumentError(f"cannot trace task {task.name!r}: every run diverged at once; accepted are smaller rates")
    return Traced(model=problem.model, loss=over_batches(problem.loss, batches), optimizer=optimizer, paths=kept)
