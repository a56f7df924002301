"""Everything a run can be told: one nested dataclass, three presets, TOML in and JSON out.

``lr``, ``beta1``, ``beta2``, ``eps``, ``switch_interval``, ``alpha_min``, ``alpha_max``, ``batch_size``, ``epochs`` and
``optimizer`` are the parameters of the guide, the README of its authors' project (Adaptive-SGD), under its names and
with its defaults. The command line has a flag of the same name for each of them.

Every field has a *flat name*, under which it may be given and read without its section: ``epochs`` for
``encoder.epochs``, ``ppo_steps`` for ``ppo.steps``.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from waddington._checks import check_choice, check_in_range, check_known, missing_extra
from waddington.errors import ArgumentError
from waddington.optim import registry
from waddington.twin.run.fields import typed
from waddington.twin.run.optimizers import (
    INTERVAL,
    PAPER_BETA2_GRID,
    PAPER_GRID,
    PAPER_OPTIMIZERS,
    PAPER_P_GRID,
    OptimizerSetting,
    check_settings,
    read_settings,
)
from waddington.twin.run.sections import (
    EncodeConfig,
    PPOConfig,
    PreprocessConfig,
    ReadConfig,
    SplitConfig,
    check_least,
    check_optimizer,
    flat_name,
)

__all__ = [
    "FIELDS",
    "GUIDE_OPTIMIZERS",
    "PRESETS",
    "READ_FIELDS",
    "Place",
    "RunConfig",
    "flatten",
]

GUIDE_OPTIMIZERS = ("Adam", "AMSGrad", "ASGDAdam", "ASGDAMSGrad", "Padam", "SGD")
"""The guide's benchmark, and the paper's."""

READ_FIELDS = tuple(field.name for field in dataclasses.fields(ReadConfig) if field.name != "file")
"""Fields that :func:`waddington.twin.data.io.read` is told, under the names of its arguments."""

_Protocol: TypeAlias = Literal["paper", "held-out", "both"]
_Preset: TypeAlias = Literal["smoke", "default", "paper"]
_Executor: TypeAlias = Literal["processes", "ray"]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run does. Every field may be a line of a TOML file, `--set` or a keyword; many are flags too.

    Fields of a section may be given in it, ``RunConfig(encoder=EncodeConfig(epochs=5))``, or by their flat names,
    ``RunConfig(epochs=5)``; ``config.epochs`` reads ``config.encoder.epochs``. An unknown name is refused with the
    nearest one.
    """

    read: ReadConfig = dataclasses.field(default_factory=ReadConfig)
    """What is read, and how."""
    split: SplitConfig = dataclasses.field(default_factory=SplitConfig)
    """Which cells are held out."""
    preprocess: PreprocessConfig = dataclasses.field(default_factory=PreprocessConfig)
    """How counts are scaled, and cells joined and ordered."""
    encoder: EncodeConfig = dataclasses.field(default_factory=EncodeConfig)
    """The encoder and its training."""
    ppo: PPOConfig = dataclasses.field(default_factory=PPOConfig)
    """Agents and their environments."""
    n_cells: int = 1800
    """Cells to simulate when no file is given."""

    # --- the guide's parameters of optimizers ---
    optimizer: tuple[str, ...] = GUIDE_OPTIMIZERS
    """Optimizers to compare, by name, as ``module:Class``, or as classes that can be imported; behind a name, arguments
    that it has alone: ``"ASGDAdam,switch=mean,bias_correction=False"``, ``"Padam,p=0.125"``, ``"Adam,beta2=0.99"``."""
    lr: float = 1e-3
    """Learning rate of the optimizers with one rate, where it is not tuned."""
    beta1: float = 0.9
    """Decay rate of the first moment (momentum of SGD)."""
    beta2: float = 0.999
    """Decay rate of the second moment."""
    eps: float = 1e-8
    """Added to the denominator; the same for every optimizer."""
    switch_interval: int = INTERVAL
    """Steps between two looks at the curvature, by ASGDAdam's and ASGDAMSGrad's rules `relative` and `linear` alone."""
    alpha_min: float = 1e-4
    """Small base rate of the switching optimizers; scaled with `alpha_max` where that is tuned."""
    alpha_max: float = 1e-2
    """Large base rate of the switching optimizers, their `lr`, where it is not tuned."""

    # --- the comparison ---
    protocol: _Protocol = "both"
    """`paper` (as published), `held-out` (unseen cells and conditions), or `both`."""
    seeds: int = 3
    """Repetitions of everything that is random, with the same seeds for every optimizer."""
    seed: int = 0
    """First of the seeds."""
    lr_grid: tuple[float, ...] = (1e-3, 1e-2, 1e-1)
    """Rates each optimizer is tuned over, at the same cost, on a seed that is not evaluated; empty: none is tuned."""
    beta2_grid: tuple[float, ...] = ()
    """Decays of the second moment that are tuned with the rate, of optimizers that have one; empty: not tuned."""
    p_grid: tuple[float, ...] = ()
    """Powers of the second moment that are tuned with them, of optimizers that have one (Padam); empty: not tuned."""
    trials: int = 0
    """Points that every optimizer tries: of a larger grid so many are taken, in a smaller one the rates are made finer.
    0: as many as the largest grid of any of them has."""

    # --- where and how it runs ---
    workers: int = 0
    """Processes that share the work; 0: one for each core."""
    executor: _Executor = "processes"
    """Where jobs run: `processes` of this machine, or a `ray` cluster (extra `distributed`)."""
    preset: _Preset = "default"
    """Name of the preset that the other fields started from."""

    if not TYPE_CHECKING:  # a type checker sees the nested fields; flat names are checked when they are given

        def __init__(self, **fields: Any) -> None:
            given = _nested(flatten(fields))
            for field in dataclasses.fields(self):
                object.__setattr__(self, field.name, given.get(field.name, field.default))
            self.__post_init__()

        def __getattr__(self, name: str) -> Any:
            place = FIELDS.get(name)
            if place is None or not place.section:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return getattr(getattr(self, place.section), place.name)

    def __post_init__(self) -> None:
        """Refuse values that could only fail later.

        Raises
        ------
        ArgumentError
            Names the field, its value and what is accepted.
        MissingExtraError
            Where `executor` is ``"ray"`` and Ray is not installed.
        """
        object.__setattr__(self, "optimizer", read_settings(self.optimizer))
        if not self.optimizer:
            raise ArgumentError(f"cannot use optimizer=(): give at least one of {', '.join(registry.names())}")
        check_choice("protocol", self.protocol, typing.get_args(_Protocol))
        check_choice("executor", self.executor, typing.get_args(_Executor))
        if self.executor == "ray" and find_spec("ray") is None:
            raise missing_extra(ModuleNotFoundError("ray", name="ray"), "distributed")
        check_choice("preset", self.preset, PRESETS)
        for name in ("lr", "eps", "alpha_min", "alpha_max"):
            check_in_range(name, getattr(self, name), 0.0, open_low=True, open_high=True)
        for name in ("beta1", "beta2"):
            check_in_range(name, getattr(self, name), 0.0, 1.0, open_high=True)
        if self.alpha_min > self.alpha_max:
            raise ArgumentError(
                f"cannot use alpha_min={self.alpha_min:g} with alpha_max={self.alpha_max:g}: "
                "the small base rate must not exceed the large one"
            )
        for rate in self.lr_grid:
            check_in_range("lr_grid", rate, 0.0, open_low=True, open_high=True)
        for beta2 in self.beta2_grid:
            check_in_range("beta2_grid", beta2, 0.0, 1.0, open_high=True)
        for p in self.p_grid:
            check_in_range("p_grid", p, 0.0, 1.0)
        check_settings(self.optimizer, self.switch_interval, lambda optimizer: self._shared(self.rate(optimizer)))
        check_least(self, 1, "switch_interval", "seeds")
        check_least(self, 0, "seed", "workers", "trials")
        check_least(self, 200, "n_cells")

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols to run, in order."""
        return ("paper", "held-out") if self.protocol == "both" else (self.protocol,)

    @property
    def evaluation_seeds(self) -> tuple[int, ...]:
        """Seeds that results are reported on."""
        return tuple(range(self.seed, self.seed + self.seeds))

    @property
    def tuning_seed(self) -> int:
        """The seed that learning rates are chosen on; never one that is evaluated."""
        return self.seed + 10_000

    def rate(self, optimizer: str) -> float:
        """Give the untuned learning rate of an optimizer: its own, else `alpha_max` if it switches, else `lr`."""
        setting = OptimizerSetting.of(optimizer)
        shared = self.alpha_max if registry.get(setting.optimizer).switching else self.lr
        return float(dict(setting.arguments).get("lr", shared))

    def arguments(self, optimizer: str, lr: float, searched: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Give an optimizer's keyword arguments at one learning rate; moments and eps are the same for all.

        Parameters
        ----------
        optimizer
            With its own arguments, which take the place of the shared ones; its own `alpha_min` keeps its ratio to the
            untuned rate.
        lr
            The rate.
        searched
            What a search has chosen besides, such as ``{"beta2": 0.99}``; it takes the place of both.
        """
        setting = OptimizerSetting.of(optimizer)
        own = {**dict(setting.arguments), **(searched or {}), "lr": lr}
        if own.get("alpha_min") is not None:
            own["alpha_min"] *= lr / self.rate(optimizer)
        found = OptimizerSetting(optimizer=setting.optimizer).with_arguments(
            {name: value for name, value in own.items() if name in setting.accepted}
        )
        return found.keywords(self._shared(lr))

    def _shared(self, lr: float) -> dict[str, Any]:
        return {
            "lr": lr,
            "betas": (self.beta1, self.beta2),
            "momentum": self.beta1,
            "eps": self.eps,
            "switch_interval": self.switch_interval,
            "alpha_min": min(self.alpha_min * lr / self.alpha_max, lr),  # which rounding may exceed
        }

    def to_dict(self) -> dict[str, Any]:
        """Give all fields by their flat names, as JSON can hold them; :meth:`of` takes them back."""
        values = {name: place.of(self) for name, place in FIELDS.items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def of(cls, preset: str = "default", **changes: Any) -> RunConfig:
        """Start from a preset and change fields; ``None`` leaves a field as the preset has it.

        Parameters
        ----------
        preset
            ``"smoke"``, ``"default"`` or ``"paper"``.
        **changes
            Fields by their flat names; sections as mappings or dataclasses, as a TOML file's tables give them. Texts
            become the field's type.

        Raises
        ------
        ArgumentError
            When a field is unknown, given twice, or a value is not of its type or range.
        """
        preset = check_known("preset", preset, PRESETS)
        given = {name: value for name, value in flatten(changes).items() if value is not None}
        for name in {"optimizer", "reference_optimizer"} & given.keys():
            given[name] = read_settings(given[name]) if name == "optimizer" else check_optimizer(given[name])
        values = {**PRESETS[preset], **given, "preset": preset}
        return cls(**{name: typed(name, value, FIELDS[name].hint) for name, value in values.items()})


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a flat name stands in the nested configuration."""

    section: str
    """Name of the section; empty for a field of the run itself."""
    name: str
    """Name of the field there."""
    hint: Any
    """Its type."""

    def of(self, config: RunConfig) -> Any:
        """Give the field's value."""
        return getattr(getattr(config, self.section) if self.section else config, self.name)


_SECTIONS: Final[dict[str, Any]] = {
    "read": ReadConfig,
    "split": SplitConfig,
    "preprocess": PreprocessConfig,
    "encoder": EncodeConfig,
    "ppo": PPOConfig,
}


def _places() -> dict[str, Place]:
    found: dict[str, Place] = {}
    hints = typing.get_type_hints(RunConfig)
    for field in dataclasses.fields(RunConfig):
        if field.name not in _SECTIONS:
            found[field.name] = Place(section="", name=field.name, hint=hints[field.name])
            continue
        section = _SECTIONS[field.name]
        inner = typing.get_type_hints(section)
        for part in dataclasses.fields(section):
            found[flat_name(part)] = Place(section=field.name, name=part.name, hint=inner[part.name])
    return found


FIELDS: Final[Mapping[str, Place]] = _places()
"""Every field of a run by its flat name."""


def flatten(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give settings by their flat names, whatever they were given as.

    Parameters
    ----------
    settings
        Flat names; sections as mappings (a TOML file's tables) or dataclasses; ``"section.field"``. A flat name wins
        over a section that is a dataclass, so that ``dataclasses.replace(config, epochs=5)`` works.

    Raises
    ------
    ArgumentError
        When a field is unknown (an :class:`~waddington.errors.UnknownNameError`, with the nearest one), or given
        twice.
    """
    found: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    for given, value in settings.items():
        section, dot, inner = given.partition(".")
        name = given if given in FIELDS else check_known("configuration field", section, [*FIELDS, *_SECTIONS])
        if name in FIELDS:
            if dot:
                check_known("configuration field", given, FIELDS)
            parts = {name: value}
        elif dot:
            parts = {_flat_in(name, inner): value}
        elif isinstance(value, Mapping):
            parts = {_flat_in(name, key): item for key, item in value.items()}
        elif isinstance(value, _SECTIONS[name]):
            whole |= {flat_name(part): getattr(value, part.name) for part in dataclasses.fields(value)}
            continue
        else:
            raise ArgumentError(
                f"cannot use {name}={value!r}: {name} must be of class {_SECTIONS[name].__name__} or a mapping of its "
                "fields"
            )
        for twice in found.keys() & parts.keys():
            raise ArgumentError(f"cannot use {twice}={parts[twice]!r}: it is given twice, also as {found[twice]!r}")
        found |= parts
    return whole | found


def _flat_in(section: str, key: str) -> str:
    """Give the flat name of a section's field; an unknown one is refused with the nearest."""
    names = {part.name: flat_name(part) for part in dataclasses.fields(_SECTIONS[section])}
    return names[check_known(f"configuration field of {section!r}", key, names)]


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields of a run, its sections built from flat names."""
    sections: dict[str, dict[str, Any]] = {name: {} for name in _SECTIONS}
    found: dict[str, Any] = {}
    for name, value in flat.items():
        place = FIELDS[name]
        (sections[place.section] if place.section else found)[place.name] = value
    return found | {name: _SECTIONS[name](**fields) for name, fields in sections.items()}


PRESETS: Final[dict[str, dict[str, Any]]] = {
    "smoke": {
        "n_cells": 500,
        "optimizer": ("Adam", "ASGDAdam"),
        "seeds": 1,
        "epochs": 6,
        "lr_grid": (),
        "ppo_steps": 3072,
        "paper_steps": 1024,
        "paper_horizon": 100,
        "paper_net": (64, 64),
        "eval_episodes": 8,
        "workers": 1,
    },
    "default": {},
    "paper": {
        "n_cells": 5000,
        "test_fraction": 0.2,
        "seeds": 10,
        "optimizer": PAPER_OPTIMIZERS,
        "lr_grid": PAPER_GRID,
        "beta2_grid": PAPER_BETA2_GRID,
        "p_grid": PAPER_P_GRID,
        "trials": 21,
        "tune_epochs": 50,
        "ppo_steps": 50_000,
        "paper_steps": 50_000,
        "paper_batch_size": 64,
        "paper_perturbations": (1, 2),
    },
}
"""What each preset changes: `smoke` shows that everything runs, `paper` is section IV.A of the ASGDAdam paper."""
