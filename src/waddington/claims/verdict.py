"""Verdicts, computed: the first rule that fires.

1. The paper's own numbers or algebra refute the statement: *contradicted*.
2. The claimed scale was not run here: *needs hardware* or *needs data*; what was measured smaller is evidence.
3. The predicate holds on the records: *reproduced*.
4. It does not: *not reproduced*, with what could have been detected.

A claim takes the worst verdict of its parts. A part whose records are missing has none yet.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from waddington import jobs
from waddington.claims.claim import Claim, Part
from waddington.claims.finding import Finding
from waddington.errors import DataError

__all__ = ["VERDICTS", "ClaimEntry", "PartEntry", "Verdict", "enter"]

T = TypeVar("T")

Verdict: TypeAlias = Literal["contradicted", "not reproduced", "needs hardware", "needs data", "reproduced"]
VERDICTS: tuple[Verdict, ...] = ("contradicted", "not reproduced", "needs hardware", "needs data", "reproduced")
"""From the worst to the best."""


@dataclass(frozen=True)
class PartEntry:
    """A part beside its records. The verdict is computed from them, and can be set by nobody.

    Attributes
    ----------
    part
        The part.
    records
        Of its measurements, in their order; those that are missing are left out.
    """

    part: Part
    records: tuple[jobs.Record, ...]

    @property
    def missing(self) -> int:
        """Number of measurements without a record."""
        return len(self.part.measurements) - len(self.records)

    @functools.cached_property
    def check(self) -> Finding | None:
        """What the paper's own numbers say."""
        return None if self.part.check is None else self.part.check(self.part.numbers)

    @functools.cached_property
    def measured(self) -> Finding | None:
        """What the records say; None while one is missing.

        Raises
        ------
        DataError
            The records do not hold what their judge reads: they are not what the experiment gives.
        """
        if self.part.judge is None or self.missing:
            return None
        return self._of_records("judge", self.part.judge)

    def drawn(self) -> Any:
        """Draw the part from its records; None where it has no picture, or where one of them is missing.

        Raises
        ------
        DataError
            The records do not hold what is drawn.
        """
        if self.part.picture is None or self.missing:
            return None
        return self._of_records("draw", self.part.picture)

    def _of_records(self, what: str, function: Callable[[Sequence[jobs.Record]], T]) -> T:
        """Call a function of the records, and name them where it cannot read them."""
        try:
            return function(self.records)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            said = ", ".join(f"{record.label} ({record.key})" for record in self.records[:3])
            more = f" and {len(self.records) - 3} more" if len(self.records) > 3 else ""
            raise DataError(
                f"cannot {what} {self.part.name!r} by its records {said}{more}: {type(error).__name__}: {error};"
                " accepted: records that `waddington claims run` has made and nobody changed"
            ) from error

    @property
    def verdict(self) -> Verdict | None:
        """Give the verdict; None while records are missing that decide it."""
        check = self.check
        if check is not None and check.holds is not None and not check.holds:  # NumPy's False is another one
            return "contradicted"
        if self.part.need is not None:
            return "needs hardware" if self.part.need.kind == "hardware" else "needs data"
        if self.part.judge is None:
            return "reproduced" if check is not None and check.holds else "not reproduced"
        measured = self.measured
        if measured is None:
            return None
        return "reproduced" if measured.holds else "not reproduced"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What there is to say: of the check, then of the records."""
        return tuple(one for one in (self.check, self.measured) if one is not None)

    def as_json(self) -> dict[str, Any]:
        """Give the part as JSON can hold it; numbers that are not finite are the texts ``nan``, ``inf``, ``-inf``."""
        return {
            "name": self.part.name,
            "statement": self.part.statement,
            "source": self.part.source,
            "rule": self.part.rule,
            "verdict": self.verdict,
            "findings": [
                {
                    "holds": None if one.holds is None else bool(one.holds),
                    "words": one.words,
                    "figures": {name: _number(value) for name, value in one.figures.items()},
                    "interval": None
                    if one.interval is None
                    else [_number(one.interval.low), _number(one.interval.high)],
                    "detectable": _number(one.detectable),
                }
                for one in self.findings
            ],
            "need": None
            if self.part.need is None
            else {"kind": self.part.need.kind, "words": self.part.need.words, "command": self.part.need.command},
            "tier": self.part.tier,
            "measurements": len(self.part.measurements),
            "missing": self.missing,
            "measured_on": sorted({record.started[:10] for record in self.records}),
            "machines": sorted({_machine(record) for record in self.records}),
            "commits": sorted({record.code.get("commit", "") for record in self.records} - {""}),
            "seconds": sum(record.seconds for record in self.records),
        }


@dataclass(frozen=True)
class ClaimEntry:
    """A claim beside its records.

    Attributes
    ----------
    claim
        The claim.
    parts
        Its parts beside theirs.
    """

    claim: Claim
    parts: tuple[PartEntry, ...]

    @property
    def verdict(self) -> Verdict | None:
        """Give the worst verdict of the parts; None while a part has none, unless another one is contradicted."""
        verdicts = [part.verdict for part in self.parts]
        if "contradicted" in verdicts:
            return "contradicted"
        if None in verdicts:
            return None
        return min((one for one in verdicts if one is not None), key=VERDICTS.index)

    def as_json(self) -> dict[str, Any]:
        """Give the row as JSON can hold it."""
        return {
            "id": self.claim.id,
            "paper": self.claim.paper,
            "title": self.claim.title,
            "statement": self.claim.statement,
            "source": self.claim.source,
            "verdict": self.verdict,
            "parts": [part.as_json() for part in self.parts],
            "traps": list(self.claim.traps),
        }


def enter(claim: Claim, records: Mapping[str, jobs.Record]) -> ClaimEntry:
    """Put a claim beside the records that are there; of runs that failed there is none.

    Parameters
    ----------
    claim
        The claim.
    records
        By key.
    """
    return ClaimEntry(
        claim,
        tuple(
            PartEntry(
                part,
                tuple(
                    record
                    for job in part.measurements
                    if (record := records.get(job.key)) is not None and record.status == "done"
                ),
            )
            for part in claim.parts
        ),
    )


def _number(value: float | None) -> float | str | None:
    """Give a number as JSON can hold it: ``"nan"``, ``"inf"`` and ``"-inf"`` are texts there."""
    return value if value is None or math.isfinite(value) else str(float(value))


def _machine(record: jobs.Record) -> str:
    return ", ".join(record.machine.get(name, "unknown") for name in ("system", "processor"))
