"""Measure claims, and read what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from waddington import jobs
from waddington._checks import check_choice
from waddington.bench.packing import pack, unpack
from waddington.bench.store import Store
from waddington.claims.claim import TIERS, Claim, Tier
from waddington.claims.verdict import ClaimEntry, enter

__all__ = ["RECORDS", "ledger_of", "pack_claims", "run_claims", "work_of"]

RECORDS = Path(__file__).parent / "records"
"""Files of records that come with the package: what this project has measured."""


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
        Files of records: what they hold is not measured again. Those of the package are always read.
    executor
        Where measurements run; None is this process.
    listener
        Told how far it is.

    Raises
    ------
    DataError
        A file of records cannot be read.
    OutputError
        The folder cannot be written.

    Notes
    -----
    A measurement that fails is recorded and the rest goes on; its part has no verdict, and the next call tries again.
    """
    hears = listener or jobs.Listener()
    with Store(out) as store:
        for path in (*_packed(), *records):
            store.adopt(unpack(path))
        work = work_of(claims, tier)
        hears.stage("measurements", len(work))
        jobs.run(work, store, executor=executor, on_failure="record", listen=hears.advance)
        known = {record.key: record for record in store.records()}
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
        Folder of a store, if there is one; what it holds goes before the package's own records.
    records
        Files of records, which go before the package's own, too.
    """
    known = {record.key: record for path in (*_packed(), *records) for record in unpack(path)}
    if out is not None and (Path(out) / "store.sqlite").exists():
        with Store(out) as store:
            known |= {record.key: record for record in store.records()}
    return [enter(claim, known) for claim in claims]


def pack_claims(claims: Iterable[Claim], out: str | Path, path: str | Path) -> int:
    """Write the records of claims into one small file; give their number.

    Records of measurements that are no longer part of a claim are left out.
    """
    wanted = {job.key for job in work_of(claims)}
    with Store(out) as store:
        return pack([record for record in store.records() if record.key in wanted], path)


def _packed() -> list[Path]:
    return sorted(RECORDS.glob("*.jsonl.xz"))
