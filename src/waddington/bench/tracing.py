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
from waddington.bench.problem import Problem
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
        Trained by the last optimizer that did not diverge.
    loss
        Of the model, on fixed batches of the task.
    optimizer
        That optimizer.
    paths
        Parameters along each run, by the arm's name, of shape (snapshots, n), all finite.
    diverged
        Names of the arms that are left out: they came to parameters or a metric that is not finite, and a picture wide
        enough for the way there would show nothing of the others.
    """

    model: nn.Module
    loss: BatchLoss
    optimizer: torch.optim.Optimizer
    paths: dict[str, torch.Tensor]
    diverged: tuple[str, ...]


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
        There is no optimizer, or every run diverged.
    """
    if not arms:
        raise ArgumentError(f"cannot trace task {task.name!r} without an optimizer; accepted are one or more")
    steps = task.steps if steps is None else steps
    check_count("steps", steps, 1)
    paths: dict[str, torch.Tensor] = {}
    diverged: list[str] = []
    last: tuple[Problem, torch.optim.Optimizer] | None = None
    for arm in arms:
        problem = task.problem(seed)
        wanted = problem.model.parameters() if problem.parameters is None else problem.parameters(problem.model)
        optimizer = build_optimizer(arm.reference, wanted, arm.arguments, digest=arm.digest)
        recorder = PathRecorder(problem.model)
        recorder.record()
        handle = optimizer.register_step_post_hook(lambda *_, recorder=recorder: recorder.record())
        trained = train(
            problem,
            optimizer,
            arm.schedule or Schedule(),
            Plan(steps=steps, seed=seed, evaluations=1, metric=task.metric),
        )
        handle.remove()
        points = torch.as_tensor(recorder.path().snapshots)
        if trained.diverged or not bool(points.isfinite().all()):
            diverged.append(arm.name)
        else:
            paths[arm.name], last = points, (problem, optimizer)
    if last is None:
        raise ArgumentError(f"cannot trace task {task.name!r}: every run diverged; accepted are smaller rates")
    problem, optimizer = last
    generator = torch.Generator().manual_seed(seed + _APART)
    batches = [problem.batch(generator, step) for step in range(_BATCHES)]
    return Traced(
        model=problem.model,
        loss=over_batches(problem.loss, batches),
        optimizer=optimizer,
        paths=paths,
        diverged=tuple(diverged),
    )
