"""The ledger: every claim, by the paper that makes it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from waddington._checks import check_known
from waddington.claims.claim import Claim

__all__ = ["PAPERS", "all_claims", "get_claims"]

PAPERS: dict[str, str] = {}
"""Module of this package by the number of the paper."""


def all_claims() -> tuple[Claim, ...]:
    """Give all claims, in the order of papers and of their numbers."""
    modules = [importlib.import_module(f"waddington.claims.{name}") for name in PAPERS.values()]
    return tuple(claim for module in modules for claim in module.CLAIMS)


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
