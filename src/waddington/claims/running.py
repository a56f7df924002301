"""Measure claims, and read what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from waddington import jobs
from waddington._checks import check_choice
from waddington._text import shorten
from waddington.bench.packing import pack, unpack
from waddington.bench.store import STORE, Store
from waddington.claims.claim import TIERS, Claim, Tier
from waddington.claims.verdict import ClaimEntry, enter
from waddington.errors import ArgumentError

__all__ = ["RECORDS", "ledger_of", "pack_claims", "run_claims", "work_of"]

RECORDS = Path(__file__).parent / "records"
"""Files of records that come with the package: what this project has measured."""

_LABEL = 80
"""Letters of a measurement's name in a note."""


def work_of(claims: Iterable[Claim], tier: Tier = "hours") -> list[jobs.Job]:
    """Give the measurements of claims whose parts take no longer than a tier, each once.

    Parameters
    ----------
    claims
        The claims.
    tier
        ``"seconds"``, ``"minutes"`` (those of seconds, too) or ``"hours"`` (all).
    """
    check_choice("tier", tier, TIERS)
    parts = [part for claim in claims for part in claim.parts if TIERS.index(part.tier) <= TIERS.index(tier)]
    return list({job.key: job for part in parts for job in part.measurements}.values())


def run_claims(
    claims: Sequence[Claim],
    out: str | Path,
    *,
    tier: Tier = "seconds",
    records: Iterable[str | Path] = (),
    anew: bool = False,
    executor: jobs.Executor | None = None,
    listener: jobs.Listener | None = None,
) -> list[ClaimEntry]:
    """Measure what has no record yet, and give the entries.

    Parameters
    ----------
    claims
        What is measured.
    out
        Folder of the store; it goes on from what is there.
    tier
        Up to which cost; see :func:`work_of`.
    records
        Files of records: what they hold is not measured again, and goes before the package's own. What is no
        measurement of the claims, such as a run of a study, is taken over into the store, for measurements to read.
    anew
        Whether what the package has records of is measured, too. The entries are then of this folder and of `records`
        alone.
    executor
        Where measurements run; None is this process.
    listener
        Told how far it is, and why measurements failed; without one that is a warning.

    Raises
    ------
    DataError
        A file of records, or a record of the folder, cannot be read.
    OutputError
        The folder cannot be written.

    Notes
    -----
    A measurement that fails is recorded and the rest goes on; its part has no verdict, and the next call tries again.
    """
    hears = listener or jobs.Listener()
    given = _read(records)
    known = given if anew else _read(_packed()) | given
    with Store(out, note=hears.note) as store:
        keys = {job.key for job in work_of(claims)}
        store.adopt(record for key, record in given.items() if key not in keys)
        work = [job for job in work_of(claims, tier) if job.key not in known]
        if work:
            hears.stage("measurements", len(work))
            _tell_failures(jobs.run(work, store, executor=executor, on_failure="record", listen=hears.advance), hears)
        known = known | _done(store.records())
    return [enter(claim, known) for claim in claims]


def ledger_of(
    claims: Sequence[Claim], out: str | Path | None = None, *, records: Iterable[str | Path] = ()
) -> list[ClaimEntry]:
    """Give the entries of claims from records alone; nothing is measured.

    Parameters
    ----------
    claims
        The claims.
    out
        Folder of a store; what it holds goes before all files of records.
    records
        Files of records; of two the later one goes before, and all go before the package's own.

    Raises
    ------
    ArgumentError
        The folder holds no store.
    DataError
        A file of records cannot be read.
    """
    known = _read(_packed()) | _read(records)
    if out is not None:
        with _opened(out) as store:
            known |= _done(store.records())
    return [enter(claim, known) for claim in claims]


def pack_claims(claims: Iterable[Claim], out: str | Path, path: str | Path) -> int:
    """Write the records of claims, of a store and of the package, into one small file; give their number.

    Records of measurements that are no longer part of a claim are left out; what the store holds goes before.

    Raises
    ------
    ArgumentError
        The folder holds no store.
    OutputError
        The file cannot be written.
    """
    with _opened(out) as store:
        known = _read(_packed()) | _done(store.records())
    return pack([known[job.key] for job in work_of(claims) if job.key in known], path)


def _tell_failures(records: Sequence[jobs.Record], listener: jobs.Listener) -> None:
    """Say which measurements failed and why, each reason once."""
    by_reason: dict[str, list[jobs.Record]] = {}
    for record in records:
        if record.status == "failed":
            by_reason.setdefault(record.error or "", []).append(record)
    for reason, failed in by_reason.items():
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        listener.note(f"no record of {shorten(failed[0].label, _LABEL)}{more}, for it failed: {reason}")


def _opened(out: str | Path) -> Store:
    """Open the store that a folder has."""
    if not (Path(out) / STORE).is_file():
        raise ArgumentError(
            f"cannot read measurements from {str(out)!r}: {STORE} is not there, which holds them; accepted: a folder"
            " that `waddington claims run` has written"
        )
    return Store(out)


def _read(paths: Iterable[str | Path]) -> dict[str, jobs.Record]:
    """Read files of records, by key."""
    return _done(record for path in paths for record in unpack(path))


def _done(records: Iterable[jobs.Record]) -> dict[str, jobs.Record]:
    """Give the records of what has a result, by key: a run that failed hides none that did not."""
    return {record.key: record for record in records if record.status == "done"}


def _packed() -> list[Path]:
    return sorted(RECORDS.glob("*.jsonl.xz"))
