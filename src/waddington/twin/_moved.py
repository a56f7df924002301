"""Addresses of the last release, and where their things live now. All of this goes with the next release.

A module that moved is found under its old address by :class:`Finder`; a name that moved within the twin by the
``__getattr__`` that :func:`names_moved_from` makes. Both give the very object of the new address, after a
DeprecationWarning that names it.
"""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final, ParamSpec, TypeVar

__all__ = [
    "ATTRIBUTES",
    "MODULES",
    "NAMES",
    "Finder",
    "install",
    "moved_module",
    "names_moved_from",
    "renamed",
    "renamed_arguments",
]

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")
TWIN: Final = "waddington.twin"
MODULES: Final = {
    "agent": "plan.agent",
    "baselines": "respond.baselines",
    "conditions": "data.conditions",
    "design": "data.splits",
    "device": "data.device",
    "encoder_config": "embed.config",
    "env": "plan.env",
    "feeding": "embed.batches",
    "graph": "preprocess.graph",
    "heldout": "evaluate.heldout",
    "history": "embed.history",
    "io": "data.io",
    "layout": "trajectory.layout",
    "likelihoods": "embed.likelihoods",
    "measurable": "evaluate.measurable",
    "metrics": "evaluate.metrics",
    "minibatch": "embed.dataset",
    "modalities": "data.modalities",
    "model": "embed.encoder",
    "module": "embed.module",
    "neighbors": "preprocess.neighbors",
    "order": "trajectory.order",
    "pipeline": "run",
    "pipeline.acting": "run.agent_jobs",
    "pipeline.encoding": "run.encoder_jobs",
    "pipeline.job": "run.api",
    "pipeline.measuring": "run.replicate_jobs",
    "pipeline.executor": "run._last_release",
    "pipeline.stages": "run.records",
    "pipeline.verdicts": "run.verdict_rules",
    "pipeline.storage": "run.artifacts",
    "pipeline.words": "run.report_text",
    "pipeline.worlds": "run.environments",
    "projection": "trajectory.projection",
    "pseudotime": "trajectory.pseudotime",
    "quasipotential": "trajectory.landscape",
    "reference": "embed.reference",
    "report_tables": "report.tables",
    "report_words": "report.text",
    "response": "respond.latent",
    "rooting": "trajectory.rooting",
    "summary": "evaluate.summary",
    "training": "embed.training",
    "trends": "trajectory.trends",
}
"""Modules of the twin that moved, with all that is in them: old and new address, both after ``waddington.twin.``."""

ATTRIBUTES: Final = {**{old: new for old, new in MODULES.items() if "." not in old}, "simulate": "datasets"}
"""What ``twin.<name>`` gives for names that are no room any more."""

NAMES: Final = {
    "data.splits": {
        "Design": "data.splits.Split",
        "design_from_conditions": "data.splits.split_by_condition",
        "design_from_stages": "data.splits.split_by_stage",
        "design_from_times": "data.splits.split_by_time",
    },
    "embed.dataset": {
        "CellTable": "embed.dataset.CellDataset",
    },
    "embed.likelihoods": {
        "CountDecoder": "embed.decoders.CountDecoder",
        "Decoder": "embed.decoders.Decoder",
        "ValueDecoder": "embed.decoders.ValueDecoder",
        "make_decoder": "embed.decoders.make_decoder",
    },
    "embed.module": {
        "GraphAttention": "embed.layers.GraphAttention",
        "joint_context": "embed.layers.joint_context",
    },
    "embed.reference": {
        "coordinates": "embed.reference.representations_of",
    },
    "evaluate.heldout": {
        "CIRCULAR": "evaluate.measurability.CIRCULAR",
        "measure_conditions": "evaluate.measurability.measure_conditions",
        "score_change": "evaluate.heldout.score_effect",
    },
    "evaluate.metrics": {
        "change_metrics": "evaluate.metrics.effect_metrics",
    },
    "evaluate.summary": {
        "TOLD": "evaluate.summary.POLICIES",
        "contestant": "evaluate.summary.model_name",
        "is_told": "evaluate.summary.is_policy",
    },
    "plan.agent": {
        "idle_policy": "plan.planners.idle_policy",
        "random_policy": "plan.planners.random_policy",
    },
    "respond.baselines": {
        "Change": "respond.base.Effect",
        "LatentHead": "respond.decoded.DecodedResponse",
        "MeanChange": "respond.baselines.MeanEffect",
        "NoChange": "respond.baselines.NoEffect",
        "Predictor": "respond.base.ResponseModel",
        "mean_change": "respond.base.mean_effect",
        "train_changes": "respond.base.train_effects",
    },
    "respond.latent": {
        "EditSupport": "respond.latent.PerturbationSupport",
    },
    "trajectory.trends": {
        "smooth_course": "trajectory.trends.smooth_trend",
    },
    "simulate": {
        "FATES": "datasets.FATES",
        "NoiseModel": "datasets.NoiseModel",
        "default_conditions": "datasets.default_conditions",
        "edit_sets": "datasets.edit_sets",
        "optimal_reprogramming": "datasets.optimal_reprogramming",
        "reach_probability": "datasets.reach_probability",
        "simulate": "datasets.simulate",
        "true_response": "datasets.true_response",
        "write": "data.io.write",
    },
    "run": {"Event": "run._last_release.Event", "Unit": "run._last_release.Unit"},
    "run.outputs": {"choose": "run.choice.choose"},
    "run.prepare": {"Prepared": "run.data.RunData", "load": "run.data.load", "save": "run.data.save"},
    "run.records": {"Finished": "run.records.RunRecords", "run_stages": "run.schedule.run_schedule"},
}
"""Names that moved out of a module, or changed: for each module, the old name and the new address."""


def _warn(old: str, new: str, stacklevel: int) -> None:
    text = f"{TWIN}.{old} is now {TWIN}.{new}; the old address goes with the next release"
    warnings.warn(text, DeprecationWarning, stacklevel=stacklevel)


def moved_module(name: str) -> ModuleType:
    """Give what a user knows as ``twin.<name>``, with a warning: for the ``__getattr__`` of the twin."""
    new = ATTRIBUTES[name]
    _warn(name, new, stacklevel=4)
    return importlib.import_module(f"{TWIN}.{new}")


def names_moved_from(module: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module from which names moved; `module` is its ``__name__``."""
    short = module.removeprefix(f"{TWIN}.")
    moved = NAMES[short]

    def find(name: str) -> Any:
        if name not in moved:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn(f"{short}.{name}", moved[name], stacklevel=3)
        home, _, new = moved[name].rpartition(".")
        return getattr(importlib.import_module(f"{TWIN}.{home}"), new)

    return find


def renamed(**names: str) -> Callable[[type[T]], type[T]]:
    """Keep old names of attributes, methods and keyword arguments of a class: ``renamed(old="new")``."""

    def keep(cls: type[T]) -> type[T]:
        make: Any = vars(cls)["__init__"]

        @functools.wraps(make)
        def init(self: T, *args: Any, **given: Any) -> None:
            for old in [name for name in names if name in given]:
                _warn_of_name(cls, old, names[old])
                if names[old] in given:
                    raise TypeError(f"{cls.__name__} takes {old!r} and {names[old]!r}, its new name, not at once")
                given[names[old]] = given.pop(old)
            make(self, *args, **given)

        cls.__init__ = init  # type: ignore[method-assign, assignment]
        for old, new in names.items():
            setattr(cls, old, property(functools.partial(_read_old, cls, old, new)))
        return cls

    return keep


def renamed_arguments(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep old names of keyword arguments of a function: ``renamed_arguments(old="new")``."""

    def keep(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **given: P.kwargs) -> R:
            for old in [name for name in names if name in given]:
                text = f"waddington.twin: {old} of {function.__qualname__} is now {names[old]}"
                warnings.warn(f"{text}; the old name goes with the next release", DeprecationWarning, stacklevel=2)
                given[names[old]] = given.pop(old)
            return function(*args, **given)

        return call

    return keep


def _read_old(cls: type, old: str, new: str, owner: object) -> Any:
    _warn_of_name(cls, old, new)
    return getattr(owner, new)


def _warn_of_name(cls: type, old: str, new: str) -> None:
    text = f"waddington.twin: {old} of {cls.__name__} is now {new}; the old name goes with the next release"
    warnings.warn(text, DeprecationWarning, stacklevel=3)


class Finder(MetaPathFinder, Loader):
    """Imports a module of :data:`MODULES`, or one inside it, under its old address: the same object, not a copy."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for old addresses, and for nothing else."""
        return ModuleSpec(fullname, self) if _new_address(fullname) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Import the new address."""
        new = _new_address(spec.name)
        assert new is not None
        _warn(spec.name.removeprefix(f"{TWIN}."), new, stacklevel=3)
        module = importlib.import_module(f"{TWIN}.{new}")
        spec.loader_state = module.__spec__  # the import system is about to write over it
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module, which is ready, its own spec back."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def _new_address(fullname: str) -> str | None:
    if not fullname.startswith(f"{TWIN}."):
        return None
    name = fullname.removeprefix(f"{TWIN}.")
    if name in MODULES:
        return MODULES[name]
    old, dot, inside = name.partition(".")
    return MODULES[old] + dot + inside if old in MODULES else None


def install() -> None:
    """Make the old addresses importable. It comes first: a search of folders would load a second copy of a module."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
