"""Protocol ``paper``: the published evaluation of paper 000, scored as its code does and against what was asked for."""

from __future__ import annotations

__all__ = ["AGAINST_TARGET", "PUBLISHED", "is_published", "paper_split"]

PUBLISHED, AGAINST_TARGET = "as published", "against the target"
"""The two ways in which final states are scored."""


def paper_split(table: str, scoring: str) -> str:
    """Name the split of one table of the paper under one way of scoring."""
    return f"{table}, {scoring}"


def is_published(split: str) -> bool:
    """Say whether a split is scored as the paper's code does."""
    return split.rpartition(", ")[2] == PUBLISHED
