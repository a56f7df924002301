"""A run: one training of one task by one optimizer at one seed; its fields say everything its record depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from waddington import jobs
from waddington.bench import catalog
from waddington.bench._task import Task
from waddington.bench.arm import build_optimizer, find_optimizer
from waddington.bench.schedule import Schedule
from waddington.bench.trackers import watching
from waddington.bench.training import Plan, train
from waddington.errors import ArgumentError

__all__ = ["Run"]


@dataclass(frozen=True, kw_only=True)
class Run(jobs.Job):
    """One training.

    Attributes
    ----------
    task
        Name of the task; where it is found is no part of the key.
    task_version, digest
        Version and, of a task from a file, hash of that file.
    parameters
        Of the task, where they are not its defaults.
    optimizer, arguments
        As :func:`~waddington.bench.arm.build_optimizer` takes them.
    optimizer_digest
        Hash of the file that the optimizer is read from.
    schedule
        Of the rate.
    steps, evaluations, patience
        As :class:`~waddington.bench.Plan` has them.
    metric
        Of the task; ``-metric`` where larger is better.
    seed
        Of initialization, data order and noise.
    test
        Whether the test split is evaluated, once, at the end.
    """

    kind: ClassVar[str] = "waddington.bench.Run"
    version: ClassVar[int] = 1

    task: str
    task_version: int = 1
    digest: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    optimizer_digest: str = ""
    schedule: Schedule = field(default_factory=Schedule)
    steps: int
    evaluations: int = 20
    patience: int | None = None
    metric: str = "loss"
    seed: int
    test: bool = False
    source: str = field(default="", compare=False)
    """Where the task is found: a file or module; empty for one that is known by its name."""
    place: str = field(default="", compare=False)
    """The file that the optimizer is read from; empty for one that is known by its name."""

    trackers: tuple[str, ...] = field(default=(), compare=False)
    """Names of trackers that are told how it goes; see :mod:`waddington.bench.trackers`."""

    @property
    def label(self) -> str:
        """Task, optimizer and seed."""
        return f"{self.task} · {self.optimizer} · seed {self.seed}"

    def check_files(self) -> None:
        """Make sure that the task and the optimizer are where they were, and what they were; those with a name are.

        Raises
        ------
        ArgumentError
            A file has changed, or is not there.
        """
        if self.source:
            self._task()
        if self.place:
            find_optimizer(self._reference, self.optimizer_digest)

    def run(self, context: jobs.Context) -> dict[str, Any]:
        """Train."""
        task = self._task()
        problem = task.problem(self.seed, **self.parameters)
        parameters = problem.parameters or (lambda model: model.parameters())
        optimizer = build_optimizer(
            self._reference, parameters(problem.model), self.arguments, digest=self.optimizer_digest
        )
        plan = Plan(
            steps=self.steps,
            seed=self.seed,
            evaluations=self.evaluations,
            metric=self.metric.lstrip("-"),
            larger_is_better=self.metric.startswith("-"),
            patience=self.patience,
            test=self.test,
        )
        name = f"{self.task}-{self.optimizer.replace(':', '.')}-{self.seed}-{self.key[:8]}"
        with watching(self.trackers, context.root, name, self.spec) as watch:
            found = train(
                problem,
                optimizer,
                self.schedule,
                plan,
                tell=context.progress,
                watch=watch,
                folder=context.folder_of(self),
            )
        columns = dict.fromkeys(name for row in found.curve for name in row if name != "seconds")
        return {
            "curve": {name: [row[name] for row in found.curve] for name in columns},
            "test": found.test,
            "diverged": found.diverged,
            "first_loss": found.first_loss,
            "steps": found.steps,
            "state_bytes": found.state_bytes,
            "clock": {**found.seconds, "at": [row["seconds"] for row in found.curve]},
        }

    @property
    def _reference(self) -> str:
        return f"{self.place}:{self.optimizer}" if self.place else self.optimizer

    def _task(self) -> Task:
        found = catalog.get(f"{self.source}:{self.task}" if self.source else self.task)
        if (found.digest, found.version) != (self.digest, self.task_version):
            raise ArgumentError(
                f"cannot run {self.task!r}: it has changed since the study was made; accepted: a new study of it"
            )
        return found
