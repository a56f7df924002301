"""Writing a report's files, each whole or not at all."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from waddington._files import write_text
from waddington.bench.report.data import ReportData
from waddington.bench.report.markdown import render_markdown
from waddington.bench.report.page import render_page
from waddington.bench.report.rows import csv_rows

__all__ = ["write_report"]


def write_report(folder: str | os.PathLike[str], data: ReportData) -> Path:
    """Write a report: ``report.html``, ``report.md`` and a folder ``tables`` of CSV files.

    Parameters
    ----------
    folder
        An existing folder.
    data
        What is shown.

    Returns
    -------
    The path of the page.

    Raises
    ------
    OutputError
        The folder cannot be written.
    MissingExtraError
        Plotly, Jinja2, SciPy or statsmodels is not installed.
    """
    target = Path(folder)
    page = target / "report.html"
    rendered = render_page(data)
    write_text(target / "report.md", render_markdown(data))
    (target / "tables").mkdir(exist_ok=True)
    for name, rows in csv_rows(data).items():
        write_text(target / "tables" / f"{name}.csv", _csv(rows))
    write_text(page, rendered)
    return page


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Write rows as CSV; what is not known is an empty cell."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
