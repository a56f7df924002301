"""The record of a job: its spec, what it found or why it failed, and where, when and by which code."""

from __future__ import annotations

import csv
import io
import json
import math
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from waddington._text import shorten
from waddington._version import __version__, commit
from waddington.errors import ArgumentError
from waddington.jobs.job import Job
from waddington.jobs.specs import hash_of_spec

__all__ = ["Record", "checked_result", "flat_rows", "make_record", "this_machine", "to_csv"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of a job that has ended."""

    key: str
    """Hash of the spec."""
    kind: str
    """Name of the job's class."""
    label: str
    """The job's short text."""
    spec: Mapping[str, Any]
    """The job itself, as JSON."""
    status: Literal["done", "failed"]
    """Whether it gave a result."""
    result: Mapping[str, Any] | None
    """What :meth:`Job.run` gave; None where it failed."""
    error: str | None
    """Type and message of what it failed with; None where it is done."""
    seeds: Mapping[str, int]
    """Its seeds, by field."""
    code: Mapping[str, str]
    """Versions: of the job's class, of this package and of Python; in a checkout also its commit."""
    machine: Mapping[str, str]
    """Host, system and processor."""
    started: str
    """When it began, UTC, ISO 8601."""
    seconds: float
    """How long it took."""
    attempts: int
    """How many times it was begun, killed ones included."""
    files: tuple[str, ...] = ()
    """Names of the files in its folder."""

    @property
    def content(self) -> dict[str, Any]:
        """What does not depend on where and when it ran: equal for every executor."""
        names = ("key", "kind", "label", "spec", "status", "result", "error", "seeds", "files")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> str:
        """Write it as JSON; NaN and infinities as Python's reader takes them."""
        return json.dumps({field.name: getattr(self, field.name) for field in fields(self)}, default=_plain)

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            It is no record that a job has left: a field is missing or of another kind, or the key is of another spec,
            so that the result would answer for a job that did not give it.
        """
        try:
            values = json.loads(text)
            names = {field.name for field in fields(cls)}
            if not isinstance(values, dict) or not names - {"files"} <= values.keys() <= names:
                raise ValueError(f"found {shorten(text.strip(), 60)!r}, which has not the fields of a record")
            _check_fields(values)
            key = hash_of_spec(values["spec"])
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if key != values["key"]:
            raise ValueError(f"the record {values['key']!r} of {values['label']!r} has a spec whose key is {key}")
        return cls(**{**values, "files": tuple(values.get("files", ()))})


def make_record(
    job: Job,
    *,
    result: Mapping[str, Any] | None = None,
    error: str | None = None,
    started: float,
    seconds: float,
    attempts: int,
    machine: Mapping[str, str],
    files: Iterable[str] = (),
) -> Record:
    """Put a record together."""
    spec = job.spec
    return Record(
        key=job.key,
        kind=spec["$type"],
        label=job.label,
        spec=spec,
        status="done" if error is None else "failed",
        result=result,
        error=error,
        seeds={name: spec[name] for name in type(job).seeds if name in spec},
        code={
            "job": str(type(job).version),
            "waddington": __version__,
            "python": platform.python_version(),
            **({"commit": of} if (of := commit()) else {}),
        },
        machine=machine,
        started=datetime.fromtimestamp(started, UTC).isoformat(timespec="milliseconds"),
        seconds=seconds,
        attempts=attempts,
        files=tuple(sorted(files)),
    )


def this_machine() -> dict[str, str]:
    """Say on which machine this is."""
    return {"host": platform.node(), "system": platform.platform(), "processor": platform.machine()}


def checked_result(job: Job, result: Any) -> dict[str, Any]:
    """Bring a result to what JSON gives back, so that a fresh one equals one that was read.

    Raises
    ------
    ArgumentError
        For a result that JSON cannot hold; names the job and the type.
    """
    if not isinstance(result, Mapping):
        raise ArgumentError(
            f"cannot keep the result of {job.label!r}: found {type(result).__name__}; accepted: a mapping"
        )
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(result), default=_plain), object_pairs_hook=_each_once)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"cannot keep the result of {job.label!r}: {error}; accepted: what JSON holds, arrays go into a file of "
            "context.folder"
        ) from None
    return found


def flat_rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Give one flat dict a record: nested fields as ``spec.lr`` and ``result.loss``, lists as JSON texts."""
    return [
        dict(_flatten("", {field.name: getattr(record, field.name) for field in fields(record)})) for record in records
    ]


def to_csv(records: Iterable[Record]) -> str:
    """Write records as CSV, one line each; a column is empty where a record has no such field."""
    rows = flat_rows(records)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _flatten(name: str, value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flatten(f"{name}.{key}" if name else str(key), item)
    elif isinstance(value, list | tuple | Mapping):
        yield name, json.dumps(value)
    else:
        yield name, value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse keys that JSON writes alike, such as 1 and "1": one of the values would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"found two keys that read {twice!r}")
    return found


def _check_fields(values: Mapping[str, Any]) -> None:
    """Refuse fields that are not what a record says of them."""
    for name, (accepted, words) in _FIELDS.items():
        if name in values and not (accepted(values[name])):
            raise ValueError(
                f"the record {values['key']!r} of {values['label']!r} has {name}={shorten(repr(values[name]), 60)},"
                f" which is no {words}"
            )
    if values["status"] == "done" and values["result"] is None:
        raise ValueError(f"the record {values['key']!r} of {values['label']!r} is 'done' without a result")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_all_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


_FIELDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("key", "kind", "label", "started"), (_is_text, "text")),
    "status": (lambda value: value in ("done", "failed"), "status of a job that has ended"),
    "spec": (_is_object, "spec"),
    "result": (lambda value: value is None or isinstance(value, dict), "result"),
    "error": (lambda value: value is None or isinstance(value, str), "message"),
    "seeds": (_is_object, "object of seeds"),
    **dict.fromkeys(("code", "machine"), (_is_all_texts, "object of texts")),
    "seconds": (
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value < math.inf,
        "time in seconds",
    ),
    "attempts": (lambda value: isinstance(value, int), "number of attempts"),
    "files": (lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value), "list of names"),
}
"""What each field of a record is when it is read: how it is known, and its name for people."""


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"found {type(value).__module__}.{type(value).__qualname__}")
