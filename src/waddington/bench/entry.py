"""A task in a study, and how long it is trained: known beforehand, or open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from waddington._checks import check_choice, check_count, check_known
from waddington.bench import catalog
from waddington.bench._task import Task, sized
from waddington.bench.schedule import Schedule

__all__ = ["HORIZONS", "KNOWN", "OPEN", "Criterion", "Entry", "Horizon"]

Criterion: TypeAlias = Literal["final", "anytime"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A task in a study, with everything that its runs depend on.

    Attributes
    ----------
    task, version, digest
        As :class:`~waddington.bench.Task` has them.
    parameters
        Where they are not the defaults.
    steps, evaluations, patience
        As :class:`~waddington.bench.Plan` has them.
    metric, larger_is_better
        What is compared.
    source
        Where the task is found.
    known
        Names of the task's parameters, where a study's file has kept them; None asks the task.
    """

    task: str
    version: int = 1
    digest: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    steps: int
    evaluations: int = 20
    patience: int | None = None
    metric: str = "loss"
    larger_is_better: bool = False
    source: str = field(default="", compare=False)
    known: tuple[str, ...] | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls,
        task: str | Task,
        *,
        size: Literal["full", "tiny"] = "full",
        steps: int | None = None,
        patience: int | None = None,
        **parameters: Any,
    ) -> Entry:
        """Enter a task.

        Parameters
        ----------
        task
            As :func:`waddington.bench.catalog.get` takes it.
        size
            ``"tiny"`` runs the same code in a second.
        steps
            In the place of the task's own.
        patience
            Evaluations without a better one after which a run stops.
        **parameters
            Of the task.

        Raises
        ------
        UnknownNameError
            No such task or parameter.
        """
        found = catalog.get(task)
        own_steps, usual = sized(found, size)
        for name in parameters:
            check_known(f"parameter of task {found.name!r}", name, found.parameters)
        if steps is not None:
            check_count("steps", steps, 1)
        if patience is not None:
            check_count("patience", patience, 1)
        return cls(
            task=found.name,
            version=found.version,
            digest=found.digest,
            parameters={**usual, **parameters},
            steps=steps or own_steps,
            evaluations=min(found.evaluations, steps or own_steps),
            patience=patience,
            metric=found.metric,
            larger_is_better=found.larger_is_better,
            source=found.source,
        )

    @property
    def found(self) -> Task:
        """The task."""
        return catalog.get(f"{self.source}:{self.task}" if self.source else self.task)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the task's parameters."""
        return tuple(self.found.parameters) if self.known is None else self.known

    @property
    def label(self) -> str:
        """The task with its parameters, for people."""
        said = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.task} ({said})" if said else self.task


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """Whether the length of a training is known beforehand, and what is compared then.

    Attributes
    ----------
    name
        Its name in tables.
    schedule
        Of every arm that has none of its own.
    criterion
        ``"final"``: the metric at the end of the whole schedule. ``"anytime"``: its mean over the evaluations of the
        run, for trainings that may be stopped whenever somebody likes.
    """

    name: str
    schedule: Schedule = field(default_factory=Schedule)
    criterion: Criterion = "final"

    def __post_init__(self) -> None:
        check_choice("criterion", self.criterion, ("final", "anytime"))


KNOWN = Horizon(name="known", schedule=Schedule(name="cosine"), criterion="final")
OPEN = Horizon(name="open", schedule=Schedule(name="constant"), criterion="anytime")
HORIZONS = {"known": KNOWN, "open": OPEN}
