"""The ledger: what four papers claim, measured.

Every claim is an object with parts; every part is decided by arithmetic on the paper's own numbers, by records of
measurements that anybody can run, or says what it would need. Verdicts are computed and never written down.
"""

from __future__ import annotations

from waddington.claims.claim import TIERS, Answer, Claim, Need, Paper, Part
from waddington.claims.finding import Finding
from waddington.claims.ledger import all_claims, get_claims
from waddington.claims.measurement import Measurement, experiment, measurements
from waddington.claims.running import ledger_of, pack_claims, run_claims, work_of
from waddington.claims.verdict import VERDICTS, ClaimEntry, PartEntry, enter

__all__ = [
    "TIERS",
    "VERDICTS",
    "Answer",
    "Claim",
    "ClaimEntry",
    "Finding",
    "Measurement",
    "Need",
    "Paper",
    "Part",
    "PartEntry",
    "all_claims",
    "enter",
    "experiment",
    "get_claims",
    "ledger_of",
    "measurements",
    "pack_claims",
    "run_claims",
    "work_of",
]
