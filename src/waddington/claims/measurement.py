"""The measurements of the ledger: functions of a seed and of arguments, run as jobs and kept as records."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar

from waddington import jobs
from waddington._checks import check_known
from waddington.errors import ArgumentError

__all__ = ["Experiment", "Measurement", "experiment", "measurements", "results_of"]

Experiment = Callable[..., Mapping[str, Any]]
"""``experiment(seed, **arguments)`` gives what JSON can hold."""

_KNOWN: dict[str, tuple[Experiment, int, bool]] = {}


def experiment(*, version: int = 1, reads_store: bool = False) -> Callable[[Experiment], Experiment]:
    """Register a function of a module of :mod:`waddington.claims.experiments` as an experiment.

    Its name is ``module.function``.

    Parameters
    ----------
    version
        Raise it when what the function computes changes: older records are then no longer taken for new ones.
    reads_store
        Whether it answers from records that are there already, or keeps such of its own. It is then given the folder
        of the store that it is run for as ``folder``, which is no argument of the measurement.
    """

    def register(function: Experiment) -> Experiment:
        name = _name_of(function)
        _KNOWN[name] = function, version, reads_store
        return function

    return register


def measurements(function: Experiment, *, seeds: int | range = 1, **arguments: Any) -> tuple[Measurement, ...]:
    """Make the jobs of an experiment, one for each seed.

    Parameters
    ----------
    function
        A registered experiment.
    seeds
        So many from 0, or a range.
    **arguments
        Of the experiment.

    Raises
    ------
    ArgumentError
        The function is no registered experiment.
    """
    name = _name_of(function)
    if name not in _KNOWN:
        raise ArgumentError(f"cannot measure by {name}: accepted are functions under @experiment()")
    drawn = range(seeds) if isinstance(seeds, int) else seeds
    return tuple(
        Measurement(experiment=name, revision=_KNOWN[name][1], arguments=arguments, seed=seed) for seed in drawn
    )


def results_of(records: Sequence[jobs.Record]) -> list[dict[str, Any]]:
    """Give what measurements gave, in their order."""
    return [dict(record.result or {}) for record in records]


@dataclass(frozen=True, kw_only=True)
class Measurement(jobs.Job):
    """One run of an experiment.

    Attributes
    ----------
    experiment
        Its name.
    revision
        Its version.
    arguments
        Of the experiment.
    seed
        Of everything random in it.
    """

    kind: ClassVar[str] = "waddington.claims.Measurement"

    experiment: str
    revision: int = 1
    arguments: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def label(self) -> str:
        """Experiment, arguments and seed."""
        said = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.experiment}({said}) · seed {self.seed}"

    def run(self, context: jobs.Context) -> Mapping[str, Any]:
        """Measure."""
        module, _, _ = self.experiment.partition(".")
        if self.experiment not in _KNOWN and find_spec(f"waddington.claims.experiments.{module}") is not None:
            importlib.import_module(f"waddington.claims.experiments.{module}")
        function, version, reads_store = _KNOWN[check_known("experiment", self.experiment, _KNOWN)]
        if version != self.revision:
            raise ArgumentError(
                f"cannot run revision {self.revision} of {self.experiment}: this is revision {version}; accepted: that"
            )
        place = {"folder": context.root} if reads_store else {}
        return function(self.seed, **self.arguments, **place)


def _name_of(function: Experiment) -> str:
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
