"""A study: what is compared, written down and hashed before the first run."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from waddington import jobs
from waddington._checks import check_choice, check_count, check_known
from waddington.bench._task import Task
from waddington.bench.arm import SCHEDULE, TASK, Arm, without, yielding
from waddington.bench.entry import HORIZONS, KNOWN, OPEN, Entry, Horizon
from waddington.bench.run import Run
from waddington.bench.schedule import COURSES, KNOWING, Schedule
from waddington.bench.space import Choice, Dimension, Space, Times, apart
from waddington.bench.statistics import MOST_CONTRASTS
from waddington.errors import ArgumentError, UnknownNameError
from waddington.optim.registry import OptimizerLike

__all__ = ["Study"]

Search: TypeAlias = Literal["quasi-random", "grid", "bayes"]

DECAY = "weight_decay"
"""Regularization: fixed at zero for all arms but those that search it or fix it otherwise."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A comparison that is registered before it is run. :meth:`of` makes one from names.

    Attributes
    ----------
    entries
        Tasks.
    arms
        Optimizers with their spaces; the first is the baseline unless `contrasts` says otherwise.
    contrasts
        Pairs of arms that are tested, at most four, ``(arm, against)``.
    trials
        Points that every arm tries, on every task and horizon.
    search
        ``"quasi-random"`` (Sobol's sequence, known before the first run), ``"grid"``, or ``"bayes"`` (Optuna's TPE,
        which asks for a point after it has been told the ones before).
    tuning_seeds, selection_seeds, evaluation_seeds
        Disjoint. A point is as good as its median over the tuning seeds; the best `finalists` are run on the selection
        seeds, and the best of them there is evaluated.
    finalists
        1 leaves selection out.
    widenings
        How many times the search goes on beyond a range on whose boundary some arm's best point lies; every arm then
        gets as many further trials.
    horizons
        See :class:`Horizon`.
    space, arguments
        Shared by all arms that have such an argument: ``weight_decay``, or ``task.batch_size`` of the task.
    seed
        Of the points.
    level
        Of tests and intervals.
    name
        For people.
    """

    entries: tuple[Entry, ...]
    arms: tuple[Arm, ...]
    contrasts: tuple[tuple[str, str], ...]
    trials: int = 20
    search: Search = "quasi-random"
    tuning_seeds: tuple[int, ...] = (0, 1, 2)
    selection_seeds: tuple[int, ...] = (50, 51, 52)
    evaluation_seeds: tuple[int, ...] = tuple(range(100, 110))
    finalists: int = 1
    widenings: int = 1
    horizons: tuple[Horizon, ...] = (KNOWN, OPEN)
    space: Space = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    level: float = 0.05
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for name in ("entries", "arms", "horizons", "tuning_seeds", "selection_seeds", "evaluation_seeds"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "contrasts", tuple((str(a), str(b)) for a, b in self.contrasts))
        _check_several("tasks", [entry.label for entry in self.entries])
        _check_several("arms", [arm.name for arm in self.arms])
        _check_several("horizons", [horizon.name for horizon in self.horizons])
        self._check_contrasts()
        self._check_seeds()
        check_count("trials", self.trials, 1)
        check_count("finalists", self.finalists, 1)
        check_count("widenings", self.widenings, 0)
        check_choice("search", self.search, ("quasi-random", "grid", "bayes"))
        self._check_shared()
        self._check_schedules()
        for entry in self.entries:
            self._check_task_arguments(entry)

    @classmethod
    def of(
        cls,
        tasks: Iterable[str | Task | Entry],
        arms: Iterable[OptimizerLike | Arm],
        *,
        seeds: int | Sequence[int] = 10,
        tuning_seeds: int | Sequence[int] = 3,
        size: Literal["full", "tiny"] = "full",
        steps: int | None = None,
        patience: int | None = None,
        horizons: Iterable[str | Horizon] = ("known", "open"),
        schedule: Schedule | None = None,
        contrasts: Iterable[tuple[str, str]] | None = None,
        **settings: Any,
    ) -> Study:
        """Make a study from names.

        Parameters
        ----------
        tasks
            Names, files, tasks, or entries.
        arms
            Optimizers or arms. Every arm without weight decay of its own has none: regularization is the task's.
        seeds, tuning_seeds
            Evaluation and tuning seeds, or their number: 100, 101, … and 0, 1, ….
        size, steps, patience
            As :meth:`Entry.of` takes them, for tasks that are no entries.
        horizons
            ``"known"`` (cosine, compared at the end), ``"open"`` (constant, compared all along), or horizons.
        schedule
            Of every arm that has none of its own, in the place of the horizons'.
        contrasts
            As :class:`Study` has them; every other arm against the first unless said otherwise.
        **settings
            Further fields of a :class:`Study`.

        Raises
        ------
        UnknownNameError
            No such task, optimizer or setting.
        ArgumentError
            Seeds that repeat or are shared, more than four contrasts, a schedule that knows the length where that is
            open, or a setting outside what is accepted.
        """
        fields = {one.name for one in dataclasses.fields(cls)}
        for setting in settings:
            check_known("setting of a study", setting, sorted(fields))
        fixed, said = settings.get("arguments", {}), {**settings.get("arguments", {}), **settings.get("space", {})}
        found_arms = [yielding(arm if isinstance(arm, Arm) else without(Arm.of(arm), fixed), said) for arm in arms]
        pairs = [(arm.name, found_arms[0].name) for arm in found_arms[1:]] if contrasts is None else list(contrasts)
        if contrasts is None and len(pairs) > MOST_CONTRASTS:
            raise ArgumentError(
                f"cannot compare {len(pairs)} arms with {found_arms[0].name!r}: accepted are {MOST_CONTRASTS} contrasts"
                " at most; name them by contrasts=[(arm, against), …] (`--contrast ARM:AGAINST`)"
            )
        return cls(
            entries=tuple(
                one if isinstance(one, Entry) else Entry.of(one, size=size, steps=steps, patience=patience)
                for one in _listed(tasks)
            ),
            arms=tuple(found_arms),
            contrasts=tuple(pairs),
            evaluation_seeds=_seeds("seeds", seeds, 100),
            tuning_seeds=_seeds("tuning_seeds", tuning_seeds, 0),
            horizons=tuple(_horizon(one, schedule) for one in horizons),
            **{"arguments": {DECAY: 0.0}, **settings},
        )

    @cached_property
    def hash(self) -> str:
        """32 hexadecimal digits that stand for everything that the study's records depend on."""
        return jobs.hash_of(self)

    @property
    def notes(self) -> list[str]:
        """What is not fair by construction here, in words."""
        spaces = {arm.name: arm.space for arm in self.arms}
        found = [f"The arms' spaces are not nested: {text}." for text in apart(spaces)]
        patient = [entry for entry in self.entries if entry.patience is not None]
        found += [
            f"No run on {one.label} stops early: its patience is {one.patience} of {one.evaluations} evaluations."
            for one in patient
            if one.patience is not None and one.patience >= one.evaluations
        ]
        if patient and any(horizon.criterion == "anytime" for horizon in self.horizons):
            where = ", ".join(entry.label for entry in patient)
            found.append(f"Runs on {where} stop early, each at its own step; all along is until there.")
        return found

    def space_of(self, arm: Arm, entry: Entry) -> dict[str, Dimension]:
        """Give what is searched for an arm on a task: the shared space first, so that all arms' points begin alike."""
        names = {*arm.accepted, *(TASK + name for name in entry.parameter_names)}
        shared = {
            name: one
            for name, one in self.space.items()
            if (name in names or name.startswith(SCHEDULE)) and name not in arm.arguments
        }
        return {**shared, **arm.space}

    def run(
        self, entry: Entry, horizon: Horizon, arm: Arm, arguments: Mapping[str, Any], seed: int, *, test: bool
    ) -> Run:
        """Write down one training."""
        given = arm.given(self.arguments, arguments)
        return Run(
            task=entry.task,
            task_version=entry.version,
            digest=entry.digest,
            parameters={**entry.parameters, **given.task},
            optimizer=arm.optimizer,
            arguments=given.optimizer,
            optimizer_digest=arm.digest,
            schedule=self._schedule(horizon, arm, arguments),
            steps=entry.steps,
            evaluations=entry.evaluations,
            patience=entry.patience,
            metric=("-" if entry.larger_is_better else "") + entry.metric,
            seed=seed,
            test=test,
            source=entry.source,
            place=arm.source,
        )

    def _schedule(self, horizon: Horizon, arm: Arm, arguments: Mapping[str, Any]) -> Schedule:
        given = arm.given(self.arguments, arguments)
        return dataclasses.replace(arm.schedule or horizon.schedule, **given.schedule)

    # --- checks ---

    def _check_contrasts(self) -> None:
        if len(self.contrasts) > MOST_CONTRASTS:
            raise ArgumentError(
                f"cannot test {len(self.contrasts)} contrasts: accepted are {MOST_CONTRASTS} at most, chosen beforehand"
            )
        names = [arm.name for arm in self.arms]
        for pair in self.contrasts:
            for name in pair:
                check_known("arm of a contrast", name, names)
            if pair[0] == pair[1]:
                raise ArgumentError(f"cannot test {pair[0]!r} against itself: accepted are two arms")

    def _check_seeds(self) -> None:
        groups = {
            "tuning_seeds": self.tuning_seeds,
            "selection_seeds": self.selection_seeds if self.finalists > 1 else (),
            "evaluation_seeds": self.evaluation_seeds,
        }
        for name, seeds in groups.items():
            for seed in seeds:
                check_count(f"a seed of {name}", seed, 0)
            if len(set(seeds)) < len(seeds):
                twice = next(seed for seed in seeds if seeds.count(seed) > 1)
                raise ArgumentError(
                    f"cannot use {name}={list(seeds)}: {twice} stands there twice, and a repeated seed is no repetition"
                )
            if not seeds and not (name == "selection_seeds" and self.finalists == 1):
                raise ArgumentError(f"cannot use {name}=[]: accepted is one seed at least")
        for (first, some), (second, others) in itertools.combinations(groups.items(), 2):
            if common := sorted(set(some) & set(others)):
                raise ArgumentError(
                    f"cannot use {common[0]} both in {first} and in {second}: accepted are seeds that are not shared,"
                    " or what was chosen by them is judged by them"
                )

    def _check_shared(self) -> None:
        """Refuse shared arguments that nobody has, and those that an arm's own range would silently replace.

        Weight decay alone is fixed at zero for all but those that search it.
        """
        known = {name for arm in self.arms for name in arm.accepted}
        for name in (*self.space, *self.arguments):
            if not name.startswith((TASK, SCHEDULE)) and name != DECAY:
                _check_exactly("argument of the arms", name, sorted(known))
        for name in self.arguments:
            searching = [arm.name for arm in self.arms if name in arm.space or name in self.space]
            if searching and name != DECAY:
                raise ArgumentError(
                    f"cannot use {name} both fixed for all arms and searched by {', '.join(searching)}: accepted is the"
                    " one or the other"
                )

    def _check_schedules(self) -> None:
        """Refuse schedules that cannot be, before anything is written down or run."""
        fields = Schedule.__dataclass_fields__
        for name in (*self.space, *self.arguments):
            if name.startswith(SCHEDULE):
                _check_exactly("field of a schedule", name.removeprefix(SCHEDULE), fields)
        shared = {name: one for name, one in self.space.items() if name.startswith(SCHEDULE)}
        for arm, horizon in itertools.product(self.arms, self.horizons):
            fixed = self._schedule(horizon, arm, {})
            for name, dimension in {**shared, **arm.space}.items():
                if name.startswith(SCHEDULE) and name not in arm.arguments:
                    for value in _ends(dimension):
                        dataclasses.replace(fixed, **{name.removeprefix(SCHEDULE): value})

    def _check_task_arguments(self, entry: Entry) -> None:
        parameters = [TASK + name for name in entry.parameter_names]
        for name in (*self.space, *self.arguments, *itertools.chain(*(arm.space for arm in self.arms))):
            if name.startswith(TASK):
                _check_exactly(f"parameter of task {entry.task!r}", name, parameters)


def _ends(dimension: Dimension) -> tuple[Any, ...]:
    """Give the values between which a range lies, or those of a choice; of a multiple they are not known before."""
    if isinstance(dimension, Times):
        return ()
    return dimension.values if isinstance(dimension, Choice) else (dimension.at(0.0), dimension.at(1.0))


def _check_several(what: str, names: list[str]) -> None:
    if not names:
        raise ArgumentError(f"cannot make a study without {what}: accepted is one at least")
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ArgumentError(f"cannot use {what}: {', '.join(twice)} stands there twice; accepted are different names")


def _check_exactly(what: str, name: str, known: Iterable[str]) -> None:
    if (found := check_known(what, name, known)) != name:
        raise UnknownNameError(f"unknown {what} {name!r}. Did you mean {found!r}?")


def _listed(tasks: Any) -> Iterable[Any]:
    return [tasks] if isinstance(tasks, str | Task | Entry) else tasks


def _seeds(name: str, given: int | Sequence[int], first: int) -> tuple[int, ...]:
    if isinstance(given, int):
        check_count(name, given, 1)
        return tuple(range(first, first + given))
    return tuple(given)


def _horizon(given: str | Horizon, schedule: Schedule | None) -> Horizon:
    found = given if isinstance(given, Horizon) else HORIZONS[check_known("horizon", given, HORIZONS)]
    if schedule is None:
        return found
    if found.criterion == "anytime" and schedule.name in KNOWING:
        others = ", ".join(name for name in COURSES if name not in KNOWING)
        raise ArgumentError(
            f"cannot use the schedule {schedule.name!r} at the horizon {found.name!r}: it knows the last step, and the"
            f" length is open there; accepted: {others}, or the horizon 'known'"
        )
    return dataclasses.replace(found, schedule=schedule)
