"""What a job is: a frozen dataclass whose fields say everything that its result depends on."""

from __future__ import annotations

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from waddington.errors import ArgumentError
from waddington.jobs.specs import hash_of, spec_of

__all__ = ["Context", "Job", "files_folder"]


@dataclass(frozen=True, kw_only=True)
class Job(ABC):
    """A piece of work that is a function of its fields.

    A subclass is a frozen, keyword-only dataclass with a :meth:`run`::

        @dataclass(frozen=True, kw_only=True)
        class Fit(Job):
            optimizer: str
            lr: float
            seed: int

            def run(self, context: Context) -> dict[str, float]:
                ...
                return {"loss": loss}

    Two jobs of one spec have one :attr:`key`, so what one study has computed another finds; ``1``, ``1.0`` and ``True``
    are three specs, ``0.0`` and ``-0.0`` are two. A field with
    ``field(compare=False)`` says where or how fast a job runs, never what it finds, and is no part of the key. A job
    that needs others holds them as fields: they run first, and a change of theirs changes its key. The class must be
    importable by name where other processes are to run it.
    """

    version: ClassVar[int] = 1
    """Raised by whoever changes what :meth:`run` computes, so that older records are not taken for new ones."""
    kind: ClassVar[str]
    """Name of the class in specs; ``module.Class`` unless the class body sets it. One that is set survives a move."""
    seeds: ClassVar[tuple[str, ...]] = ("seed",)
    """Fields that seed random numbers; a record lists those that exist."""

    @abstractmethod
    def run(self, context: Context) -> Mapping[str, Any]:
        """Compute, and give what JSON can hold.

        Parameters
        ----------
        context
            Where files go, records of jobs that are needed, and who is told how far it is.

        Returns
        -------
        Mapping
            Numbers (NaN and infinities too), texts, lists and mappings of these. Arrays and weights go into files of
            ``context.folder``, written beside and renamed.
        """

    @property
    def spec(self) -> dict[str, Any]:
        """The job as JSON can hold it; see :mod:`waddington.jobs.specs`."""
        found: dict[str, Any] = spec_of(self)
        return found

    @functools.cached_property
    def key(self) -> str:
        """Hash of the spec, 32 hexadecimal digits: names the record."""
        return hash_of(self)

    @property
    def label(self) -> str:
        """A short text for people; need not be unique."""
        return f"{type(self).__name__} {self.key[:8]}"

    @property
    def needs(self) -> tuple[Job, ...]:
        """The jobs that must be done before: those among the fields, alone or in a tuple or list."""
        found: list[Job] = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            found += [
                item for item in (value if isinstance(value, tuple | list) else (value,)) if isinstance(item, Job)
            ]
        return tuple(found)


class Context:
    """What a running job may use.

    Parameters
    ----------
    root
        Folder of the store, which all its jobs share.
    key
        Of the running job.
    results
        Results of the jobs it needs, by key.
    tell
        Told the fraction that is done.
    """

    def __init__(
        self,
        root: Path,
        key: str,
        results: Mapping[str, Mapping[str, Any]] | None = None,
        tell: Callable[[float], None] = lambda fraction: None,
    ) -> None:
        self.root = root
        self._key = key
        self._results = results or {}
        self._tell = tell

    @property
    def folder(self) -> Path:
        """Folder of this job's files and checkpoints; made when it is first asked for. It survives a kill."""
        folder = files_folder(self.root, self._key)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def progress(self, fraction: float) -> None:
        """Say which fraction of the work is done, in [0, 1]."""
        self._tell(min(1.0, max(0.0, float(fraction))))

    def result(self, job: Job) -> Mapping[str, Any]:
        """Give the result of a job that this one needs.

        Raises
        ------
        ArgumentError
            When the job is no field of this one.
        """
        if job.key not in self._results:
            raise ArgumentError(
                f"cannot give the result of {job.label!r}: accepted are jobs that are fields of this one"
            )
        return self._results[job.key]

    def folder_of(self, job: Job) -> Path:
        """Give the folder of another job's files."""
        return files_folder(self.root, job.key)


def files_folder(root: Path, key: str) -> Path:
    """Name the folder of a job's files."""
    return root / "files" / key
