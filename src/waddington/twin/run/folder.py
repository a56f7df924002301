"""The folder of a run: claimed before work starts, never shared by two runs, never overwritten by another one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mudata as md
import numpy as np

from waddington._files import write_text
from waddington.errors import OutputError
from waddington.jobs import Job, hash_of, locked
from waddington.jobs.job import files_folder
from waddington.twin.preprocess import measured
from waddington.twin.run.config import RunConfig

__all__ = ["OUTPUTS", "RunFolder", "fingerprint"]

OUTPUTS = (
    "metrics.csv",
    "measurability.csv",
    "loss_curves.png",
    "landscape.png",
    "loss_landscape.png",
    "trajectories.png",
    "metrics.png",
    "model",
    "final_model.pt",
    "config.json",
    "cells.h5mu",
    "predictions.h5mu",
    "report.html",
)
"""Files that a run leaves; `model` is a folder."""

_FREE = frozenset({"workers", "executor", "device", "file", "rna", "atac", "protein"})
"""Fields that may differ on resuming: where it runs, and where the (same) data lie."""


class RunFolder:
    """Where a run writes.

    Parameters
    ----------
    path
        The folder; made if it does not exist.
    resume
        Whether a run that is there may go on.

    Raises
    ------
    OutputError
        When the folder cannot be made or written, or holds a run and `resume` is not set.
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        self.path = path
        self.work = path / "work"
        self.prepared = self.work / "prepared"
        self.run_id = ""
        """Hash of settings and cells, once claimed: jobs of another run are other jobs."""
        try:
            self._made = not path.exists()
            # A link may point to a folder that is yet to be made.
            path.resolve().mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path, prefix=".waddington-"):
                pass
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a ring
            reason = getattr(error, "strerror", None) or error
            raise OutputError(
                f"cannot write to output folder {str(path)!r}: {reason}; accepted: a folder that can be written"
            ) from error
        found = [name for name in (*OUTPUTS, "work") if (path / name).exists()]
        self.is_empty = not found
        """Whether no run was there."""
        if found and not resume:
            raise OutputError(
                f"cannot start a run in {str(path)!r}: it already holds {', '.join(found[:4])}"
                f"{', …' if len(found) > 4 else ''}; "
                "accepted: another folder, or resume=True to go on with the run that is there"
            )

    def claim(self, config: RunConfig, data: str) -> None:
        """Write down what this run is, or check that the run that is there is the same.

        Parameters
        ----------
        config
            Of this run.
        data
            Fingerprint of the cells.

        Raises
        ------
        OutputError
            When the folder holds a run of other settings or other cells; nothing is changed.
        """
        if (self.work / "units").exists():
            raise OutputError(
                f"cannot resume in {str(self.path)!r}: an earlier version of waddington began the run that is there; "
                "accepted: another folder"
            )
        mine = {**config.to_dict(), "data": data}
        record = self.work / "config.json"
        if record.exists():
            theirs = {**json.loads(record.read_text(encoding="utf-8")), "data": (self.work / "data.txt").read_text()}
            differ = [name for name in mine if name not in _FREE and mine[name] != theirs.get(name)]
            if differ:
                listed = "; ".join(f"{name} was {theirs.get(name)!r}, is {mine[name]!r}" for name in differ[:4])
                raise OutputError(
                    f"cannot resume in {str(self.path)!r}: it holds a run of other settings ({listed}); "
                    "accepted: the same settings and cells, or another folder"
                )
        self.work.mkdir(exist_ok=True)
        self.run_id = hash_of({name: value for name, value in mine.items() if name not in _FREE})
        write_text(self.work / "data.txt", data)
        write_text(record, json.dumps(config.to_dict(), indent=2))

    def forget(self) -> None:
        """Drop the claim of a run that was refused before its work began; a run that was here before stays."""
        if self.is_empty:
            shutil.rmtree(self.work, ignore_errors=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; the lock goes with the process, however it ends.

        Raises
        ------
        OutputError
            When another process is running here; says which.
        """
        try:
            with locked(self.path):
                yield
        finally:
            self._leave()

    def _leave(self) -> None:
        """Take the folder away again if this run made it and nothing came of it."""
        if self._made and not any(self.path.iterdir()):
            self.path.resolve().rmdir()

    def files_of(self, job: Job) -> Path:
        """Give the folder of a job's files."""
        return files_folder(self.work, job.key)


def fingerprint(mdata: md.MuData) -> str:
    """Hash what is learnt from: barcodes, features, counts or values, and the label columns."""
    digest = hashlib.sha256()
    for name, part in mdata.mod.items():
        digest.update(name.encode())
        for names in (part.obs_names, part.var_names):
            digest.update("\n".join(map(str, names)).encode())
        matrix = measured(part, name)
        for array in (matrix.indptr, matrix.indices, matrix.data) if hasattr(matrix, "indptr") else (matrix,):
            digest.update(np.ascontiguousarray(array).tobytes())
    for column in ("perturbation", "perturbation_mode", "time", "split", "cell_type"):
        if column in mdata.obs:
            digest.update("\n".join(mdata.obs[column].astype(str)).encode())
    return digest.hexdigest()
