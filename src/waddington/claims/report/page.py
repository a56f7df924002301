"""The ledger as one self-contained page: filters by verdict and paper, pictures inside, no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from waddington._checks import require_extra
from waddington._text import visible
from waddington.claims.claim import Paper
from waddington.claims.report.sentences import MARKS, answer_to, evidence_of, provenance, tally, verdict_words
from waddington.claims.verdict import VERDICTS, ClaimEntry

__all__ = ["render_page"]


def render_page(
    papers: Sequence[Paper], entries: Mapping[str, ClaimEntry], pictures: Mapping[tuple[str, str], bytes]
) -> str:
    """Write the page as HTML.

    Parameters
    ----------
    papers
        In their order.
    entries
        By the id of the claim.
    pictures
        PNG by claim and part.

    Raises
    ------
    MissingExtraError
        Jinja2 is not installed.
    """
    shown = []
    for paper in papers:
        mine = [entries[claim.id] for claim in paper.claims]
        shown.append(
            {
                "paper": paper,
                "tally": tally(mine),
                "answers": [(one.question, answer_to(one, paper, mine)) for one in paper.answers],
                "claims": [_claim(entry, pictures) for entry in mine],
            }
        )
    text: str = (
        _environment()
        .get_template("claims.html.j2")
        .render(
            papers=shown, tally=tally(list(entries.values())), verdicts=[*VERDICTS, "not measured yet"], marks=MARKS
        )
    )
    return text


def _claim(entry: ClaimEntry, pictures: Mapping[tuple[str, str], bytes]) -> dict[str, Any]:
    return {
        "claim": entry.claim,
        "verdict": entry.verdict or "not measured yet",
        "words": verdict_words(entry.verdict),
        "parts": [
            {
                "part": part.part,
                "verdict": part.verdict or "not measured yet",
                "words": verdict_words(part.verdict),
                "evidence": evidence_of(part),
                "provenance": provenance(part),
                "picture": _data_address(pictures.get((entry.claim.id, part.part.name))),
            }
            for part in entry.parts
        ],
    }


def _data_address(picture: bytes | None) -> str:
    return "" if picture is None else f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"


def _environment() -> Any:
    """Return the environment of the page's templates: what is filled in is escaped, control characters are shown."""
    jinja2 = require_extra("jinja2", "bench")
    return jinja2.Environment(
        loader=jinja2.PackageLoader("waddington.claims.report", "templates"),
        autoescape=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
