"""A study as a file: written before its first run, and refused when somebody has changed it since."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from waddington import jobs
from waddington._files import write_text
from waddington.bench.arm import Arm
from waddington.bench.entry import Entry, Horizon
from waddington.bench.schedule import Schedule
from waddington.bench.space import Choice, Log, OneMinus, Times, Uniform
from waddington.bench.study import Study
from waddington.errors import ArgumentError, OutputError, UnknownNameError

__all__ = ["from_json", "read_study", "to_json", "withdraw_study", "write_study"]

_STUDY = "study.json"


def to_json(study: Study) -> str:
    """Write a study as JSON, with its hash, where files of its tasks and optimizers are, and what arguments they take.

    The latter is no part of the study's spec: with it the records can be read where the files are not.
    """
    spec = jobs.spec_of(study)
    sources = [entry.source for entry in study.entries] + [arm.source for arm in study.arms]
    for written, source in zip((*spec["entries"], *spec["arms"]), sources, strict=True):
        written["source"] = source
    known = {
        "entries": [list(entry.parameter_names) for entry in study.entries],
        "arms": [list(arm.accepted) for arm in study.arms],
    }
    return json.dumps({"hash": study.hash, "name": study.name, "study": spec, "known": known}, indent=1)


def from_json(text: str) -> Study:
    """Read what :func:`to_json` wrote.

    Raises
    ------
    ArgumentError
        It is no study, or one that somebody has changed since it was hashed; or it was written before files kept what
        arguments tasks and optimizers take, and a file of one is not where it was.
    """
    content: dict[str, Any] = {}
    try:
        content = json.loads(text)
        for part, names in content.get("known", {}).items():
            for written, known in zip(content["study"][part], names, strict=True):
                written["known"] = known
        found = _decoded(content["study"])
        assert isinstance(found, Study)
        found = dataclasses.replace(found, name=content["name"])
        registered = content["hash"]
    except UnknownNameError as error:
        if "known" in content:
            raise
        raise ArgumentError(
            f"cannot read the study: {str(error).partition('; accepted')[0]}; its study.json was written before such"
            " files could be missing; accepted: the file where it was"
        ) from error
    except ArgumentError:
        raise
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise ArgumentError(
            f"cannot read the study: {type(error).__name__}: {error}; accepted: what this version has written"
        ) from error
    if found.hash != registered:
        raise ArgumentError(
            f"cannot use the study: its hash is {found.hash} and {registered} was written down; accepted: a study that"
            " is as it was registered, and the version of waddington that registered it"
        )
    return found


def write_study(study: Study, folder: str | Path) -> bool:
    """Write a study into its folder, or make sure that it is the one that is there; tell whether it was written.

    Raises
    ------
    OutputError
        The folder holds another study, or cannot be written.
    """
    path = Path(folder) / _STUDY
    if path.exists():
        if (other := read_study(folder)).hash != study.hash:
            changed = f", and {', '.join(files)} changed since" if (files := _changed(other, study)) else ""
            raise OutputError(
                f"cannot keep the study {study.hash[:8]} in {str(folder)!r}: it holds the study {other.hash[:8]} of"
                f" {', '.join(entry.label for entry in other.entries)}{changed}; accepted: another folder, or the same"
                " settings, with which it goes on"
            )
        return False
    write_text(path, to_json(study))
    return True


def _changed(old: Study, new: Study) -> list[str]:
    """Name the files of tasks and optimizers that have another hash than they had."""
    before, now = (
        {entry.source: entry.digest for entry in one.entries} | {arm.source: arm.digest for arm in one.arms}
        for one in (old, new)
    )
    return sorted(source for source in now if source and before.get(source, now[source]) != now[source])


def withdraw_study(folder: str | Path) -> None:
    """Take a study out of its folder again, so that another may have it."""
    (Path(folder) / _STUDY).unlink(missing_ok=True)


def read_study(folder: str | Path) -> Study:
    """Read the study of a folder.

    Raises
    ------
    ArgumentError
        There is none, or it has been changed.
    """
    try:
        return from_json((Path(folder) / _STUDY).read_text(encoding="utf-8"))
    except OSError as error:
        raise ArgumentError(
            f"cannot read a study from {str(folder)!r}: {error.strerror or error}; accepted: a folder that"
            " `waddington bench run` has written"
        ) from error


_CLASSES: dict[str, type] = {
    f"{cls.__module__}.{cls.__qualname__}": cls
    for cls in (Study, Entry, Horizon, Arm, Schedule, Log, Uniform, OneMinus, Times, Choice)
}


def _decoded(value: Any) -> Any:
    """Bring a spec back to the dataclasses of a study, and to no others."""
    if isinstance(value, list):
        return tuple(_decoded(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "$float" in value:
        return float(value["$float"])
    fields = {name: _decoded(item) for name, item in value.items() if not name.startswith("$")}
    if "$type" not in value:
        return fields
    cls = _CLASSES[value["$type"]]
    return Choice(*fields["values"]) if cls is Choice else cls(**fields)
