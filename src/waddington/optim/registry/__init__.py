"""Optimizers by name: class, fixed arguments, defaults, what is worth tuning. Read by twin, bench and CLI.

Every override is checked against the signature of the class before anything is built, because a mistyped argument that
an optimizer swallows is a comparison that never took place. Other libraries' optimizers need the extra `baselines` and
are imported when their class is asked for; looking a name up imports nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from waddington._checks import check_known
from waddington._errors import ArgumentError
from waddington.optim._moved import with_new_names
from waddington.optim.registry.baselines import BASELINES
from waddington.optim.registry.ours import CATALOGUE
from waddington.optim.registry.spec import OptimizerSpec

__all__ = ["OptimizerSpec", "build", "get", "names", "resolve"]

_SPECS = {spec.name: spec for spec in (*CATALOGUE, *BASELINES)}


def names() -> tuple[str, ...]:
    """Give the registered names, whether or not their libraries are installed."""
    return tuple(_SPECS)


def get(name: str) -> OptimizerSpec:
    """Look an optimizer up by name, without regard to case.

    Raises
    ------
    UnknownNameError
        With the closest name and all of them.
    """
    return _SPECS[check_known("optimizer", name, _SPECS)]


def resolve(
    name: str, *, ignore_unsupported: bool = False, **overrides: Any
) -> tuple[type[torch.optim.Optimizer], dict[str, Any]]:
    """Give the class and the complete keyword arguments of an optimizer.

    Parameters
    ----------
    name
        A registered name.
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
    spec = get(name)
    arguments = spec.arguments
    overrides = with_new_names(spec.name, getattr(spec.cls, "_renamed", {}), overrides)
    unsupported = [key for key in overrides if key not in arguments]
    if unsupported and not ignore_unsupported:
        raise ArgumentError(
            f"cannot use {', '.join(f'{key}={overrides[key]!r}' for key in unsupported)} with {spec.name}: accepted are"
            f" {', '.join(arguments)}"
        )
    supported = {key: value for key, value in overrides.items() if key not in unsupported}
    return spec.cls, {**spec.defaults, **supported, **spec.kwargs}


def build(name: str, params: ParamsT, **overrides: Any) -> torch.optim.Optimizer:
    """Build an optimizer by name.

    Parameters
    ----------
    name
        A registered name.
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
        the value, its own ValueError.
    """
    cls, kwargs = resolve(name, **overrides)
    return cls(params, **kwargs)
