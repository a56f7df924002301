"""What stands for an optimizer: a registered name, ``module:name``, a class, or a factory."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from waddington._checks import check_known
from waddington.errors import ArgumentError, UnknownNameError
from waddington.optim.registry.spec import OptimizerSpec

__all__ = ["OptimizerLike", "name_of", "spec_of"]

OptimizerLike = str | type[torch.optim.Optimizer] | Callable[..., torch.optim.Optimizer]
"""A registered name, ``"module:name"``, a class of optimizers, or what is called with parameters and gives one."""

_ACCEPTED = (
    "accepted are a registered name, 'module:name', a class of optimizers, and a function of the parameters that gives"
    " an optimizer"
)


def spec_of(optimizer: OptimizerLike, known: Mapping[str, OptimizerSpec]) -> OptimizerSpec:
    """Give what is known of an optimizer.

    A class or a factory stands for itself: it has the defaults that it is written with, not those of the registry.

    Raises
    ------
    UnknownNameError
        No such name, or nothing of that name in the module.
    ArgumentError
        It is none of what stands for an optimizer.
    """
    if isinstance(optimizer, str):
        if ":" not in optimizer:
            return known[check_known("optimizer", optimizer, known)]
        return _described(_imported(optimizer), optimizer)
    return _described(optimizer, None)


def name_of(optimizer: OptimizerLike, known: Mapping[str, OptimizerSpec]) -> str:
    """Give the name under which an optimizer is found again, also by another process and by a later one.

    Raises
    ------
    UnknownNameError
        No such name.
    ArgumentError
        It has none: a lambda, a partial, what is defined inside a function or in a notebook.
    """
    spec = spec_of(optimizer, known)
    if isinstance(optimizer, str):
        return spec.name
    for entry in known.values():
        if entry.source is optimizer and _is_written_so(entry):
            return entry.name
    name = f"{getattr(optimizer, '__module__', '')}:{getattr(optimizer, '__qualname__', '')}"
    try:
        found = None if name.startswith("__main__:") else _imported(name)
    except ArgumentError:
        found = None
    if found is not optimizer:
        raise ArgumentError(
            f"cannot name the optimizer {_brief(optimizer)}: it cannot be imported, so that nothing that was written"
            " down leads back to it; accepted are a registered name, and a class or function of a module"
        )
    return name


def _imported(name: str) -> Any:
    """Give what ``module:name`` stands for."""
    module, _, path = name.partition(":")
    try:
        return functools.reduce(getattr, path.split("."), importlib.import_module(module))
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownNameError(f"unknown optimizer {name!r}: {error}; {_ACCEPTED}") from error


def _described(optimizer: Any, name: str | None) -> OptimizerSpec:
    is_class = isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer)
    if not is_class and (isinstance(optimizer, type | torch.optim.Optimizer) or not callable(optimizer)):
        raise ArgumentError(f"cannot use optimizer={_brief(optimizer)}: {_ACCEPTED}")
    inner = optimizer
    while isinstance(inner, functools.partial):
        inner = inner.func
    own = getattr(inner, "__name__", type(inner).__name__)
    spec = OptimizerSpec(
        name=own if name is None else name,
        source=optimizer,
        package=getattr(inner, "__module__", "").partition(".")[0],
        paper="",
        modes=hasattr(inner, "train") and hasattr(inner, "eval"),
    )
    _check_signature(spec)
    return spec


def _check_signature(spec: OptimizerSpec) -> None:
    """Refuse what cannot be called with parameters."""
    try:
        inspect.signature(spec.cls).bind([])
    except TypeError as error:
        raise ArgumentError(
            f"cannot use optimizer={_brief(spec.source)}: it cannot be called with the parameters alone ({error});"
            f" {_ACCEPTED}"
        ) from error


def _is_written_so(spec: OptimizerSpec) -> bool:
    """Tell whether the registry's defaults of a class are those that it is written with."""
    written = inspect.signature(spec.cls).parameters
    return all(written[key].default == value for key, value in {**spec.defaults, **spec.kwargs}.items())


def _brief(given: object) -> str:
    """Say what was given, without printing a model."""
    if isinstance(given, torch.optim.Optimizer):
        return f"a {type(given).__name__} that is built already"
    return getattr(given, "__qualname__", None) or repr(given)[:80]
