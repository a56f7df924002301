"""Optimizers of a run with settings of their own: ``"ASGDAdam,alpha_min=1e-07,switch=mean"``.

A run has one `lr`, `beta2`, `eps`, … for all of its optimizers. What one of them has alone is written behind its name,
as the bench writes an arm. The text, in one spelling, is what jobs, tables and other processes know it by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from waddington._checks import check_known, check_once
from waddington._text import literal, split_commas
from waddington.errors import ArgumentError
from waddington.optim import registry
from waddington.optim.registry import OptimizerLike
from waddington.optim.switching import is_read

__all__ = [
    "INTERVAL",
    "PAPER_BETA2_GRID",
    "PAPER_GRID",
    "PAPER_OPTIMIZERS",
    "PAPER_P_GRID",
    "OptimizerSetting",
    "check_settings",
    "read_settings",
]

PAPER_OPTIMIZERS = (
    "Adam,lr=1e-4,beta2=0.99",
    "AMSGrad,lr=1e-4,beta2=0.99",
    "ASGDAdam,alpha_max=1e-4,alpha_min=1e-7,switch=mean,bias_correction=False",
    "ASGDAMSGrad,alpha_max=1e-4,alpha_min=1e-7,switch=mean,bias_correction=False",
    "Padam,lr=1e-2,p=0.125",
    "SGD,lr=3e-4,momentum=0.0",
)
"""The guide's benchmark with the settings of section IV.A of the ASGDAdam paper. ASGD is Algorithms 1 and 2 to the
letter. The paper names no rate of SGD: it is that at which its published code ran it, Stable-Baselines3's default."""

PAPER_GRID = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Learning rates that section IV.A of the ASGDAdam paper searches."""
PAPER_BETA2_GRID, PAPER_P_GRID = (0.9, 0.99, 0.999), (0.25, 0.125, 0.0625)
"""Decays of the second moment, and powers of Padam, that it searches."""

INTERVAL = 10
"""The guide's `switch_interval`, and the default."""

_BETAS = ("beta1", "beta2")
_ACCEPTED = (
    "accepted is an optimizer, then its arguments with their values, commas between: ASGDAdam,alpha_min=1e-7,beta2=0.99"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerSetting:
    """An optimizer and the arguments that it has alone."""

    optimizer: str
    """A name of the registry, or ``"module:Class"``."""
    arguments: tuple[tuple[str, Any], ...] = ()
    """Its own arguments by name, sorted; ``beta1`` and ``beta2`` are entries of ``betas``, ``alpha_max`` is the ``lr``
    of a switching optimizer."""

    @classmethod
    def of(cls, given: OptimizerLike | OptimizerSetting) -> OptimizerSetting:
        """Read an optimizer as a run is told it: a text with or without arguments, a class, or a setting.

        Raises
        ------
        UnknownNameError
            No such optimizer, or no such argument.
        ArgumentError
            A part that is no ``argument=value``, an argument that is said twice, or an optimizer that evaluates other
            weights than it trains, or that has no name by which other processes find it.
        """
        if isinstance(given, OptimizerSetting):
            return given
        name, *parts = split_commas(given) if isinstance(given, str) else [""]
        found = registry.get(name if isinstance(given, str) else given)
        if found.modes:
            raise ArgumentError(
                f"cannot use optimizer={found.name!r}: it evaluates other weights than it trains, and a run would judge"
                " those that it trains; accepted are optimizers without train() and eval()"
            )
        own = check_once(f"the optimizer {given!r}", (_argument(str(given), part) for part in parts))
        if "betas" in own and (both := [name for name in _BETAS if name in own]):
            raise ArgumentError(
                f"cannot use betas beside {', '.join(both)} in {given!r}: it says them; accepted: either"
            )
        if isinstance(own.get("betas"), tuple) and len(own["betas"]) == len(_BETAS):
            own |= zip(_BETAS, own.pop("betas"), strict=True)
        if "alpha_max" in own and found.switching:
            if "lr" in own:
                raise ArgumentError(f"cannot use both lr and alpha_max in {given!r}: they are one; accepted: either")
            own["lr"] = own.pop("alpha_max")
        setting = cls(optimizer=registry.name_of(found.name if isinstance(given, str) else given))
        return setting.with_arguments(own)

    @property
    def text(self) -> str:
        """The setting in its one spelling; :meth:`of` reads it back."""
        return ",".join([self.optimizer, *(f"{name}={_written(value)}" for name, value in self.arguments)])

    @property
    def accepted(self) -> tuple[str, ...]:
        """Names of the arguments that it takes."""
        arguments = registry.get(self.optimizer).arguments
        return tuple(name for one in arguments for name in ((*_BETAS, one) if one == "betas" else (one,)))

    def with_arguments(self, own: Mapping[str, Any]) -> OptimizerSetting:
        """Give a setting with further arguments, which take the place of those of the same names.

        Raises
        ------
        UnknownNameError
            An argument that the optimizer does not have.
        """
        for name in own:
            check_known(f"argument of {self.optimizer}", name, self.accepted)
        arguments = tuple(sorted({**dict(self.arguments), **own}.items()))
        return OptimizerSetting(optimizer=self.optimizer, arguments=arguments)

    @property
    def reads_interval(self) -> bool:
        """Whether its rate is switched by a rule that looks at the curvature at intervals."""
        spec = registry.get(self.optimizer)
        return spec.switching and is_read("switch_interval", {**spec.defaults, **dict(self.arguments)})

    def check(self, shared: Mapping[str, Any]) -> None:
        """Build the optimizer once, so that a value that it refuses is refused before any work.

        Raises
        ------
        ArgumentError
            Names the argument, its value and what is accepted.
        """
        try:
            registry.build(self.optimizer, [nn.Parameter(torch.zeros(1))], **self.keywords(shared))
        except ArgumentError:
            raise
        except (TypeError, ValueError) as error:  # other libraries check in ways of their own
            raise ArgumentError(f"cannot use optimizer={self.text!r}: {error}") from error

    def keywords(self, shared: Mapping[str, Any]) -> dict[str, Any]:
        """Give keyword arguments: those shared by all optimizers that it has, and its own in their place.

        Parameters
        ----------
        shared
            Keyword arguments by name, ``betas`` among them; those that the optimizer does not have are left out,
            `momentum` where there are betas, which say it, and a `switch_interval` that the rule would refuse.
        """
        spec = registry.get(self.optimizer)
        idle = {"momentum"} if "betas" in spec.arguments else set()
        if not self.reads_interval and shared.get("switch_interval") != INTERVAL:  # at its default it is no news, and
            idle.add("switch_interval")  # the jobs of tables are known by their arguments
        found = {name: value for name, value in shared.items() if name in spec.arguments and name not in idle}
        own = dict(self.arguments)
        betas = [own.pop(name, None) for name in _BETAS]
        if any(beta is not None for beta in betas):
            usual = found.get("betas", registry.get(self.optimizer).defaults.get("betas", (0.9, 0.999)))
            first = [new if new is not None else old for new, old in zip(betas, usual[:2], strict=True)]
            found["betas"] = (*first, *usual[2:])
        return found | own


def read_settings(given: Any) -> tuple[str, ...]:
    """Read the optimizers of a run; give each once, in its one spelling.

    Parameters
    ----------
    given
        An optimizer, a list of them, or a text of several: ``"Adam,ASGDAdam,switch=mean"`` is two. What has an ``=``
        belongs to the name before.
    """
    if isinstance(given, str):
        given = _each(split_commas(given))
    each = given if isinstance(given, Iterable) else [given]
    return tuple(dict.fromkeys(OptimizerSetting.of(one).text for one in each))


def check_settings(optimizers: Iterable[str], interval: int, shared: Callable[[str], Mapping[str, Any]]) -> None:
    """Build every optimizer of a run that has arguments of its own, and refuse a `switch_interval` that none reads.

    Parameters
    ----------
    optimizers
        As :func:`read_settings` gives them.
    interval
        The run's `switch_interval`.
    shared
        Gives the keyword arguments that an optimizer shares with others.

    Raises
    ------
    ArgumentError
        Names the argument, its value and what is accepted.
    """
    each = [OptimizerSetting.of(one) for one in optimizers]
    for setting in each:
        if setting.arguments:
            setting.check(shared(setting.text))
    if interval != INTERVAL and not any(setting.reads_interval for setting in each):
        names = ", ".join(setting.text for setting in each)
        raise ArgumentError(
            f"cannot use switch_interval={interval!r} with {names}: no rule of these looks at intervals; accepted are"
            f" {INTERVAL}, or a switching optimizer by its rule relative or linear"
        )


def _argument(text: str, part: str) -> tuple[str, Any]:
    name, equals, value = (piece.strip() for piece in part.partition("="))
    if not equals or not name:
        raise ArgumentError(f"cannot read the optimizer {text!r}: found {part!r}; {_ACCEPTED}")
    return name, literal(value)


def _each(pieces: Iterable[str]) -> list[str]:
    """Put what has an ``=`` behind the name before."""
    found: list[str] = []
    for piece in pieces:
        if "=" in piece and found:
            found[-1] += "," + piece
        else:
            found.append(piece)
    return found


def _written(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
