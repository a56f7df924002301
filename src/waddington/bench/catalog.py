"""Tasks by name: this package's, those that other packages register as entry points, and those of a file or module."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from waddington._checks import check_known
from waddington.bench import files
from waddington.bench._task import Task, unknown_task
from waddington.errors import ArgumentError

__all__ = ["HOMES", "get", "names"]

GROUP = "waddington.tasks"
"""Entry points of this group are tasks: a :class:`~waddington.bench.Task`, or a mapping of its fields."""

HOMES: dict[str, str] = {
    "quadratic": "analytic",
    "paper-quadratic": "analytic",
    "rosenbrock": "analytic",
    "digits": "digits",
    "autoencoder": "digits",
    "a9a": "convex",
    "heavy-tailed-logistic": "convex",
    "mnist-cnn": "mnist",
    "lenet": "mnist",
    "mnist-autoencoder": "mnist",
    "cifar-resnet8": "cifar",
    "char-lstm": "language",
    "char-transformer": "language",
    "ptb-lstm": "language",
    "glue-bert": "glue",
    "cifar-resnet": "cifar",
    "cifar-vgg16": "cifar",
    "cifar-vit": "cifar",
    "ptb-lstm-large": "language",
    "digits-adversarial": "adversarial",
    "cifar-adversarial": "adversarial",
    "gpt2": "gpt2",
    "glue-roberta": "glue",
    "gsm8k-llama": "gsm8k",
    "imagenet-resnet50": "imagenet",
    "imagenet-vit": "imagenet",
    "glue-bert-base": "glue",
}
"""Module of ``waddington.bench.tasks`` by the name of a task, so that a name is known before its module is loaded."""


def names() -> tuple[str, ...]:
    """Give the names of all tasks that are known without a file."""
    return (*HOMES, *(point for point in _points() if point not in HOMES))


def get(task: str | Task) -> Task:
    """Look a task up.

    Parameters
    ----------
    task
        A name, ``"file.py"`` with one task, ``"file.py:name"``, ``"module:name"``, or a task.

    Raises
    ------
    UnknownNameError
        No such task; names the closest spelling.
    ArgumentError
        The file cannot be run, or a task is not made of what a task is made of.
    """
    if isinstance(task, Task):
        return task
    place, colon, name = task.rpartition(":")
    path = Path(place if colon else task)
    if path.suffix == ".py":
        return _of_file(path, name if colon else None)
    if colon:
        return _of_module(place, name)
    known = task if task in HOMES else check_known("task", task, names())
    if known in HOMES:
        return _chosen(importlib.import_module(f"waddington.bench.tasks.{HOMES[known]}"), known, known)
    return _of_point(known)


def _of_point(name: str) -> Task:
    try:
        found = _points()[name].load()
    except Exception as error:
        raise ArgumentError(
            f"cannot load the entry point {name!r} of {GROUP}: {type(error).__name__}: {error}; accepted: a"
            " package that can be imported"
        ) from error
    if isinstance(found, Task):
        return found
    if isinstance(found, Mapping):
        return Task(**{"name": name, **found})
    raise ArgumentError(
        f"cannot use the entry point {name!r} of {GROUP}: found {type(found).__name__}; accepted is a Task or a mapping"
        " of its fields"
    )


def _of_file(path: Path, name: str | None) -> Task:
    reference = str(path) + (f":{name}" if name else "")
    try:
        module, source, digest = files.load(path)
    except OSError as error:
        raise unknown_task(reference, f"the file cannot be read ({error.strerror or error})") from error
    return _placed(_chosen(module, name, reference), source, digest)


def _of_module(place: str, name: str) -> Task:
    try:
        module = importlib.import_module(place)
    except ImportError as error:
        raise unknown_task(f"{place}:{name}", str(error)) from error
    return _placed(_chosen(module, name, f"{place}:{name}"), place, "")


def _chosen(module: ModuleType, name: str | None, reference: str) -> Task:
    found = {one.name: one for one in vars(module).values() if isinstance(one, Task)}
    if name is not None:
        if name not in found:
            raise unknown_task(reference, f"it has {', '.join(found) or 'no task'}")
        return found[name]
    if len(found) != 1:
        raise unknown_task(reference, f"it has {', '.join(found) or 'no task: is the function decorated?'}")
    return next(iter(found.values()))


def _placed(found: Task, source: str, digest: str) -> Task:
    fields: dict[str, Any] = {name: getattr(found, name) for name in Task.__dataclass_fields__}
    return Task(**{**fields, "source": source, "digest": digest})


@functools.cache
def _points() -> Mapping[str, Any]:
    """Give entry points by name; reading those of all installed packages takes longer than a short run."""
    found: Iterable[Any] = entry_points(group=GROUP)
    return {point.name: point for point in sorted(found, key=lambda point: str(point.name))}
