"""What a user names to be analysed: a function of theirs that gives a model and its loss."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from waddington.errors import ArgumentError, WaddingtonError

__all__ = ["Subject", "find_subject"]

_FORMS = "accepted is a task, a file of one task, module:function or file.py:function"
_KEYS = ("model", "loss", "optimizer", "paths")


@dataclass(frozen=True)
class Subject:
    """A model with its loss, and what else is known of how it was trained.

    Attributes
    ----------
    model
        A ``torch.nn.Module``.
    loss
        ``loss(model)``.
    optimizer
        What trained it, or None.
    paths
        Parameters along paths, by name, each of shape (T, n).
    left_out
        Names of the optimizers of a task whose runs diverged.
    """

    model: Any
    loss: Any
    optimizer: Any = None
    paths: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def find_subject(name: str, optimizers: Sequence[str] = (), *, seed: int = 0, steps: int | None = None) -> Subject:
    """Find what a name stands for: a function of the user's where it has a colon, else a task of the bench.

    Parameters
    ----------
    name
        ``module:function`` or ``file.py:function``; the function takes nothing and returns ``(model, loss)``,
        ``(model, loss, optimizer)``, or a mapping with these names and ``paths``. Or a task, which is trained.
    optimizers
        What trains a task, as ``waddington bench`` takes them.
    seed, steps
        Of a task.

    Raises
    ------
    ArgumentError
        There is no such function or task, it fails, or it returns something else.
    """
    from waddington import bench

    if ":" not in name:
        return _trained(_task(name), optimizers, seed, steps)
    found = _function(name)
    if isinstance(found, bench.Task):
        return _trained(bench.get_task(name), optimizers, seed, steps)
    if optimizers or steps is not None:
        raise ArgumentError(
            f"cannot train {name!r}: it is no task of the bench; accepted is no optimizer, and no steps"
        )
    return _subject_of(name, _call(name, found))


def _task(name: str) -> Any:
    """Find a task of the bench, or the one that a file holds, as `waddington bench` finds it."""
    from waddington import bench

    try:
        return bench.get_task(name)
    except ArgumentError as error:
        if not name.endswith(".py"):
            raise
        raise ArgumentError(f"cannot analyse {name!r}: {error}; {_FORMS}") from error


def _trained(task: Any, optimizers: Sequence[str], seed: int, steps: int | None) -> Subject:
    from waddington.bench.arm import parse_arm
    from waddington.bench.tracing import trace

    found = trace(task, [parse_arm(text) for text in optimizers or ("AdamW",)], seed=seed, steps=steps)
    return Subject(found.model, found.loss, found.optimizer, found.paths, found.diverged)


def _function(name: str) -> Any:
    place, _, function = name.rpartition(":")
    if not place:
        raise ArgumentError(f"cannot analyse {name!r}: {_FORMS}")
    module = _loaded(name, place)
    found = getattr(module, function, None)
    from waddington.bench import Task

    if not callable(found) and not isinstance(found, Task):
        known = [
            key
            for key, value in vars(module).items()
            if (callable(value) or isinstance(value, Task)) and not key.startswith("_")
        ]
        has = ", ".join(known) or "none"
        raise ArgumentError(f"cannot analyse {name!r}: {place} has no function {function!r}; it has {has}")
    return found


def _loaded(name: str, place: str) -> Any:
    """Import a module, or a file by its path; its folder is where it may import from."""
    if not place.endswith(".py"):
        _may_import_from(Path.cwd())
        return _call(name, lambda: importlib.import_module(place))
    path = Path(place).resolve()
    if not path.is_file():
        raise ArgumentError(f"cannot analyse {name!r}: there is no file {str(path)!r}; {_FORMS}")
    _may_import_from(path.parent)
    from waddington.bench.files import Fresh

    called = f"waddington_subject_{path.stem}"  # one of Python's own names would hide that module from all others
    spec = importlib.util.spec_from_file_location(called, path, loader=Fresh(called, str(path)))
    assert spec is not None and spec.loader is not None  # noqa: PT018 - a .py file has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[called] = module
    loader = spec.loader
    _call(name, lambda: loader.exec_module(module))
    return module


def _may_import_from(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _call(name: str, function: Callable[[], Any]) -> Any:
    """Run the user's code; what it raises becomes one line that says where."""
    try:
        return function()
    except WaddingtonError:
        raise
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}, line {last.lineno}"
        raise ArgumentError(
            f"cannot analyse {name!r}: {type(error).__name__}: {error} ({where}); accepted is code that runs"
        ) from error


def _subject_of(name: str, found: Any) -> Subject:
    from torch import nn, optim

    given = found
    if isinstance(found, tuple | list) and 2 <= len(found) <= 3:
        given = dict(zip(_KEYS, found, strict=False))
    if isinstance(given, Mapping) and {"model", "loss"} <= given.keys() <= set(_KEYS):
        subject = Subject(**{name: value for name, value in given.items() if name != "paths" or value is not None})
        is_optimizer = subject.optimizer is None or isinstance(subject.optimizer, optim.Optimizer)
        has_paths = isinstance(subject.paths, Mapping)
        if isinstance(subject.model, nn.Module) and callable(subject.loss) and is_optimizer and has_paths:
            return replace(subject, loss=_guarded(name, subject.loss))
    raise ArgumentError(
        f"cannot analyse {name!r}: it returns {_described(found)}; accepted is (model, loss), (model, loss, optimizer)"
        f" or a dictionary with {', '.join(_KEYS)}, where model is a torch.nn.Module, loss takes it, and paths are a"
        " dictionary"
    )


def _guarded(name: str, loss: Any) -> Any:
    """Have a loss of the user's fail in one line, as their function does; one over batches says what it lacks."""
    from waddington.analysis import BatchLoss

    return loss if isinstance(loss, BatchLoss) else lambda model: _call(name, lambda: loss(model))


def _described(found: Any) -> str:
    if isinstance(found, tuple | list):
        return f"({', '.join(type(value).__name__ for value in found)})"
    if isinstance(found, Mapping) and found:
        return "{" + ", ".join(f"{key}: {type(value).__name__}" for key, value in found.items()) + "}"
    return type(found).__name__
