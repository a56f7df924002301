"""Optimizers by name: class, fixed arguments, defaults, what is worth tuning. Read by twin, bench and CLI.

An optimizer is named one way everywhere: by a registered name (``"ASGDAdam"``), by ``"module:Class"``, which imports
it, by a class (``torch.optim.RAdam``), or by a factory, which is called with the parameters and gives the optimizer
(``lambda params: torch.optim.RAdam(params, lr=1e-3)``, ``functools.partial(AMVT, variance="moments")``). Classes and
factories have the defaults that they are written with, names those of the registry.

Every override is checked against the signature of the class before anything is built, because a mistyped argument that
an optimizer swallows is a comparison that never took place. Other libraries' optimizers need the extra `baselines` and
are imported when their class is asked for; looking a name up imports nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from waddington.errors import ArgumentError
from waddington.optim._moved import with_new_names
from waddington.optim.registry import naming
from waddington.optim.registry.baselines import BASELINES
from waddington.optim.registry.naming import OptimizerLike
from waddington.optim.registry.ours import CATALOGUE
from waddington.optim.registry.spec import OptimizerSpec

__all__ = ["OptimizerLike", "OptimizerSpec", "build", "get", "name_of", "names", "register", "resolve"]

_SPECS = {spec.name: spec for spec in (*CATALOGUE, *BASELINES)}


def names() -> tuple[str, ...]:
    """Give the registered names, whether or not their libraries are installed."""
    return tuple(_SPECS)


def get(optimizer: OptimizerLike) -> OptimizerSpec:
    """Look an optimizer up.

    Parameters
    ----------
    optimizer
        A registered name, without regard to case, ``"module:Class"``, a class, or a factory.

    Raises
    ------
    UnknownNameError
        With the closest name and all of them.
    ArgumentError
        What is given is none of these, such as an optimizer that is built already.
    """
    return naming.spec_of(optimizer, _SPECS)


def name_of(optimizer: OptimizerLike) -> str:
    """Give the name under which an optimizer is found again, by another process or a later one.

    Parameters
    ----------
    optimizer
        A name, a class, or a factory that can be imported. A class has its registered name where the registry has the
        defaults that it is written with, else ``"module:Class"``.

    Raises
    ------
    UnknownNameError
        No such name.
    ArgumentError
        It has no name: a lambda, a partial, what is defined inside a function or in a notebook.
    """
    return naming.name_of(optimizer, _SPECS)


def register(
    name: str,
    optimizer: OptimizerLike,
    *,
    defaults: Mapping[str, Any] | None = None,
    tunable: Mapping[str, tuple[float, float]] | None = None,
    paper: str = "",
    needs: str = "",
) -> OptimizerSpec:
    """Give an optimizer of your own a name in this process.

    Other processes do not know it. What is computed by several, and the command line, find it as ``"module:Class"``.

    Parameters
    ----------
    name
        A name that is not taken, whatever its case, without a colon.
    optimizer
        A class, a factory, or ``"module:Class"``.
    defaults
        Arguments in place of those that it is written with.
    tunable
        Ranges to search, by argument, as :class:`OptimizerSpec` has them.
    paper, needs
        Where it is defined; what a caller has to know.

    Returns
    -------
    OptimizerSpec
        What :func:`get` gives from now on.

    Raises
    ------
    ArgumentError
        The name is taken or none, what is named is no optimizer, or it lacks an argument of `defaults`.
    """
    same = [entry for entry in _SPECS if entry.casefold() == name.casefold()]
    if same or not name or ":" in name:
        known = f"{same[0]!r} is taken; " if same else ""
        raise ArgumentError(f"cannot use name={name!r}: {known}accepted is a new name without a colon")
    found = get(optimizer)
    _check_arguments(found, defaults or {})
    spec = OptimizerSpec(
        name=name,
        source=found.source,
        package=found.package,
        kwargs=found.kwargs,
        defaults={**found.defaults, **(defaults or {})},
        paper=paper or found.paper,
        switching="alpha_min" in found.arguments,
        modes=found.modes,
        needs=needs or found.needs,
        tunable=dict(tunable or found.tunable),
    )
    _SPECS[name] = spec
    return spec


def resolve(
    optimizer: OptimizerLike, *, ignore_unsupported: bool = False, **overrides: Any
) -> tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]:
    """Give the class, or the factory, and the complete keyword arguments of an optimizer.

    Parameters
    ----------
    optimizer
        A name, a class, or a factory, as for :func:`get`.
    ignore_unsupported
        Leave out overrides that the optimizer has no argument for, such as `betas` for SGD. For comparisons that hand
        the same settings to all.
    **overrides
        Arguments in place of the defaults.

    Returns
    -------
    cls, kwargs
        ``cls(params, **kwargs)`` builds it; so does Stable-Baselines3 from ``optimizer_class`` and, less ``lr``,
        ``optimizer_kwargs``.

    Raises
    ------
    UnknownNameError
        No such optimizer.
    MissingExtraError
        Its library is not installed.
    ArgumentError
        An override that the optimizer has no argument for, or that would make it another one.
    """
    spec = get(optimizer)
    arguments = spec.arguments
    overrides = with_new_names(spec.name, getattr(spec.cls, "_renamed", {}), overrides)
    if not ignore_unsupported:
        _check_arguments(spec, overrides)
    _check_kinds(spec, overrides)
    supported = {key: value for key, value in overrides.items() if key in arguments}
    return spec.cls, {**spec.defaults, **supported, **spec.kwargs}


def _check_arguments(spec: OptimizerSpec, given: Mapping[str, Any]) -> None:
    unsupported = [f"{key}={value!r}" for key, value in given.items() if key not in spec.arguments]
    if unsupported:
        accepted = ", ".join(spec.arguments) or "none, for it takes the parameters alone"
        raise ArgumentError(f"cannot use {', '.join(unsupported)} with {spec.name}: accepted are {accepted}")


def _check_kinds(spec: OptimizerSpec, given: Mapping[str, Any]) -> None:
    """Refuse what Python would take for another kind: True as the number 1, and the text ``"false"`` as true."""
    usual = spec.usual if any(isinstance(value, bool | str) for value in given.values()) else {}
    for name, value in given.items():
        default = usual.get(name)
        if isinstance(default, bool) and isinstance(value, str):
            raise ArgumentError(f"cannot use {name}={value!r} with {spec.name}: {name} must be one of False, True")
        if isinstance(default, int | float) and not isinstance(default, bool) and isinstance(value, bool):
            raise ArgumentError(
                f"cannot use {name}={value} with {spec.name}: {name} must be a number, such as {default}"
            )


def build(optimizer: OptimizerLike, params: ParamsT, **overrides: Any) -> torch.optim.Optimizer:
    """Build an optimizer.

    Parameters
    ----------
    optimizer
        A name, a class, or a factory, as for :func:`get`.
    params
        Parameters, groups or named parameters.
    **overrides
        As for :func:`resolve`.

    Raises
    ------
    UnknownNameError
        No such optimizer.
    MissingExtraError
        Its library is not installed.
    ArgumentError
        An override that the optimizer has no argument for, or a value outside its range; where another library checks
        the value, its own ValueError. Or a factory gives something else than an optimizer.
    """
    cls, kwargs = resolve(optimizer, **overrides)
    found = cls(params, **kwargs)
    if not isinstance(found, torch.optim.Optimizer):
        raise ArgumentError(
            f"cannot use optimizer={get(optimizer).name}: it gives a {type(found).__name__}; accepted is what gives a"
            " torch.optim.Optimizer"
        )
    return found
