"""A study's folder: its registration, its store, and what is written from its records."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from waddington import jobs
from waddington._checks import check_choice, check_count
from waddington._files import write_text
from waddington.bench.comparison import Comparison, compare
from waddington.bench.conducting import conduct
from waddington.bench.cost import costs_of
from waddington.bench.packing import pack, unpack
from waddington.bench.registered import read_study, withdraw_study, write_study
from waddington.bench.search import Cell
from waddington.bench.store import STORE, Store
from waddington.bench.study import Study
from waddington.errors import ArgumentError, OutputError, WaddingtonError

__all__ = ["compare_folder", "make_executor", "pack_folders", "run_study", "tune_study", "write_results"]


def run_study(
    study: Study,
    out: str | Path,
    *,
    executor: jobs.Executor | None = None,
    listener: jobs.Listener | None = None,
    costs: bool = True,
    trackers: tuple[str, ...] = (),
    records: Iterable[str | Path] = (),
    command: str = "",
) -> Comparison:
    """Run a study into a folder, go on with one that was stopped, and write its report.

    Parameters
    ----------
    study
        The study.
    out
        Its folder; made if need be. It then holds ``study.json``, ``store.sqlite``, ``records.csv``, ``summary.csv``,
        ``contrasts.csv``, ``report.html`` and ``report.md``.
    executor
        Where runs run; None is this process.
    listener
        Told how far the study is.
    costs
        Whether step costs are taken, too.
    trackers
        ``"tensorboard"``, ``"mlflow"`` or ``"wandb"`` (offline): curves while runs run, in folders of their names.
    records
        Files that :func:`pack_folders` has written: what they hold is not run again.
    command
        What makes the study and its page again; the report shows it.

    Raises
    ------
    DataError
        A file of records cannot be read.
    OutputError
        The folder holds another study, or cannot be written.
    UnsupportedError
        Every run of a phase failed.
    """
    folder = _made(out)
    hears = listener or jobs.Listener()
    with _registered(study, folder, hears) as store:
        for path in records:
            store.adopt(unpack(path))
        conduct(study, store, executor=executor, listener=hears, trackers=trackers)
        if costs:
            timed = costs_of(study.entries, study.arms, study.arguments)
            hears.stage("step costs", len(timed))
            # In this process: beside other work a step's time is that of the machine.
            jobs.run(timed, store, on_failure="record", listen=hears.advance)
        comparison = compare(study, store)
        store.write_csv(folder / "records.csv")
    write_results(comparison, folder, command=command)
    return comparison


def tune_study(
    study: Study, out: str | Path, *, executor: jobs.Executor | None = None, listener: jobs.Listener | None = None
) -> list[Cell]:
    """Search alone: give every arm's trials, and write them into ``tuning.csv`` of a folder.

    Parameters
    ----------
    study, out, executor, listener
        As :func:`run_study` takes them; the runs are those of a later ``run_study`` of the same study.

    Raises
    ------
    OutputError
        The folder holds another study, or cannot be written.
    """
    folder = _made(out)
    hears = listener or jobs.Listener()
    with _registered(study, folder, hears) as store:
        cells = conduct(study, store, executor=executor, listener=hears, evaluate=False)
        store.write_csv(folder / "records.csv")
    rows = [
        {
            "horizon": cell.horizon.name,
            "task": cell.entry.label,
            "arm": cell.arm.name,
            "value": (-1.0 if cell.entry.larger_is_better else 1.0) * trial.value,
            "round": trial.round,
            "chosen": i == cell.chosen,
            "boundary": dict(cell.boundary) if i == cell.chosen else {},
            "arguments": dict(trial.arguments),
        }
        for cell in cells
        for i, trial in enumerate(cell.trials)
    ]
    write_text(folder / "tuning.csv", _csv(rows))
    return cells


@contextmanager
def _registered(study: Study, folder: Path, hears: jobs.Listener) -> Iterator[jobs.Store]:
    """Open the store of a study's folder; a study that is refused before anything has run leaves that to another."""
    is_new = write_study(study, folder)
    with Store(folder, note=hears.note) as store:
        try:
            yield store
        except WaddingtonError:
            if is_new and not store.counts():
                withdraw_study(folder)
            raise


def compare_folder(folder: str | Path, *, listener: jobs.Listener | None = None) -> Comparison:
    """Compare the arms of the study in a folder, from its records alone.

    Parameters
    ----------
    folder
        Holds ``study.json`` and ``store.sqlite``. Files of its tasks and optimizers need not be there.
    listener
        Told what the user should know meanwhile.

    Raises
    ------
    ArgumentError
        There is no study, or no store.
    UnsupportedError
        It was not run to its end.
    """
    study = read_study(Path(folder))
    with _opened(folder, listener) as store:
        return compare(study, store)


def write_results(comparison: Comparison, folder: str | Path, *, command: str = "") -> None:
    """Write tables and the report of a comparison.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    from waddington.bench.report import write_report  # its libraries are heavy
    from waddington.bench.reporting import report_data

    place = _made(folder)
    write_text(place / "summary.csv", _csv(comparison.summary()))
    write_text(place / "contrasts.csv", _csv(comparison.contrasts()))
    write_report(place, report_data(comparison, command=command))


def pack_folders(folders: Iterable[str | Path], path: str | Path, *, listener: jobs.Listener | None = None) -> int:
    """Write the records of several studies into one small file; give their number.

    Parameters
    ----------
    folders
        Of studies.
    path
        The file; see :mod:`waddington.bench.packing`.
    listener
        Told what the user should know meanwhile.

    Raises
    ------
    ArgumentError
        A folder holds no study, or no store.
    OutputError
        The file cannot be written.
    """
    found: dict[str, jobs.Record] = {}
    for folder in folders:
        read_study(folder)
        with _opened(folder, listener) as store:
            found |= {record.key: record for record in store.records()}
    return pack(found.values(), path)


def make_executor(
    workers: int, kind: Literal["processes", "ray"] = "processes", *, address: str | None = None
) -> jobs.Executor:
    """Make what runs the runs.

    Parameters
    ----------
    workers
        Runs at once; 0 is one for each core. One worker of ``"processes"`` is this process.
    kind
        ``"processes"`` of this machine, or ``"ray"``.
    address
        Of a Ray cluster that is running.
    """
    check_count("workers", workers, 0)
    check_choice("executor", kind, ("processes", "ray"))
    if kind == "ray":
        return jobs.Ray(workers, address=address)
    count = workers or jobs.core_count()
    return jobs.InProcess() if count == 1 else jobs.Processes(count)


def _opened(folder: str | Path, listener: jobs.Listener | None) -> Store:
    """Open the store that a folder has."""
    path = Path(folder) / STORE
    if not path.is_file():
        raise ArgumentError(
            f"cannot read records from {str(folder)!r}: {STORE} is not there, which holds them; accepted: a folder with"
            " the study.json and the store.sqlite that `waddington bench run` has written"
        )
    return Store(folder, note=(listener or jobs.Listener()).note)


def _made(folder: str | Path) -> Path:
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot keep a study in {str(path)!r}: {error.strerror or error}; accepted: a folder that can be written"
        ) from error
    return path


def _csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows as CSV; what is missing is empty, and a mapping is JSON."""
    listed = list(rows)
    columns = list(dict.fromkeys(name for row in listed for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    for row in listed:
        plain = {name: json.dumps(value) if isinstance(value, Mapping) else value for name, value in row.items()}
        writer.writerow(plain)
    return stream.getvalue()
