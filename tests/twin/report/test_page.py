from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from waddington.errors import ArgumentError, DataError, OutputError
from waddington.twin.evaluate.summary import COLUMNS
from waddington.twin.report.page import Picture, Verdict, write_report
from waddington.twin.report.tables import flat_settings, loss_table, metric_blocks, plain_table


class _Page(HTMLParser):
    """Tags with their attributes, and that what is opened gets closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def metrics() -> pd.DataFrame:
    rows = [
        ("held-out", predictor, optimizer, seed, "rna", "test", metric, value + 0.01 * seed)
        for predictor, optimizer, value in (
            ("response", "Adam", 0.7),
            ("mean", "none", 0.1),
            ("replicate", "none", 0.9),
        )
        for seed in range(3)
        for metric in ("pearson", "mse")
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.fixture
def history() -> pd.DataFrame:
    return pd.DataFrame(
        [("Adam", s, e, split, 1 / e) for s in range(2) for e in (1, 2, 4) for split in ("train", "validation")],
        columns=["optimizer", "seed", "epoch", "split", "loss"],
    )


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "landscape.png"
    Figure(figsize=(1, 1)).savefig(path, dpi=20)
    return path


VERDICT = Verdict(
    question="Is it better?", answer="no", sentence="The mean does as well.", evidence="0.70 against 0.71"
)


@pytest.mark.parametrize("kept", [0, 12, 30], ids=["empty", "head", "cut"])
def test_a_damaged_picture_is_refused_by_name(kept: int, tmp_path: Path, metrics: pd.DataFrame, picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:kept])
    with pytest.raises(ArgumentError, match="cannot embed picture 'map'"):
        write_report(tmp_path / "r.html", title="A", verdicts=[], metrics=metrics, figures={"map": picture})
    assert not (tmp_path / "r.html").exists()


def test_a_picture_too_large_to_open_is_refused_by_name(
    tmp_path: Path, metrics: pd.DataFrame, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ArgumentError, match="cannot embed picture 'map': Image size"):
        write_report(tmp_path / "r.html", title="A", verdicts=[], metrics=metrics, figures={"map": picture})


def test_a_narrow_picture_fits_a_narrow_screen(tmp_path: Path, metrics: pd.DataFrame, picture: Path) -> None:
    wide = tmp_path / "wide.png"
    Figure(figsize=(20, 1)).savefig(wide, dpi=100)
    path = write_report(
        tmp_path / "r.html", title="A", verdicts=[], metrics=metrics, figures={"narrow": picture, "wide": wide}
    )
    narrow, other = _Page(path.read_text(encoding="utf-8")).all("img")
    assert narrow["class"] == "narrow"
    assert "class" not in other


def test_hidden_words_of_a_wide_table_do_not_widen_the_page(tmp_path: Path, metrics: pd.DataFrame) -> None:
    """What is positioned absolutely is clipped by a scrolling box only where the box is positioned itself."""
    page = write_report(tmp_path / "r.html", title="A", verdicts=[], metrics=metrics).read_text("utf-8")
    assert re.search(r"\.hidden \{[^}]*position: absolute", page)
    assert re.search(r"\.scroll \{[^}]*position: relative[^}]*overflow-x: auto", page)


def test_the_page_is_whole_self_contained_and_accessible(
    tmp_path: Path, metrics: pd.DataFrame, history: pd.DataFrame, picture: Path
) -> None:
    path = write_report(
        tmp_path / "report.html", title="A run", verdicts=[VERDICT], metrics=metrics, history=history,
        figures={"landscape": picture, "other": Picture(path=picture, title="T", caption="C", alt="A")},
        question="Which?", data={"Cells": 5000}, method=["How."], notes=["Simulated."], seeds=[0, 1],
        tables={"Plans": pd.DataFrame({"edit": ["Gata1"], "p": [0.5]})}, config={"training": {"lr": 1e-3}},
        versions={"torch": "2.13.0"},
    )  # fmt: skip
    text = path.read_text(encoding="utf-8")
    page = _Page(text)
    assert not page.open
    assert page.all("html")[0]["lang"] == "en"
    assert [name for name, attributes in page.tags if name in ("script", "link", "iframe")] == []
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    images = page.all("img")
    assert len(images) == 2
    for image in images:
        assert str(image["src"]).startswith("data:image/png;base64,")
        assert image["alt"]
    assert len(page.all("caption")) == len(page.all("table")) == 6
    assert all(heading.get("scope") in ("col", "row", "rowgroup") for heading in page.all("th"))
    assert text.index("The mean does as well.") < text.index('id="pictures"') < text.index('id="metrics"')
    for word in ("training.lr", "0.001", "2.13.0", "Gata1", "Simulated.", "0.70 against 0.71"):
        assert word in text


def test_everything_filled_in_is_escaped(tmp_path: Path, metrics: pd.DataFrame) -> None:
    evil = "<script>alert('x')</script>"
    verdict = Verdict(question=evil, answer="yes", sentence=evil, evidence=evil)
    path = write_report(
        tmp_path / "report.html", title=evil, verdicts=[verdict], metrics=metrics.assign(modality=evil), question=evil,
        data={evil: evil}, method=[evil], notes=[evil], config={evil: evil}, versions={evil: evil},
        tables={evil: pd.DataFrame({evil: [evil]})},
    )  # fmt: skip
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 15


def test_the_least_there_can_be_is_still_a_page(tmp_path: Path) -> None:
    path = write_report(tmp_path / "r.html", title="Empty", verdicts=[], metrics=pd.DataFrame(columns=list(COLUMNS)))
    assert not _Page(path.read_text(encoding="utf-8")).open


def test_a_failure_keeps_the_old_page(tmp_path: Path, metrics: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "report.html"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(ArgumentError, match=r"missing\.png"):
        write_report(target, title="t", verdicts=[], metrics=metrics, figures={"loss_curves": tmp_path / "missing.png"})
    with pytest.raises(ArgumentError, match="accepted png, jpg, svg"):
        write_report(target, title="t", verdicts=[], metrics=metrics, figures={"x": tmp_path / "x.pdf"})
    with pytest.raises(DataError, match="modality"):
        write_report(target, title="t", verdicts=[], metrics=metrics.drop(columns="modality"))

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="no space left"):
        write_report(target, title="t", verdicts=[], metrics=metrics)
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_verdict_answers_one_of_four_words() -> None:
    with pytest.raises(ArgumentError, match="'maybe'"):
        Verdict(question="q", answer="maybe", sentence="s")


def test_blocks_mark_the_best_and_put_baselines_below(metrics: pd.DataFrame) -> None:
    (block,) = metric_blocks(metrics)
    assert block.metrics == (("Pearson r", "↑"), ("MSE", "↓"))
    rows = block.groups[0].rows
    assert [row.name for row in rows] == ["response · Adam", "mean", "replicate"]
    assert [row.baseline for row in rows] == [False, True, True]
    assert [cell.best for cell in rows[0].cells] == [True, False]
    assert [cell.best for cell in rows[1].cells] == [False, True]
    assert rows[0].cells[0].text == "0.710"
    assert rows[0].cells[0].deviation == "0.010"


def test_the_loss_table_reads_the_last_epoch(history: pd.DataFrame) -> None:
    table = loss_table(history)
    assert table.headings == ("Optimizer", "Train loss", "Validation loss")
    assert table.rows == (("Adam", "0.2500 ± 0.0000", "0.2500 ± 0.0000"),)
    broken = history.assign(loss=np.where(history["epoch"] == 4, np.nan, history["loss"]))
    assert loss_table(broken).rows == (("Adam", "diverged", "diverged"),)


def test_settings_are_flattened_and_values_written_for_readers() -> None:
    rows = flat_settings({"a": {"b": {"c": 1e-8}, "d": [1, 2.5]}, "e": None, "f": True, "g": {}, "h": float("nan")})
    assert rows == [("a.b.c", "1e-08"), ("a.d", "1, 2.5"), ("e", "none"), ("f", "yes"), ("g", "{}"), ("h", "n/a")]
    named = pd.DataFrame({"x": [1.0]}, index=pd.Index(["row"], name="what"))
    assert plain_table("c", named).headings == ("what", "x")
