"""The sentences that pages say of claims and parts; every figure in them is a finding's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from waddington._text import counted
from waddington.claims.claim import Answer, Paper
from waddington.claims.verdict import VERDICTS, ClaimEntry, PartEntry

__all__ = ["MARKS", "answer_to", "believed", "evidence_of", "provenance", "tally", "verdict_words"]

MARKS = {"contradicted": "✗", "not reproduced": "≠", "needs hardware": "…", "needs data": "…", "reproduced": "✓"}
"""Signs that stand beside the words, so that colour alone says nothing."""

_OF_MORE = ("How", "What", "When", "Where", "Which", "Why")
"""Words that begin a question to which yes or no is no answer."""


def verdict_words(verdict: str | None) -> str:
    """Give a verdict with its sign."""
    return f"{MARKS[verdict]} {verdict}" if verdict else "? not measured yet"


def evidence_of(part: PartEntry) -> list[str]:
    """Say what was found of a part: each finding, and what could have been detected where nothing was."""
    lines = []
    for finding in part.findings:
        could = ""
        if not finding.holds and finding.detectable is not None:
            could = f" A difference of {finding.detectable:.3g} would have been found in four of five such experiments."
        lines.append(f"{_sentence(finding.words)}{could}")
    if part.missing:
        lines.append(f"No record yet of {part.missing} of {counted(len(part.part.measurements), 'measurement')}.")
    return lines


def provenance(part: PartEntry) -> str:
    """Say when, where and of which code the records are; empty where there is none."""
    if not part.records:
        return ""
    row = part.as_json()
    on = " to ".join(dict.fromkeys((row["measured_on"][0], row["measured_on"][-1])))
    commits = f", commit {', '.join(row['commits'])}" if row["commits"] else ""
    seconds = row["seconds"]
    took = (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
    return f"{counted(len(part.records), 'record')} of {on} on {'; '.join(row['machines'])}{commits}; {took} in all"


def tally(entries: Sequence[ClaimEntry]) -> str:
    """Count claims by verdict."""
    count = Counter(entry.verdict for entry in entries)
    words = [f"{count[verdict]} {verdict}" for verdict in VERDICTS if count[verdict]]
    words += [f"{count[None]} not measured yet"] if count[None] else []
    return f"{counted(len(entries), 'claim')}: {', '.join(words)}"


def believed(entries: Sequence[ClaimEntry]) -> dict[str, list[str]]:
    """Sort the parts of a paper's claims: what to believe, what not, and what nobody can say here."""
    found: dict[str, list[str]] = {"believe": [], "doubt": [], "open": []}
    for entry in entries:
        for part in entry.parts:
            where = {"reproduced": "believe", "contradicted": "doubt", "not reproduced": "doubt"}.get(
                part.verdict or "", "open"
            )
            found[where].append(f"{part.part.statement} ({entry.claim.id}, {verdict_words(part.verdict)})")
    return found


def answer_to(answer: Answer, paper: Paper, entries: Sequence[ClaimEntry]) -> str:
    """Answer a reader's question by the findings of one part, with yes or no where it asks for that."""
    entry = next(one for one in entries if one.claim.id == answer.claim)
    part = next(one for one in entry.parts if one.part.name == answer.part)
    is_of_more = answer.question.split()[0] in _OF_MORE and part.findings and not part.missing
    found = part.findings
    is_brief = not part.missing and any(finding.short for finding in found)
    told = [_sentence(finding.short or finding.words) for finding in found] if is_brief else evidence_of(part)
    return " ".join([*([] if is_of_more else [_short(part)]), *told])


def _sentence(words: str) -> str:
    """Write words as a sentence; a symbol that begins it stays as it is, for β and Β, k and K are not the same."""
    first = words.partition(" ")[0]
    is_word = first.isascii() and (first == "a" or first[1:2].isalpha())
    return f"{words[:1].upper() if is_word else words[:1]}{words[1:]}."


def _short(part: PartEntry) -> str:
    """Answer in a word as the verdict has it, so that no answer is surer than it."""
    holds = [finding.holds for finding in part.findings]
    if part.verdict == "contradicted":
        return "No."
    if part.missing or not holds:
        return "Not measured yet."
    if holds[-1] is None:
        return "It cannot be told."
    word = "Yes" if holds[-1] else "No"
    return f"{word}." if part.part.need is None else f"{word} at the size that was measured here."
