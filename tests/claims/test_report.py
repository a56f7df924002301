"""The ledger's pages say what the records say, and change when they do."""

from __future__ import annotations

import csv
import dataclasses
import html
import json
import re
from pathlib import Path

import pytest
from tests.claims.test_verdict import records_of
from tests.claims.toys import FAIR, FAR, SUM, claim

from waddington import claims, jobs
from waddington.analysis.plots._style import COLORS
from waddington.claims.claim import Answer, Paper
from waddington.claims.report import render_index, render_page, render_paper, write_ledger
from waddington.claims.report.sentences import answer_to
from waddington.errors import ArgumentError


def drawn(records: object) -> object:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1))
    figure.add_subplot().plot([0, 1], [1, 0])
    return figure


PAPER = Paper(
    number="coins",
    title="On coins",
    claims=(claim(dataclasses.replace(FAIR, picture=drawn), SUM, FAR),),
    answers=(Answer(question="Is the coin fair?", claim="C1", part="fair"),),
    use="A coin of your own.",
)


def entries(**changes: object) -> dict[str, claims.ClaimEntry]:
    records: dict[str, jobs.Record] = records_of(FAIR, FAR, **changes)
    return {"C1": claims.enter(PAPER.claims[0], records)}


def test_the_index_has_every_verdict_at_a_glance_and_answers_readers() -> None:
    text = render_index([PAPER], entries())
    assert "1 claim: 1 contradicted" in text
    assert re.search(r"\[C1\]\(paper-coins\.md#c1\) \| ✗ contradicted", text)
    assert "**Is the coin fair?** Yes. A share of" in text


def test_a_changed_record_changes_the_pages() -> None:
    text = render_paper(PAPER, entries(heads=90), {})
    assert "C1, fair: ≠ not reproduced" in text
    assert "A share of 0.900 heads" in text
    assert "**Is the coin fair?** No. A share of 0.900" in render_index([PAPER], entries(heads=90))
    assert "not reproduced" in render_page([PAPER], entries(heads=90), {})
    assert "C1, fair: ✓ reproduced" in render_paper(PAPER, entries(), {})


def test_a_paper_says_what_to_believe_what_not_and_what_to_use() -> None:
    text = render_paper(PAPER, entries(), {("C1", "fair"): "pictures/C1-fair.png"})
    believe, doubt, still = (text.index(f"## What {words}") for words in ("to believe", "not to believe", "is open"))
    assert believe < text.index("The coin is fair. (C1") < doubt < text.index("Both chances make one. (C1") < still
    assert "A coin of your own." in text
    assert "![The coin is fair.](pictures/C1-fair.png)" in text
    assert "$ waddington claims run C1 --tier hours" in text
    assert "3 records of 2026-11-30 on Linux, x86, commit abc; 3 s in all" in text


def test_the_page_needs_nothing_from_anywhere_and_escapes_what_it_shows() -> None:
    wild = dataclasses.replace(PAPER, title="<b>On coins</b>")
    page = render_page([wild], entries(), {("C1", "fair"): b"png"})
    assert "<b>On coins" not in page
    assert html.escape("<b>On coins</b>") in page
    assert 'src="data:image/png;base64,cG5n"' in page
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)


def test_files_are_written_for_people_and_programs(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = write_ledger(tmp_path / "out", [PAPER], list(entries().values()))
    names = {path.relative_to(page.parent).as_posix() for path in page.parent.rglob("*") if path.is_file()}
    assert names == {
        "claims.html", "claims.csv", "claims.json", "index.md", "paper-coins.md", "pictures/C1-fair.png",
    }  # fmt: skip
    (row,) = json.loads((page.parent / "claims.json").read_text())
    assert (row["id"], row["verdict"]) == ("C1", "contradicted")
    with (page.parent / "claims.csv").open() as file:
        figures = {(line["part"], line["figure"]): line["value"] for line in csv.DictReader(file)}
    assert float(figures["sum", "total"]) == 0.9


def test_what_was_not_measured_says_so(tmp_path: Path) -> None:
    found = {"C1": claims.enter(claim(FAIR), {})}
    paper = dataclasses.replace(PAPER, claims=(claim(FAIR),))
    text = render_index([paper], found)
    assert "? not measured yet" in text
    assert "**Is the coin fair?** Not measured yet. No record yet of 3 of 3 measurements." in text
    write_ledger(tmp_path, [paper], list(found.values()))
    assert not list((tmp_path / "pictures").iterdir())


def test_a_question_that_asks_for_more_than_yes_or_no_is_answered_by_the_finding_alone() -> None:
    asked = dataclasses.replace(PAPER, answers=(Answer(question="What does the coin show?", claim="C1", part="fair"),))
    assert "**What does the coin show?** A share of" in render_index([asked], entries())


def test_an_answer_of_no_part_is_refused() -> None:
    with pytest.raises(ArgumentError, match="accepted is a part of a claim of paper coins"):
        dataclasses.replace(PAPER, answers=(Answer(question="Is it?", claim="C1", part="none"),))


def answered(part: claims.Part, records: dict[str, jobs.Record]) -> str:
    row = claim(part)
    paper = Paper(number="coins", title="", claims=(row,), answers=(Answer(question="?", claim="C1", part=part.name),))
    return answer_to(paper.answers[0], paper, [claims.enter(row, records)])


def test_an_answer_is_no_surer_than_the_verdict() -> None:
    fair, far = records_of(FAIR, heads=50), records_of(FAR, heads=5)
    untold = dataclasses.replace(FAIR, judge=lambda records: claims.Finding(holds=None, words="runs diverged"))
    assert answered(untold, fair) == "It cannot be told. Runs diverged."
    assert answered(dataclasses.replace(FAIR, check=SUM.check, numbers=SUM.numbers), fair).startswith("No. Heads and")
    assert answered(dataclasses.replace(FAIR, check=SUM.check, numbers=SUM.numbers), {}).startswith("No. Heads and")
    assert answered(FAR, far).startswith("Yes at the size that was measured here. A share")
    assert answered(FAR, records_of(FAR, heads=90)).startswith("No at the size that was measured here. A share")
    assert answered(FAIR, {}).startswith("Not measured yet.")
    assert answered(FAIR, fair).startswith("Yes. A share")


def test_an_answer_is_one_sentence_where_the_finding_has_one() -> None:
    said = claims.Finding(holds=False, words="one coin is fair; another has a share of 0.9", short="another has 0.9")
    part = dataclasses.replace(FAIR, judge=lambda records: dataclasses.replace(said, detectable=0.1))
    assert answered(part, records_of(FAIR, heads=50)) == "No. Another has 0.9."
    whole = render_paper(PAPER, {"C1": claims.enter(claim(part, SUM), records_of(FAIR, heads=50))}, {})
    assert "One coin is fair; another has a share of 0.9." in whole


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("a share", "A share."),
        ("step 10", "Step 10."),
        ("β = 0.9", "β = 0.9."),
        ("ε is 1", "ε is 1."),
        ("k ‖m‖ is 1", "k ‖m‖ is 1."),
        ("f - f* is 1", "f - f* is 1."),
        ("0.4 diverges", "0.4 diverges."),
    ],
)
def test_a_symbol_keeps_its_case_where_it_begins_a_sentence(words: str, said: str) -> None:
    part = dataclasses.replace(SUM, check=lambda numbers: claims.Finding(holds=False, words=words))
    assert answered(part, {}) == f"No. {said}"


def test_a_thin_line_keeps_its_color_in_a_palette(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure
    from PIL import Image

    def many(records: object) -> object:
        figure = Figure(figsize=(4, 3))
        axes = figure.add_subplot()
        for at, color in enumerate(COLORS[1:], 1):
            axes.plot(range(100), [j * at % (89 + at) for j in range(100)], color=color)
        axes.plot([0, 99], [45, 45], color=COLORS[0], linewidth=0.8)
        return figure

    paper = dataclasses.replace(PAPER, claims=(claim(dataclasses.replace(FAIR, picture=many), SUM, FAR),))
    write_ledger(tmp_path, [paper], [claims.enter(paper.claims[0], records_of(FAIR, FAR))])
    with Image.open(tmp_path / "pictures" / "C1-fair.png") as image:
        assert image.mode == "P"
        shown = {color for _, color in image.convert("RGB").getcolors(1 << 20)}
    red, green, blue = (int(COLORS[0][at : at + 2], 16) for at in (1, 3, 5))
    assert min(abs(r - red) + abs(g - green) + abs(b - blue) for r, g, b in shown) <= 6
