"""Writing the ledger's files, each whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from waddington._files import replacing, write_text
from waddington.claims.claim import Paper
from waddington.claims.report.markdown import page_name, render_index, render_paper
from waddington.claims.report.page import render_page
from waddington.claims.report.pictures import pictures_of
from waddington.claims.verdict import ClaimEntry
from waddington.errors import OutputError

__all__ = ["write_ledger"]


def write_ledger(out: str | Path, papers: Sequence[Paper], entries: Sequence[ClaimEntry]) -> Path:
    """Write ``index.md``, a page for each paper, ``claims.html``, ``claims.csv``, ``claims.json`` and pictures.

    Parameters
    ----------
    out
        A folder; made if need be.
    papers
        With their claims.
    entries
        Of all their claims.

    Returns
    -------
    Path
        The page ``claims.html``.

    Raises
    ------
    OutputError
        The folder cannot be written.
    MissingExtraError
        Jinja2 or matplotlib is not installed.
    """
    folder = Path(out)
    try:
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write the ledger into {str(folder)!r}: {error.strerror or error}; accepted: a folder that can be"
            " written"
        ) from error
    known = {entry.claim.id: entry for entry in entries}
    pictures = pictures_of(entries)
    places = {}
    for (claim, part), drawn in pictures.items():
        places[claim, part] = f"pictures/{claim}-{''.join(c if c.isalnum() else '-' for c in part)}.png"
        with replacing(folder / places[claim, part]) as beside:
            beside.write_bytes(drawn)
    for paper in papers:
        write_text(folder / page_name(paper), render_paper(paper, known, places))
    write_text(folder / "index.md", render_index(papers, known))
    write_text(folder / "claims.json", json.dumps([entry.as_json() for entry in entries], indent=1) + "\n")
    write_text(folder / "claims.csv", _csv(entries))
    write_text(folder / "claims.html", render_page(papers, known, pictures))
    return folder / "claims.html"


def _csv(entries: Sequence[ClaimEntry]) -> str:
    """Give a row for every figure of every finding, and one for a part without any."""
    columns = ("claim", "part", "verdict", "finding", "holds", "figure", "value", "low", "high", "detectable")
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        for part in entry.parts:
            named = {"claim": entry.claim.id, "part": part.part.name, "verdict": part.verdict or ""}
            for finding in part.findings:
                interval = finding.interval
                said = {
                    **named,
                    "finding": finding.words,
                    "holds": finding.holds,
                    "low": "" if interval is None else interval.low,
                    "high": "" if interval is None else interval.high,
                    "detectable": finding.detectable,
                }
                for name, value in finding.figures.items() or [("", "")]:
                    writer.writerow({**said, "figure": name, "value": value})
            if not part.findings:
                writer.writerow(named)
    return stream.getvalue()
