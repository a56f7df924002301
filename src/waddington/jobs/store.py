"""The store: one SQLite file of records, safe against SIGKILL at any moment and against several writers.

A job is *claimed* in one immediate transaction before it runs, and its record takes the claim's place in another one.
A claim whose owner has ended may be claimed by anybody. On this machine that is known at once and for certain; of an
owner on another machine only the lease is known, which a thread renews while the owner lives. Whoever lost a claim
cannot write the record any more. So no job is lost, and none has two records.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from waddington._checks import check_choice, check_in_range
from waddington._files import write_text
from waddington.errors import DataError, OutputError
from waddington.jobs.database import Database, Locked
from waddington.jobs.job import Job, files_folder
from waddington.jobs.owners import Owner
from waddington.jobs.records import Record, checked_result, flat_rows, make_record, this_machine, to_csv
from waddington.jobs.specs import canonical_json
from waddington.jobs.waiting import Patience

__all__ = ["Claim", "Store"]

_BRIEF_S = 1.0  # longest wait where what cannot be written now is written later, or holds by itself


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to run a job and to write its record."""

    job: Job
    owner: str
    attempts: int
    """How many times the job was claimed, this one included."""


class Store(Database):
    """Records of jobs in a folder; files of jobs lie beside, in ``files/<key>``.

    Any number of studies, processes and terminals may use one store at the same time. A context manager: at its end,
    claims that are still held are given back.

    Parameters
    ----------
    folder
        Made if it does not exist; holds the file.
    file
        Name of the SQLite file.
    lease_s
        Seconds after which other machines may take a claim that was not renewed; a thread renews claims four times in
        that span.
    journal
        SQLite's journal: ``"wal"``, the fast one, for a folder of this machine; ``"delete"`` for a network folder,
        whose locks must work.
    note
        Told in words when another process keeps the file locked for more than a few seconds; None warns.
    clock
        Tells seconds since 1970; for tests.

    Raises
    ------
    OutputError
        When the file cannot be made, read or written, another process has kept it locked for two minutes, or another
        version of the package wrote it.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        file: str = "jobs.sqlite",
        lease_s: float = 300.0,
        journal: Literal["wal", "delete"] = "wal",
        note: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_in_range("lease_s", lease_s, 0.0, threading.TIMEOUT_MAX, open_low=True)
        check_choice("journal", journal, ("wal", "delete"))
        self.folder = Path(folder)
        super().__init__(self.folder / file, journal, Patience(self.folder / file, note))
        self._lease_s, self._clock = lease_s, clock
        self._has_claimed = False
        self._ended = threading.Event()
        self._owed: set[str] = set()  # keys of claims that could not be given back yet
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._owner = Owner(self.folder / "owners")
        except OSError as error:
            raise OutputError(
                f"cannot keep jobs in {str(self.folder)!r}: {error.strerror or error}; accepted: a folder that can "
                "be written"
            ) from error
        try:
            self._create()
        except BaseException:
            self._owner.close()
            self._close_connections()
            raise
        self._heart = threading.Thread(target=self._beat, name="waddington-lease", daemon=True)
        self._heart.start()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what is claimed, and close the file.

        Where another process has it locked, the claims are given up with the lock file of this owner.
        """
        if self._ended.is_set():
            return
        self._ended.set()
        self._heart.join()
        try:
            if self._has_claimed:
                self._free_claims()
        finally:
            self._owner.close()
            self._close_connections()

    def patiently(self) -> contextlib.AbstractContextManager[None]:
        """Have this thread wait for other processes' locks as long as it takes: for whom giving up would lose work."""
        return self._patience.limited(math.inf)

    # --- claims ---

    def claim(self, job: Job, *, retry_failed: bool = False) -> Claim | None:
        """Take a job to run it.

        Parameters
        ----------
        job
            The job.
        retry_failed
            Whether one that failed may be taken again.

        Returns
        -------
        Claim or None
            None where it has a record, or another owner that lives has it.
        """
        spec = job.spec
        now = self._clock()
        self._has_claimed = True
        with self._transaction() as database:
            row = database.execute(
                "SELECT status, host, owner, lease, attempts FROM jobs WHERE key=?", [job.key]
            ).fetchone()
            is_owed = row is not None and row[2] == self._owner.token and job.key in self._owed
            if row is not None and not is_owed and not self._is_free(*row[:4], now=now, retry_failed=retry_failed):
                return None
            self._owed.discard(job.key)
            attempts = 1 + (row[4] if row else 0)
            database.execute(
                "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, 'claimed', ?, ?, ?, ?, NULL)",
                [
                    job.key,
                    spec["$type"],
                    canonical_json(spec),
                    self._owner.host,
                    self._owner.token,
                    now + self._lease_s,
                    attempts,
                ],
            )
        return Claim(job=job, owner=self._owner.token, attempts=attempts)

    def finish(
        self,
        claim: Claim,
        result: Mapping[str, Any],
        *,
        started: float,
        seconds: float,
        machine: Mapping[str, str] | None = None,
    ) -> Record | None:
        """Write what a claimed job found; give the record, or None where the claim was lost meanwhile.

        Raises
        ------
        ArgumentError
            For a result that JSON cannot hold.
        """
        return self._end(
            claim, result=checked_result(claim.job, result), started=started, seconds=seconds, machine=machine
        )

    def fail(
        self, claim: Claim, error: str, *, started: float, seconds: float, machine: Mapping[str, str] | None = None
    ) -> Record | None:
        """Write why a claimed job failed; give the record, or None where the claim was lost meanwhile."""
        return self._end(claim, error=error, started=started, seconds=seconds, machine=machine)

    def give_back(self, claim: Claim) -> None:
        """Let others run a claimed job: now, or where it cannot be written down (full, locked) as soon as it can."""
        self._owed.add(claim.job.key)
        with contextlib.suppress(OutputError), self._patience.limited(_BRIEF_S, quiet=True):
            self._give_back_owed()

    def adopt(self, records: Iterable[Record]) -> int:
        """Take records over from elsewhere, such as a file; give the number of those that were taken.

        Parameters
        ----------
        records
            Only those count whose jobs are not known here yet: what was computed here stays.
        """
        taken = 0
        with self._transaction() as database:
            for record in records:
                taken += database.execute(
                    "INSERT OR IGNORE INTO jobs VALUES (?, ?, ?, ?, NULL, NULL, NULL, ?, ?)",
                    [
                        record.key,
                        record.kind,
                        canonical_json(record.spec),
                        record.status,
                        record.attempts,
                        record.to_json(),
                    ],
                ).rowcount
        return taken

    def renew(self) -> int:
        """Make the leases of all held claims last from now; give their number. A thread does so by itself."""
        with self._transaction() as database:
            return database.execute(
                "UPDATE jobs SET lease=? WHERE status='claimed' AND owner=?",
                [self._clock() + self._lease_s, self._owner.token],
            ).rowcount

    # --- records ---

    def get(self, job: Job) -> Record | None:
        """Give a job's record; None where it has not ended."""
        with self._connected() as database:
            row = database.execute("SELECT record FROM jobs WHERE key=?", [job.key]).fetchone()
        return self._read(job.key, row[0]) if row is not None and row[0] is not None else None

    def recorded(self) -> dict[str, str]:
        """Give the status of every job that has a record, by key."""
        with self._connected() as database:
            return dict(database.execute("SELECT key, status FROM jobs WHERE record IS NOT NULL").fetchall())

    def records(self, kind: str | None = None) -> list[Record]:
        """Give all records, or those of one kind of job, in the order in which they were begun."""
        with self._connected() as database:
            rows = database.execute(
                "SELECT key, record FROM jobs WHERE record IS NOT NULL AND (?1 IS NULL OR kind=?1)", [kind]
            ).fetchall()
        return sorted((self._read(*row) for row in rows), key=lambda record: (record.started, record.key))

    def counts(self) -> dict[str, int]:
        """Count jobs by status: ``free``, ``claimed``, ``done``, ``failed``."""
        with self._connected() as database:
            return dict(database.execute("SELECT status, COUNT(*) FROM jobs GROUP BY status").fetchall())

    def rows(self) -> list[dict[str, Any]]:
        """Give all records as flat dicts, such as a DataFrame takes: ``spec.lr``, ``result.loss``, ``seconds``."""
        return flat_rows(self.records())

    def write_csv(self, path: str | Path) -> None:
        """Write :meth:`rows` as a CSV file.

        Raises
        ------
        OutputError
            When the place cannot be written.
        """
        write_text(Path(path), to_csv(self.records()))

    def files_of(self, job: Job) -> Path:
        """Give the folder of a job's files; it need not exist."""
        return files_folder(self.folder, job.key)

    # --- plumbing ---

    def _read(self, key: str, text: str) -> Record:
        """Read a record, and refuse one that was written over by hand."""
        try:
            record = Record.from_json(text)
            if record.key != key:
                raise ValueError(f"the record {record.key!r} of {record.label!r} stands where that of {key!r} belongs")
        except (TypeError, ValueError) as error:
            raise DataError(
                f"cannot read the record {key!r} of {str(self.path)!r}: {error}; accepted: records that jobs have left"
                " and nobody changed"
            ) from error
        return record

    def _is_free(self, status: str, host: str, owner: str, lease: float, *, now: float, retry_failed: bool) -> bool:
        if status == "claimed":
            lives = self._owner.lives(host, owner)
            return lease <= now if lives is None else not lives
        return status == "free" or (status == "failed" and retry_failed)

    def _end(
        self,
        claim: Claim,
        *,
        started: float,
        seconds: float,
        machine: Mapping[str, str] | None,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> Record | None:
        folder = self.files_of(claim.job)
        record = make_record(
            claim.job,
            result=result,
            error=error,
            started=started,
            seconds=seconds,
            attempts=claim.attempts,
            machine=machine or this_machine(),
            files=[
                path.relative_to(folder).as_posix()
                for path in folder.rglob("*")
                if path.is_file() and not path.name.startswith(".")  # what a killed attempt left half written
            ],
        )
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE jobs SET status=?, record=? WHERE key=? AND status='claimed' AND owner=? AND attempts=?",
                [record.status, record.to_json(), record.key, claim.owner, claim.attempts],
            ).rowcount
        return Record.from_json(record.to_json()) if changed else None

    def _beat(self) -> None:
        while not self._ended.wait(self._lease_s / 4):
            # A disk that is full for a while, a file that is locked; the next beat tries again.
            with contextlib.suppress(OutputError), self._patience.limited(_BRIEF_S, quiet=True):
                self._give_back_owed()
                self.renew()

    def _give_back_owed(self) -> None:
        with self._transaction() as database:
            given = sorted(self._owed)
            for key in given:
                database.execute(
                    "UPDATE jobs SET status='free' WHERE key=? AND status='claimed' AND owner=?",
                    [key, self._owner.token],
                )
        self._owed.difference_update(given)

    def _free_claims(self) -> None:
        with contextlib.suppress(Locked), self._patience.limited(_BRIEF_S, quiet=True), self._transaction() as database:
            database.execute("UPDATE jobs SET status='free' WHERE status='claimed' AND owner=?", [self._owner.token])
