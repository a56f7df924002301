"""A task: a function of a seed that gives a problem, with how long it is trained and what is compared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from waddington._checks import check_choice, check_count, check_known
from waddington.bench import _seeding
from waddington.bench.problem import Problem
from waddington.errors import ArgumentError, UnknownNameError

__all__ = ["Task", "Tier", "sized", "task", "unknown_task"]

Tier: TypeAlias = Literal["seconds", "minutes", "gpu", "gpus"]
"""What one run needs: seconds or minutes of a core, one GPU, several."""

Make: TypeAlias = Callable[..., Problem | Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A training problem with a name.

    Attributes
    ----------
    name
        Its name in tables, files and on the command line.
    make
        ``(seed, **parameters) -> Problem``, or a mapping of a Problem's fields. Parameters are its keyword-only
        arguments; each has a default. Random numbers of torch, numpy and Python are seeded
        before, so that what is made in it begins alike for every optimizer.
    steps
        Steps of one run.
    metric
        What is compared, out of what the problem's `evaluate` gives.
    larger_is_better
        The metric's direction.
    tiny
        Parameters, ``steps`` among them, of a size that runs in a second: the same code for tests.
    evaluations
        How many times a run evaluates, after the first.
    tier
        What one run needs.
    needs
        Data sets that are read from disk, by name.
    about
        One sentence: model, data, source.
    source
        Where the task was found: empty for one that is known by its name, ``file.py`` or ``module`` else.
    digest
        Hash of the file that it was read from, so that records of another version are not taken for this one's.
    version
        Raised by whoever changes what a task computes.
    """

    name: str
    make: Make
    steps: int
    metric: str = "loss"
    larger_is_better: bool = False
    tiny: Mapping[str, Any] = field(default_factory=dict)
    evaluations: int = 20
    tier: Tier = "seconds"
    needs: tuple[str, ...] = ()
    about: str = ""
    source: str = ""
    digest: str = ""
    version: int = 1

    def __post_init__(self) -> None:
        check_count(f"steps of task {self.name!r}", self.steps, 1)
        check_count(f"evaluations of task {self.name!r}", self.evaluations, 1)
        check_choice(f"tier of task {self.name!r}", self.tier, get_args(Tier))
        self._check_signature()
        for name in self.tiny:
            if name != "steps":
                check_known(f"parameter of task {self.name!r}", name, self.parameters)

    @property
    def parameters(self) -> dict[str, Any]:
        """Its parameters with their defaults, such as ``batch_size``."""
        return {
            name: parameter.default
            for name, parameter in inspect.signature(self.make).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }

    @property
    def reference(self) -> str:
        """The text under which another process finds it."""
        return f"{self.source}:{self.name}" if self.source else self.name

    def problem(self, seed: int, **parameters: Any) -> Problem:
        """Make the problem of a seed; global random numbers are the seed's meanwhile, and come back.

        Parameters
        ----------
        seed
            Of initialization, noise and data order.
        **parameters
            In the place of the defaults.

        Raises
        ------
        UnknownNameError
            A parameter that the task does not have.
        ArgumentError
            The function gives no problem.
        """
        for name in parameters:
            if name not in self.parameters:
                check_known(f"parameter of task {self.name!r}", name, self.parameters)
        with _seeding.seeded(seed):
            found = self.make(seed, **parameters)
        if isinstance(found, Mapping):
            found = Problem(**found)
        if not isinstance(found, Problem):
            raise ArgumentError(
                f"cannot use task {self.name!r}: it gave a {type(found).__name__}; accepted is a"
                " waddington.bench.Problem or a mapping of its fields"
            )
        return found

    def _check_signature(self) -> None:
        listed = list(inspect.signature(self.make).parameters.values())
        first = listed[0] if listed else None
        is_positional = first is not None and first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD)
        rest = [p for p in listed[1:] if p.kind is not p.KEYWORD_ONLY or p.default is p.empty]
        if not is_positional or rest:
            names = ", ".join(p.name for p in rest) or "no seed"
            raise ArgumentError(
                f"cannot use the function of task {self.name!r}: found {names}; accepted is a function of a seed whose"
                " other arguments are keyword-only and have defaults: def digits(seed, *, batch_size=32)"
            )


def task(*, steps: int, name: str | None = None, **settings: Any) -> Callable[[Make], Task]:
    """Make a function of a seed a task.

    ::

        @bench.task(steps=200)
        def spirals(seed, *, hidden=32):
            ...
            return bench.supervised(model, F.cross_entropy, train=(x, y), validation=..., test=...)

    Parameters
    ----------
    steps
        Steps of one run.
    name
        The function's name unless said otherwise.
    **settings
        As for :class:`Task`.

    Raises
    ------
    ArgumentError
        A setting lies outside what is accepted.
    """

    def made(function: Make) -> Task:
        called = name or getattr(function, "__name__", "task").replace("_", "-")
        about = settings.pop("about", "") or (inspect.getdoc(function) or "").partition("\n")[0]
        known = Task.__dataclass_fields__.keys() - {"make", "name", "steps", "about"}
        for setting in settings:
            check_known("setting of a task", setting, sorted(known))
        return Task(name=called, make=function, steps=steps, about=about, **settings)

    return made


def sized(found: Task, size: Literal["full", "tiny"]) -> tuple[int, dict[str, Any]]:
    """Give the steps and parameters of a size."""
    check_choice("size", size, ("full", "tiny"))
    tiny = dict(found.tiny) if size == "tiny" else {}
    return int(tiny.pop("steps", found.steps)), tiny


def unknown_task(name: str, why: str) -> UnknownNameError:
    """Say that there is no such task, and what is accepted."""
    return UnknownNameError(
        f"unknown task {name!r}: {why}; accepted are a name that `waddington bench list` shows, a file (`my_task.py`,"
        " or `my_task.py:name` where it has several), or `module:name`"
    )
