"""An arm of a comparison: an optimizer, what of it is searched, and how its rate runs."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch

from waddington._checks import check_known, check_once
from waddington._text import literal, split_commas
from waddington.bench import files
from waddington.bench.schedule import Schedule
from waddington.bench.space import Dimension, Log, OneMinus, Space, Times, Uniform
from waddington.errors import ArgumentError, MissingExtraError, UnknownNameError
from waddington.optim import ASGDAdam, registry

__all__ = [
    "SCHEDULE",
    "TASK",
    "Arm",
    "Given",
    "as_meant",
    "build_optimizer",
    "find_optimizer",
    "parse_arm",
    "usual_space",
    "with_ranges",
    "without",
    "yielding",
]

RATES = Log(1e-4, 1e-1)
"""Where a rate is searched unless the arm says otherwise: three decades."""
_WIDER = {"SGD": Log(1e-3, 1.0), "Adagrad": Log(1e-3, 1.0), "Padam": Log(1e-3, 1.0), "ASGD2": Log(1e-6, 1e-3)}
"""Rates of optimizers that live elsewhere: a power other than 1/2 of the second moment changes their unit."""
_BETA2 = OneMinus(Log(1e-3, 1e-1))
_SMALL_RATE = Times("lr", Log(1e-2, 1.0, closed="high"))
_BETAS = ("beta1", "beta2", "beta3")
_MEANT: Mapping[type, Mapping[str, Any]] = {ASGDAdam: {"switch": "relative"}}
"""Defaults as they were when the first studies were hashed, of classes that have others now. What the arguments of an
arm leave out means these, so that a study is what it was; an arm that is made today says its defaults."""
TASK, SCHEDULE = "task.", "schedule."
"""Arguments that begin so are the task's and the schedule's."""


class Given(NamedTuple):
    """Arguments by whose they are."""

    optimizer: dict[str, Any]
    task: dict[str, Any]
    schedule: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One side of a comparison.

    Attributes
    ----------
    name
        Its name in tables and pictures.
    optimizer
        A name of :mod:`waddington.optim.registry`, ``"module:Class"``, or the name of a class or function in `source`.
    arguments
        Fixed arguments of the optimizer; ``beta1`` and ``beta2`` stand for entries of ``betas``, ``schedule.low`` for a
        field of its :class:`~waddington.bench.Schedule`, ``task.batch_size`` for a parameter of the task. What they
        leave out is the optimizer's default, or what that was when the first studies were hashed; :meth:`of` says what
        it is now.
    space
        Arguments that are searched, named likewise.
    schedule
        Of its rate; None is the study's. An optimizer that brings its own course, such as Schedule-Free, has
        ``Schedule()``, a constant one.
    digest
        Hash of the file that the optimizer was read from.
    source
        That file; where it lies is no part of what is computed.
    known
        Names of the arguments that the optimizer takes, where a study's file has kept them; None asks the optimizer.
    implied
        Names of `arguments` that nobody gave: defaults of today, which give way to what is said for all arms.
    """

    name: str
    optimizer: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    space: Space = field(default_factory=dict)
    schedule: Schedule | None = None
    digest: str = ""
    source: str = field(default="", compare=False)
    known: tuple[str, ...] | None = field(default=None, compare=False)
    implied: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if twice := [name for name in self.arguments if name in self.space]:
            raise ArgumentError(f"cannot use {', '.join(twice)} of arm {self.name!r} both fixed and searched")
        if not isinstance(self.schedule, Schedule | None):
            raise ArgumentError(
                f"cannot use schedule={self.schedule!r} of arm {self.name!r}: accepted are a Schedule of the bench, or"
                " None; an optimizer's own argument of that name is given as in parse_arm('AMGT,schedule=inverse_time')"
            )
        for name, dimension in self.space.items():
            if not isinstance(dimension, Dimension):
                raise ArgumentError(
                    f"cannot search {name}={dimension!r} in arm {self.name!r}: accepted are Log, Uniform, OneMinus,"
                    " Times and Choice"
                )
        for argument in (*self.arguments, *self.space):
            if argument.startswith(SCHEDULE):
                check_known("field of a schedule", argument.removeprefix(SCHEDULE), Schedule.__dataclass_fields__)
            elif not argument.startswith(TASK):
                check_known(f"argument of {self.optimizer}", argument, self.accepted)

    @property
    def reference(self) -> str:
        """The text under which another process finds the optimizer."""
        return f"{self.source}:{self.optimizer}" if self.source else self.optimizer

    @cached_property
    def accepted(self) -> tuple[str, ...]:
        """Names of the arguments that the optimizer takes."""
        return tuple(_argument_names(self.reference)) if self.known is None else self.known

    def at(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Give its arguments at a point of its space as a reader is to know them: with what was the default once."""
        is_ours = not self.source and ":" not in self.optimizer  # a file need not be there any more
        return {**(as_meant(self.optimizer, {}) if is_ours else {}), **self.arguments, **point}

    def given(self, shared: Mapping[str, Any], arguments: Mapping[str, Any] | None = None) -> Given:
        """Sort arguments by whose they are: those shared by all arms, then the arm's own, then a point's.

        Parameters
        ----------
        shared
            Those that the optimizer does not have are left out.
        arguments
            Of a point of the space.
        """
        known = {
            name: one for name, one in shared.items() if name in self.accepted or name.startswith((TASK, SCHEDULE))
        }
        found: dict[str, dict[str, Any]] = {"": {}, TASK: {}, SCHEDULE: {}}
        for name, value in {**known, **self.arguments, **(arguments or {})}.items():
            whose = next((one for one in (TASK, SCHEDULE) if name.startswith(one)), "")
            found[whose][name.removeprefix(whose)] = value
        return Given(*found.values())

    @classmethod
    def of(
        cls,
        optimizer: registry.OptimizerLike,
        *,
        name: str | None = None,
        space: Space | None = None,
        schedule: Schedule | None = None,
        **arguments: Any,
    ) -> Arm:
        """Make an arm of an optimizer, with the space that suits it.

        The rate is searched over three decades, β2 from .9 to .999, and what the optimizer alone has over the range
        that its registry row names; a switch's small rate is a share of the large one, up to the whole. Torch's own
        optimizers take their fused step where they have one: a slower one would flatter the others' seconds.

        Parameters
        ----------
        optimizer
            A name, ``"module:Class"``, ``"file.py:Class"``, or a class or function that can be imported.
        name
            The optimizer's unless said otherwise.
        space
            In the place of the usual one.
        schedule
            As :attr:`Arm.schedule`.
        **arguments
            Fixed arguments; what is fixed is not searched.

        Raises
        ------
        UnknownNameError
            No such optimizer, or no such argument.
        ArgumentError
            The optimizer cannot be found again by its name, which other processes must.
        """
        found = _made(optimizer, arguments, space=space, schedule=schedule)
        return replace(found, name=name) if name else found


def _made(
    optimizer: registry.OptimizerLike,
    arguments: Mapping[str, Any],
    *,
    space: Space | None = None,
    schedule: Schedule | None = None,
) -> Arm:
    """Make an arm as :meth:`Arm.of` does, of an optimizer whose arguments may be called as that method's are."""
    told = set(arguments)
    source = digest = ""
    if isinstance(optimizer, str) and ".py:" in optimizer:
        path, _, called = optimizer.rpartition(":")
        _, source, digest = _file_of(path, optimizer)
        reference = f"{source}:{called}"
    else:
        called = reference = registry.name_of(optimizer)
    if schedule is None and called.rpartition(":")[2].casefold().startswith("schedulefree"):
        schedule = Schedule()
    if not source and registry.get(reference).package == "torch" and "fused" in registry.get(reference).arguments:
        arguments = {"fused": True, **arguments}
    found = usual_space(reference) if space is None else space
    arguments = _written_out(reference, arguments, searched=found)
    fixed = {*arguments, *(_BETAS if "betas" in arguments else ())}
    return Arm(
        name=called.rpartition(":")[2],
        optimizer=called,
        arguments=arguments,
        space={key: value for key, value in found.items() if key not in fixed},
        schedule=schedule,
        digest=digest,
        source=source,
        implied=tuple(name for name in arguments if name not in told),
    )


def as_meant(optimizer: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of a spec with what those of its time left out because it was the default then."""
    return {**_meant_of(find_optimizer(optimizer)), **arguments}


def _meant_of(optimizer: registry.OptimizerLike) -> Mapping[str, Any]:
    """Give the earlier defaults of an optimizer: of a class of ours, or of one that takes its arguments as they are."""
    cls = registry.get(optimizer).source
    how = getattr(cls, "__init__", None)  # a class that is written with arguments of its own means what it says
    return next((meant for ours, meant in _MEANT.items() if how is vars(ours)["__init__"]), {})


def _written_out(optimizer: str, arguments: Mapping[str, Any], *, searched: Iterable[str]) -> dict[str, Any]:
    """Give the arguments of a spec: of what :data:`_MEANT` has, those that are something else."""
    meant, usual = _meant_of(find_optimizer(optimizer)), registry.get("ASGDAdam").defaults
    said = {name: arguments.get(name, usual[name]) for name in meant if name not in searched}
    changed = {name: value for name, value in said.items() if value != meant[name]}
    return {**{name: value for name, value in arguments.items() if name not in said}, **changed}


def parse_arm(text: str) -> Arm:
    """Read an arm as the command line writes it: ``ASGDAdam`` or ``ASGDAdam,switch=linear,name=linear``.

    Arguments are Python's literals, or texts where they are none.

    Raises
    ------
    UnknownNameError
        No such optimizer, or no such argument.
    ArgumentError
        A part that is no ``argument=value``, or an argument that is said twice.
    """
    optimizer, *parts = split_commas(text)
    given = check_once(f"the arm {text!r}", (_argument(text, part) for part in parts))
    name = given.pop("name", None)
    told = ", ".join(f"{key}={value}" for key, value in given.items())
    found = _made(optimizer, given)
    return replace(found, name=str(name) if name is not None else f"{found.name} ({told})" if told else found.name)


def _argument(text: str, part: str) -> tuple[str, Any]:
    name, equals, value = (piece.strip() for piece in part.partition("="))
    if not equals or not name:
        raise ArgumentError(
            f"cannot read the arm {text!r}: found {part!r}; accepted is an optimizer, then argument=value, with"
            " commas between: ASGDAdam,switch=linear,name=linear"
        )
    return name, literal(value)


def with_ranges(arm: Arm, ranges: Mapping[str | None, Space]) -> Arm:
    """Give an arm that searches other ranges: those under its name, and those under None that it has arguments for."""
    shared = {name: one for name, one in ranges.get(None, {}).items() if name in arm.accepted}
    found = {**arm.space, **shared, **ranges.get(arm.name, {})}
    arm = yielding(arm, found)
    return replace(arm, space={name: one for name, one in found.items() if name not in arm.arguments})


def yielding(arm: Arm, names: Iterable[str]) -> Arm:
    """Give an arm whose defaults of today give way to what is said or searched for all arms."""
    given_up = set(arm.implied).intersection(names)
    kept = {name: value for name, value in arm.arguments.items() if name not in given_up}
    return replace(arm, arguments=kept, implied=tuple(name for name in arm.implied if name not in given_up))


def without(arm: Arm, names: Iterable[str]) -> Arm:
    """Give an arm that does not search some arguments, because they are fixed for all arms."""
    fixed = set(names)
    arm = yielding(arm, fixed)
    return replace(arm, space={name: one for name, one in arm.space.items() if name not in fixed})


def usual_space(optimizer: str) -> dict[str, Dimension]:
    """Give the space that is searched where an arm names none."""
    names = _argument_names(optimizer)
    space: dict[str, Dimension] = {}
    if "lr" in names:
        space["lr"] = _WIDER.get(optimizer, RATES)
    if "beta2" in names:
        space["beta2"] = _BETA2
    if "alpha_min" in names:
        space["alpha_min"] = _SMALL_RATE
    tunable = {} if ".py:" in optimizer else registry.get(optimizer).tunable
    for name, (low, high) in tunable.items():
        if name not in ("lr", "beta2", "weight_decay"):
            space[name] = Log(low, high) if low > 0 and high / low > 20 else Uniform(low, high)
    return space


def build_optimizer(
    optimizer: str, parameters: Iterable[Any], arguments: Mapping[str, Any], *, digest: str = ""
) -> torch.optim.Optimizer:
    """Build an arm's optimizer.

    Parameters
    ----------
    optimizer
        As :attr:`Arm.reference`.
    parameters
        Parameters or groups.
    arguments
        Keyword arguments, as an arm has them: ``beta1``, ``beta2`` and ``beta3`` replace entries of its ``betas``.
    digest
        Hash that the file must have which the optimizer is read from.

    Raises
    ------
    ArgumentError
        The file has changed, or an argument lies outside its range.
    """
    found = find_optimizer(optimizer, digest)
    given = {name: value for name, value in {**_meant_of(found), **arguments}.items() if name not in _BETAS}
    if betas := {name: arguments[name] for name in _BETAS if name in arguments}:
        if "betas" in given:
            raise ArgumentError(f"cannot use betas beside {', '.join(betas)}: it says them; accepted: either")
        usual = list(_usual_betas(optimizer))
        for name, value in betas.items():
            usual[_BETAS.index(name)] = value
        given["betas"] = tuple(usual)
    return registry.build(found, parameters, **given)


def find_optimizer(optimizer: str, digest: str = "") -> registry.OptimizerLike:
    """Give an arm's optimizer by its reference: a class or function where it is read from a file, else its name.

    Raises
    ------
    UnknownNameError
        The file cannot be read, or has no such optimizer.
    ArgumentError
        The file has another hash than `digest`.
    """
    if ".py:" not in optimizer:
        return optimizer
    path, _, attribute = optimizer.rpartition(":")
    module, _, now = _file_of(path, optimizer)
    if digest and digest != now:
        raise ArgumentError(
            f"cannot use {optimizer}: the file has changed since the study was made; accepted: a new study of it"
        )
    if not hasattr(module, attribute):
        raise UnknownNameError(f"unknown optimizer {optimizer!r}: the file has no {attribute!r}")
    found: registry.OptimizerLike = getattr(module, attribute)
    return found


def _file_of(path: str, reference: str) -> tuple[Any, str, str]:
    try:
        return files.load(Path(path))
    except OSError as error:
        raise UnknownNameError(
            f"unknown optimizer {reference!r}: the file cannot be read ({error.strerror or error})"
        ) from error


def _argument_names(optimizer: str) -> list[str]:
    spec = registry.get(find_optimizer(optimizer))
    try:
        names = list(spec.arguments)
    except MissingExtraError:  # its records can be read where it is not installed; what runs it says so
        names = list(spec.defaults)
    if "betas" in names:
        names += _BETAS[: len(_usual_betas(optimizer))]
    return names


def _usual_betas(optimizer: str) -> tuple[float, ...]:
    spec = registry.get(find_optimizer(optimizer))
    if "betas" in spec.defaults:
        return tuple(spec.defaults["betas"])
    usual = inspect.signature(spec.cls).parameters["betas"].default
    return tuple(usual) if isinstance(usual, tuple | list) else (0.9, 0.999)
