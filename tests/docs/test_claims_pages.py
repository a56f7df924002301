"""The ledger's pages are those of the records that come with the code: nobody has written a verdict into them."""

from __future__ import annotations

import base64
import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from waddington import claims
from waddington.claims.ledger import all_papers
from waddington.claims.report import render_index, render_page, render_paper
from waddington.claims.report.markdown import page_name

DOCS = Path(__file__).parents[2] / "docs"
PAGES = DOCS / "claims"
reflowed = runpy.run_path(str(DOCS / "lines.py"))["reflowed"]
ENTRIES = {entry.claim.id: entry for entry in claims.ledger_of(claims.get_claims())}


def pictures() -> dict[tuple[str, str], str]:
    """Name the pictures that parts with records have."""
    return {
        (entry.claim.id, part.part.name): f"pictures/{entry.claim.id}-"
        + "".join(c if c.isalnum() else "-" for c in part.part.name)
        + ".png"
        for entry in ENTRIES.values()
        for part in entry.parts
        if part.part.picture is not None and not part.missing
    }


def test_the_index_is_what_the_records_say() -> None:
    assert (PAGES / "index.md").read_text(encoding="utf-8") == reflowed(render_index(all_papers(), ENTRIES))


@pytest.mark.parametrize("paper", all_papers(), ids=lambda paper: paper.number)
def test_the_page_of_a_paper_is_what_the_records_say(paper: claims.Paper) -> None:
    written = (PAGES / page_name(paper)).read_text(encoding="utf-8")
    assert written == reflowed(render_paper(paper, ENTRIES, pictures()))


def rounded(value: Any) -> Any:
    """Give JSON whose numbers have nine digits: the last ones are of the machine's own matrix products."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def test_the_table_for_programs_is_what_the_records_say() -> None:
    rows = [entry.as_json() for entry in ENTRIES.values()]
    assert rounded(json.loads((PAGES / "claims.json").read_text(encoding="utf-8"))) == rounded(rows)


def test_the_page_with_filters_is_what_the_records_say() -> None:
    written = (PAGES / "claims.html").read_text(encoding="utf-8")
    drawn = re.findall(r'src="data:image/png;base64,([^"]*)"', written)
    places = list(pictures())
    assert len(drawn) == len(places)  # pixels are of the machine's own matplotlib
    held = {place: base64.b64decode(one) for place, one in zip(places, drawn, strict=True)}
    assert written == render_page(all_papers(), ENTRIES, held)


def test_every_picture_is_there() -> None:
    assert [place for place in pictures().values() if not (PAGES / place).exists()] == []
