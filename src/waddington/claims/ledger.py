"""The ledger: every claim, by the paper that makes it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from waddington._checks import check_known
from waddington.claims.claim import Claim, Paper

__all__ = ["PAPERS", "all_claims", "all_papers", "get_claims"]

PAPERS: tuple[str, ...] = ("asgd", "amgt", "alphaadam", "amvt")
"""Modules of this package, one for each paper."""


def all_papers() -> tuple[Paper, ...]:
    """Give the papers with their claims."""
    return tuple(importlib.import_module(f"waddington.claims.{name}").PAPER for name in PAPERS)


def all_claims() -> tuple[Claim, ...]:
    """Give all claims, in the order of papers and of their numbers."""
    return tuple(claim for paper in all_papers() for claim in paper.claims)


def get_claims(ids: Iterable[str] = ()) -> tuple[Claim, ...]:
    """Give claims by their ids, all of them where none is named.

    Raises
    ------
    UnknownNameError
        No such claim.
    """
    known = {claim.id: claim for claim in all_claims()}
    wanted = [check_known("claim", one.upper(), known) for one in ids]
    return tuple(known[one] for one in dict.fromkeys(wanted)) if wanted else tuple(known.values())
