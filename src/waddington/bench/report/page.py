"""One self-contained page: verdicts, interactive pictures, tables, and how to make it again."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from waddington._checks import require_extra
from waddington._text import visible
from waddington.bench.report.data import ReportData
from waddington.bench.report.figures import Group, groups_of
from waddington.bench.report.style import arm_styles
from waddington.bench.report.summary import boundary_warnings, headlines
from waddington.bench.report.tables import tables_of
from waddington.bench.report.text import ANSWERS, SECTIONS

__all__ = ["render_page"]


def render_page(data: ReportData) -> str:
    """Write the page as HTML.

    Plotly's script is inside, compressed, so that the page works without a network; it weighs about 2 MB.

    Raises
    ------
    MissingExtraError
        Plotly or Jinja2 is not installed.
    """
    groups = groups_of(data)
    panels: dict[str, Any] = {}
    sections = []
    tables = tables_of(data)
    for name, section in SECTIONS.items():
        shown = [_numbered(group, panels) for group in groups if group.name == name]
        own = [tables[table] for table in section.tables if table in tables]
        if shown or own or name == "divergence":
            sections.append({"id": name, "text": section, "groups": shown, "tables": own})
    styles = arm_styles(data.arms)
    found: str = (
        _environment()
        .get_template("report.html.j2")
        .render(
            data=data,
            headlines=headlines(data),
            answers=ANSWERS,
            warnings=boundary_warnings(data),
            sections=sections,
            arms=[(arm, styles[arm].color) for arm in data.arms],
            figures=_json({"panels": panels}),
            plotly=_packed_plotly(),
        )
    )
    return found


def _numbered(group: Group, panels: dict[str, Any]) -> dict[str, Any]:
    """Give each panel an id and put its figure among those that the script draws."""
    shown = []
    for panel in group.panels:
        key = f"panel-{len(panels)}"
        panels[key] = panel.json
        shown.append({"id": key, "title": panel.title, "alt": panel.alt, "height": panel.json["layout"]["height"]})
    return {"heading": group.heading, "panels": shown}


def _packed_plotly() -> str:
    """Give Plotly's script, gzipped and as base64; the same bytes every time."""
    script: str = require_extra("plotly.offline", "bench").get_plotlyjs()
    return base64.b64encode(gzip.compress(script.encode("utf-8"), 9, mtime=0)).decode("ascii")


def _json(value: object) -> str:
    """Write JSON that cannot end the element that it stands in."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _environment() -> Any:
    """Return the environment of the page's templates: what is filled in is escaped, control characters are shown."""
    jinja2 = require_extra("jinja2", "bench")
    return jinja2.Environment(
        loader=jinja2.PackageLoader("waddington.bench.report", "templates"),
        autoescape=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
