"""Optimizers by name: class, fixed arguments, defaults, what is worth tuning. Read by twin, bench and CLI.

Every override is checked against the signature of the class before anything is built, because a mistyped argument that
an optimizer swallows is a comparison that never took place.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from waddington._checks import check_known
from waddington._errors import ArgumentError
from waddington.optim.asgd import ASGDAdam, ASGDAMSGrad
from waddington.optim.padam import Padam

__all__ = ["OptimizerSpec", "build", "get", "names", "resolve"]

_RATES = (1e-7, 1e-1)
_BETA2 = (0.9, 0.999)


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerSpec:
    """What the package knows of one optimizer.

    Attributes
    ----------
    name
        Its name in tables, files and on the command line.
    cls
        The class.
    kwargs
        Arguments that make it what its name says and cannot be overridden.
    defaults
        Every other argument worth knowing, with the value used where nobody says otherwise.
    paper
        Where it was defined.
    switching
        Whether a base-rate switch chooses its rate.
    tunable
        Ranges to search, by argument; all rates are to be searched on a log scale.
    """

    name: str
    cls: type[torch.optim.Optimizer]
    kwargs: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    paper: str
    switching: bool = False
    tunable: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the arguments that may be overridden."""
        parameters = list(inspect.signature(self.cls).parameters.values())[1:]
        named = (p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))
        return tuple(name for name in named if name not in self.kwargs)


_ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
_SWITCHED = {
    "lr": 1e-2,
    "alpha_min": 1e-4,
    "betas": (0.9, 0.999),
    "eps": 1e-8,
    "weight_decay": 0.0,
    "switch": "relative",
    "large_rate_in": "sharp",
    "switch_interval": 10,
}
_ASGD_PAPER = "Enhanced adaptive stochastic gradient descent for single-cell perturbation, Algorithm {}"
_SPECS = {
    spec.name: spec
    for spec in (
        OptimizerSpec(
            name="Adam",
            cls=torch.optim.Adam,
            kwargs={"amsgrad": False},
            defaults=dict(_ADAM),
            paper="Kingma & Ba 2015, ICLR",
            tunable={"lr": _RATES, "beta2": _BETA2},
        ),
        OptimizerSpec(
            name="AMSGrad",
            cls=torch.optim.Adam,
            kwargs={"amsgrad": True},
            defaults=dict(_ADAM),
            paper="Reddi, Kale & Kumar 2018, ICLR",
            tunable={"lr": _RATES, "beta2": _BETA2},
        ),
        OptimizerSpec(
            name="AdamW",
            cls=torch.optim.AdamW,
            kwargs={"amsgrad": False},
            defaults={**_ADAM, "weight_decay": 1e-2},
            paper="Loshchilov & Hutter 2019, ICLR",
            tunable={"lr": _RATES, "beta2": _BETA2, "weight_decay": (1e-4, 1e-1)},
        ),
        OptimizerSpec(
            name="SGD",
            cls=torch.optim.SGD,
            defaults={"lr": 1e-2, "momentum": 0.9, "weight_decay": 0.0},
            paper="Robbins & Monro 1951; momentum: Polyak 1964",
            tunable={"lr": (1e-5, 1.0), "momentum": (0.0, 0.99)},
        ),
        OptimizerSpec(
            name="ASGDAdam",
            cls=ASGDAdam,
            defaults=dict(_SWITCHED),
            paper=_ASGD_PAPER.format(1),
            switching=True,
            tunable={"lr": _RATES, "alpha_min": _RATES, "beta2": _BETA2},
        ),
        OptimizerSpec(
            name="ASGDAMSGrad",
            cls=ASGDAMSGrad,
            defaults=dict(_SWITCHED),
            paper=_ASGD_PAPER.format(2),
            switching=True,
            tunable={"lr": _RATES, "alpha_min": _RATES, "beta2": _BETA2},
        ),
        OptimizerSpec(
            name="Padam",
            cls=Padam,
            defaults={"lr": 1e-2, "p": 0.125, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
            paper="Chen et al. 2020, IJCAI",
            tunable={"lr": _RATES, "p": (1 / 16, 1 / 4), "beta2": _BETA2},
        ),
    )
}


def names() -> tuple[str, ...]:
    """Give the registered names."""
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
    ArgumentError
        An override that the optimizer has no argument for, or that would make it another one.
    """
    spec = get(name)
    unsupported = [key for key in overrides if key not in spec.arguments]
    if unsupported and not ignore_unsupported:
        raise ArgumentError(
            f"cannot use {', '.join(f'{key}={overrides[key]!r}' for key in unsupported)} with {spec.name}: accepted are"
            f" {', '.join(spec.arguments)}"
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
    ArgumentError
        An override that the optimizer has no argument for, or a value outside its range.
    """
    cls, kwargs = resolve(name, **overrides)
    return cls(params, **kwargs)
