"""One self-contained page about a run: verdicts in plain words first, then pictures, tables, method and versions.

The page loads nothing from anywhere: pictures are embedded, the style is inline. It reads on a phone, in print, in
light and in dark, and through a screen reader (alternative texts, tables with captions and scopes).
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from PIL import Image

from waddington._checks import check_choice
from waddington._files import write_text
from waddington._text import visible
from waddington.errors import ArgumentError
from waddington.twin.report.tables import Table, flat_settings, loss_table, metric_blocks, plain_table
from waddington.twin.report.text import PICTURE_WORDS

__all__ = ["ANSWERS", "Picture", "Verdict", "write_report"]

ANSWERS: Mapping[str, tuple[str, str]] = {
    "yes": ("Yes", "✓"),
    "no": ("No", "✕"),
    "partly": ("Partly", "◐"),
    "undecided": ("Undecided", "?"),
    "not measurable": ("Not measurable", "–"),
}
"""What a verdict can answer: the word and the sign that stand for it (never the colour alone)."""

_NARROW = 1000
"""Pixels of width up to which a picture fits a telephone's screen; a wider one is moved sideways there."""

_MIME = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """One question and what the measurements answer.

    Attributes
    ----------
    question
        The question, in plain words.
    answer
        "yes", "no", "partly", "undecided" or "not measurable".
    sentence
        The answer as one plain sentence.
    evidence
        The numbers behind it.
    """

    question: str
    answer: str
    sentence: str
    evidence: str = ""

    def __post_init__(self) -> None:
        check_choice("answer", self.answer, ANSWERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture and its words.

    Attributes
    ----------
    path
        Image file (png, jpg, svg).
    title
        Heading above the caption.
    caption
        What is shown and how to read it.
    alt
        What a reader who cannot see it needs to know.
    """

    path: Path
    title: str
    caption: str
    alt: str


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    verdicts: Sequence[Verdict],
    metrics: pd.DataFrame,
    history: pd.DataFrame | None = None,
    figures: Mapping[str, Picture | str | os.PathLike[str]] | None = None,
    question: str = "",
    data: Mapping[str, object] | None = None,
    method: Sequence[str] = (),
    notes: Sequence[str] = (),
    tables: Mapping[str, pd.DataFrame] | None = None,
    config: Mapping[str, object] | None = None,
    versions: Mapping[str, object] | None = None,
    seeds: Sequence[int] = (),
) -> Path:
    """Write the page.

    Parameters
    ----------
    path
        The .html file; replaced only once the new page is complete.
    title
        Heading of the page.
    verdicts
        What the measurements answer; shown first.
    metrics
        Tidy metrics (see :mod:`waddington.twin.evaluate.summary`).
    history
        Tidy losses (see :func:`waddington.twin.plots.loss_curves`).
    figures
        Name to picture. A bare path is enough for "landscape", "trajectories", "loss_curves", "metrics" and "scatter",
        whose words are known; other names become their own title.
    question
        What was asked of the run.
    data
        Facts about the data, name to value.
    method
        Paragraphs about how it was done.
    notes
        What a reader must know before believing it (limits, dropped cells, warnings).
    tables
        Caption to any further table.
    config
        Settings; nested mappings are flattened to dotted names.
    versions
        Package to version.
    seeds
        Seeds of the runs.

    Returns
    -------
    The path written.

    Raises
    ------
    ArgumentError
        A picture is missing or of an unknown type.
    DataError
        Metrics without the tidy columns.
    OutputError
        The file cannot be written.
    """
    target = Path(path)
    pictures = [_embedded(name, figure) for name, figure in (figures or {}).items()]
    extra: list[Table] = [] if history is None or history.empty else [loss_table(history)]
    extra += [plain_table(caption, frame) for caption, frame in (tables or {}).items()]
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=title,
            question=question,
            verdicts=[_shown(verdict) for verdict in verdicts],
            data=flat_settings(data or {}),
            pictures=pictures,
            blocks=metric_blocks(metrics) if len(metrics) else [],
            tables=extra,
            method=list(method),
            notes=list(notes),
            config=flat_settings(config or {}),
            versions=flat_settings(versions or {}),
            seeds=[str(seed) for seed in seeds],
        )
    )
    write_text(target, page)
    return target


def _environment() -> jinja2.Environment:
    """Return the environment of the page's templates: what is filled in is escaped, control characters are shown."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("waddington.twin", "templates"),
        autoescape=True,
        finalize=_printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _printable(value: object) -> object:
    """Make text that users wrote fit for a page; the page's own parts are left alone."""
    return visible(value) if type(value) is str else value


def _shown(verdict: Verdict) -> dict[str, str]:
    """Return what the template needs of a verdict."""
    word, sign = ANSWERS[verdict.answer]
    return {
        "question": verdict.question,
        "kind": verdict.answer.replace(" ", "-"),
        "word": word,
        "sign": sign,
        "sentence": verdict.sentence,
        "evidence": verdict.evidence,
    }


def _embedded(name: str, figure: Picture | str | os.PathLike[str]) -> dict[str, Any]:
    """Read a picture and return it with its words, as a data URI."""
    if not isinstance(figure, Picture):
        words = PICTURE_WORDS.get(name, (name.replace("_", " ").capitalize(), "", name.replace("_", " ")))
        figure = Picture(path=Path(figure), title=words[0], caption=words[1], alt=words[2])
    kind = _MIME.get(Path(figure.path).suffix.lower())
    if kind is None:
        raise ArgumentError(f"cannot embed picture {name!r}: found {Path(figure.path).name}; accepted png, jpg, svg")
    try:
        content = Path(figure.path).read_bytes()
        is_narrow = kind == "image/png" and Image.open(io.BytesIO(content)).width <= _NARROW
    except (OSError, Image.DecompressionBombError) as error:
        raise ArgumentError(f"cannot embed picture {name!r}: {error}") from error
    return {
        "id": "".join(letter if letter.isalnum() else "-" for letter in name),
        "title": figure.title,
        "caption": figure.caption,
        "alt": figure.alt,
        "narrow": is_narrow,
        "source": f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}",
    }
