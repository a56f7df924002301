"""Cells that tables are made on, simulated or a user's; files are known by their content, not by where they lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from waddington._checks import check_known
from waddington.errors import ArgumentError, DataError
from waddington.jobs import Context, Job
from waddington.twin.run.config import READ_FIELDS, RunConfig
from waddington.twin.run.data import RunData, load, save
from waddington.twin.run.prepare import prepare, read_cells

__all__ = ["CellSource", "CellsJob", "prepared_cells"]

_FILES = ("file", "rna", "atac", "protein")
_HOW = tuple(name for name in READ_FIELDS if name not in _FILES)
_FOLDER = "prepared"


@dataclass(frozen=True, kw_only=True)
class CellSource:
    """Which cells, and how they are read; made by :meth:`simulated` or :meth:`read`."""

    name: str
    """In tables."""
    settings: tuple[tuple[str, Any], ...]
    """Fields of a run's configuration."""
    digest: str = ""
    """Hash of the files' content; empty for simulated cells."""
    paths: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """Where the files lie, by field."""

    @classmethod
    def simulated(cls, *, n_cells: int = 5000, name: str = "simulated") -> CellSource:
        """Give the simulator's cells, of three modalities."""
        return cls(name=name, settings=(("n_cells", n_cells),))

    @classmethod
    def read(cls, name: str, **given: Any) -> CellSource:
        """Give a user's cells.

        Parameters
        ----------
        name
            In tables.
        **given
            ``file``, or ``rna``, ``atac`` and ``protein``, and how they are read, as
            :func:`waddington.twin.data.io.read` has it.

        Raises
        ------
        UnknownNameError
            An argument that reading does not have.
        ArgumentError
            No file at all.
        DataError
            A file that is not there.
        """
        for field_name in given:
            check_known("argument of reading", field_name, (*_FILES, *_HOW))
        paths = {key: Path(given[key]) for key in _FILES if given.get(key) is not None}
        if not paths:
            raise ArgumentError(f"cannot read cells {name!r} of no file: accepted are {', '.join(_FILES)}")
        digest = hashlib.sha256()
        for key, path in paths.items():
            digest.update(f"{key}={_digest(path)}".encode())
        return cls(
            name=name,
            settings=tuple(sorted((key, value) for key, value in given.items() if key in _HOW and value is not None)),
            digest=digest.hexdigest(),
            paths=tuple((key, str(path)) for key, path in paths.items()),
        )

    def config(self) -> RunConfig:
        """Give the configuration that reads and prepares them, as the paper's preset does."""
        return RunConfig.of("paper", **dict(self.settings), **dict(self.paths))


@dataclass(frozen=True, kw_only=True)
class CellsJob(Job):
    """Reads (or simulates) and prepares cells once, for all that is made on them."""

    kind: ClassVar[str] = "tables-cells"

    source: CellSource

    @property
    def label(self) -> str:
        """Name of the cells."""
        return f"cells_{self.source.name}"

    def run(self, context: Context) -> dict[str, Any]:
        """Prepare them; arrays lie in the job's folder."""
        config = self.source.config()
        prepared = prepare(read_cells(config), config)
        save(prepared, context.folder / _FOLDER)
        return {
            "cells": len(prepared.groups),
            "train_cells": int(prepared.design.train.sum()),
            "features": {name: int(x.shape[1]) for name, x in prepared.inputs.items()},
            "notes": list(prepared.notes),
        }


def prepared_cells(job: CellsJob, context: Context) -> RunData:
    """Read what a job has prepared, in a job that needs it."""
    return load(context.folder_of(job) / _FOLDER)


def _digest(path: Path) -> str:
    """Hash a file, or the files of a folder with their names."""
    if not path.exists():
        raise DataError(f"cannot read {str(path)!r}: there is no such file")
    files = sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        if path.is_dir():
            digest.update(f"{file.relative_to(path).as_posix()}\n".encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
