"""The report in Markdown: the same sentences and tables, without pictures."""

from __future__ import annotations

from collections.abc import Iterable

from waddington._text import visible
from waddington.bench.report.data import ReportData
from waddington.bench.report.summary import boundary_warnings, headlines
from waddington.bench.report.tables import Table, tables_of
from waddington.bench.report.text import ANSWERS, SECTIONS

__all__ = ["render_markdown"]


def render_markdown(data: ReportData) -> str:
    """Write the report as Markdown."""
    lines = [f"# {_plain(data.title)}", "", "## Verdict", ""]
    for headline in headlines(data):
        _, sign = ANSWERS[headline.answer]
        where = f" {headline.horizon[:1].upper()}{headline.horizon[1:]}." if len(data.horizons) > 1 else ""
        said = f"{headline.words}. {headline.sentence}" if headline.words else headline.sentence
        lines.append(f"- {sign} **{_plain(headline.contrast + where)}** {_plain(said)}")
        if headline.evidence:
            lines.append(f"  {_plain(headline.evidence)}")
    lines += _items("Before you believe it", [*data.notes, *boundary_warnings(data)])
    tables = tables_of(data)
    for name, section in SECTIONS.items():
        own = [tables[table] for table in section.tables if table in tables]
        if name == "divergence" and not own:
            lines += ["", f"## {section.heading}", "", "Every run came to its end."]
        elif own:
            lines += ["", f"## {section.heading}"]
            for table in own:
                lines += ["", f"**{_plain(table.caption)}**", "", *_table(table)]
    lines += _items("Method", data.method)
    facts = {"Study": data.study_hash, "Commit": data.commit, **data.machine, **data.versions}
    lines += _items("How to make it again", [f"{name}: {value}" for name, value in facts.items() if value])
    if data.command:
        lines += ["", "```bash", visible(data.command), "```"]
    return "\n".join(lines) + "\n"


def _items(heading: str, items: Iterable[str]) -> list[str]:
    """Write a list under its heading; nothing where it is empty."""
    found = [f"- {_plain(item)}" for item in items]
    return ["", f"## {heading}", "", *found] if found else []


def _table(table: Table) -> list[str]:
    """Write a table, names to the left and numbers to the right."""
    rules = ["---" if at < table.n_names else "---:" for at in range(len(table.headings))]
    return [_row(table.headings), _row(rules), *(_row(row) for row in table.rows)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Keep a text from being read as markup."""
    shown = visible(text)
    for mark in "\\`*|<[":
        shown = shown.replace(mark, f"\\{mark}")
    return shown
