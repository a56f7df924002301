"""The study that flags of ``waddington bench`` make, or that ``--study`` names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from waddington.cli._flags import read_pair, read_ranges, read_schedule, read_setting

if TYPE_CHECKING:
    from waddington import bench

__all__ = ["study_by_name", "study_of_flags"]


def study_of_flags(
    tasks: list[str] | None, optimizers: list[str] | None, *, horizon: str, schedule: str | None, tiny: bool,
    space: list[str] | None, setting: list[str] | None, contrast: list[str] | None, **numbers: Any,
) -> bench.Study:  # fmt: skip
    """Make the study that the flags name.

    Raises
    ------
    ArgumentError
        Flags that cannot be read, that say two things of one argument, or that make no fair study.
    """
    from waddington import bench
    from waddington._checks import check_known, check_once
    from waddington.bench.arm import parse_arm, with_ranges, without
    from waddington.errors import ArgumentError

    if not tasks:
        raise ArgumentError(f"cannot compare on no task: accepted are one or more of {', '.join(bench.task_names())}")
    if not optimizers:
        raise ArgumentError("cannot compare no optimizers: accepted are one or more, such as --optimizer AdamW")
    shared, own = read_ranges(space or [])
    fixed = check_once("--set", map(read_setting, setting or []))
    searched = {*shared, *(name for ranges in own.values() for name in ranges)}
    course = None if schedule is None else read_schedule(schedule)
    if schedule is not None:
        _check_said_once(schedule, {*searched, *fixed})
    if both := sorted(searched & set(fixed)):
        raise ArgumentError(f"cannot use {', '.join(both)} in --set and --space: accepted is the one or the other")
    arms = [with_ranges(without(parse_arm(text), fixed), own) for text in optimizers]
    for name in own.get(None, {}):
        check_known("argument of the optimizers", name, sorted({known for arm in arms for known in arm.accepted}))
    pairs = None if contrast is None else [read_pair(text) for text in contrast]
    if unknown := set(own) - {None} - {arm.name for arm in arms}:
        raise ArgumentError(
            f"cannot search arguments of {', '.join(map(str, unknown))}: accepted are {', '.join(a.name for a in arms)}"
        )
    return bench.Study.of(
        tasks,
        arms,
        size="tiny" if tiny else "full",
        horizons=("known", "open") if horizon == "both" else (horizon,),
        schedule=course,
        contrasts=pairs,
        space=shared,
        arguments={"weight_decay": 0.0, **fixed},
        **numbers,
    )


def study_by_name(study: str, given: Iterable[str]) -> bench.Study:
    """Give a study of this project, or of a file; it names its own tasks, optimizers and budgets.

    Parameters
    ----------
    study
        Its name, or a ``study.json``.
    given
        Flags beside it that belong to a study.

    Raises
    ------
    UnknownNameError
        No such study.
    ArgumentError
        There are such flags: they would count for nothing.
    """
    from waddington.bench.studies import get_study
    from waddington.errors import ArgumentError

    if flags := ", ".join(given):
        raise ArgumentError(f"cannot use {flags} with --study {study}: a study has its own; accepted is one of the two")
    return get_study(study)


def _check_said_once(schedule: str, names: set[str]) -> None:
    """Refuse fields of a schedule that ``--schedule`` and ``--set`` or ``--space`` both say."""
    from waddington.bench.arm import SCHEDULE
    from waddington.errors import ArgumentError

    fields = {"name", *(part.partition("=")[0].strip() for part in schedule.split(",")[1:])}
    if both := sorted(name for name in names if name.removeprefix(SCHEDULE) in fields and name.startswith(SCHEDULE)):
        raise ArgumentError(
            f"cannot use {', '.join(both)} beside --schedule {schedule}: it is said there; accepted is one of the two"
        )
