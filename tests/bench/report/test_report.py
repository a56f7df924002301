"""The report: what it says first, what it draws, and that it holds whatever a study may come to."""

from __future__ import annotations

import base64
import csv
import dataclasses
import gc
import gzip
import html
import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from tests.bench.report.made_up import made_up

from waddington.bench import report
from waddington.bench.report.figures import groups_of
from waddington.bench.report.markdown import render_markdown
from waddington.bench.report.page import render_page
from waddington.bench.report.style import arm_styles
from waddington.bench.report.summary import boundary_warnings, headlines
from waddington.bench.report.tables import regret_table, tables_of
from waddington.bench.statistics import several
from waddington.errors import ArgumentError


@pytest.fixture(scope="module")
def data() -> Iterator[report.ReportData]:
    gc.freeze()  # statsmodels collects garbage in every call of Holm's; what is frozen it need not walk through
    yield made_up()
    gc.unfreeze()


@pytest.fixture(scope="module")
def page(data: report.ReportData) -> str:
    return render_page(data)


def inside(page: str, name: str) -> str:
    """Give the text of a script of the page."""
    found = re.search(rf'<script[^>]* id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_verdict_comes_first_with_what_could_have_been_detected(data: report.ReportData, page: str) -> None:
    found = headlines(data)
    assert len(found) == 6  # three contrasts at two horizons
    assert {headline.answer for headline in found} >= {"first", "no difference", "cannot be told"}
    for headline in found:
        assert html.escape(headline.sentence).replace("&#x27;", "&#39;") in page
        assert headline.words in headline.contrast
    none = next(headline for headline in found if headline.answer == "no difference")
    assert "4 tasks would have detected a factor of" in none.sentence
    assert page.index(none.sentence) < page.index("Paired differences</h2>")


def test_of_fewer_than_three_tasks_each_is_told_by_itself() -> None:
    two = made_up(tasks=("a", "b"), arms=("X", "Y"), horizons=("known",))
    (found,) = headlines(two)
    assert found.sentence.startswith("On a: ")
    assert " On b: " in found.sentence


def test_every_picture_is_one_that_plotly_draws(data: report.ReportData) -> None:
    groups = groups_of(data)
    assert {group.name for group in groups} == {"forest", "profile", "rate", "budget", "anytime", "cost"}
    for group in groups:
        for panel in group.panels:
            go.Figure(panel.json)  # refuses unknown names and values
            assert panel.alt
    assert sum(len(group.panels) for group in groups) == 2 * (3 + 2 + 4 + 4 + 4) + 2


def test_an_arm_keeps_its_colour_and_is_told_apart_without_it(data: report.ReportData) -> None:
    styles = arm_styles(data.arms)
    for group in groups_of(data):
        for panel in group.panels:
            for trace in panel.json["data"]:
                if "meta" in trace and "line" in trace and trace.get("fill") != "tonexty":
                    assert trace["line"]["color"] in (styles[trace["meta"]].color, styles[trace["meta"]].faint(0.35))
    many = arm_styles([f"arm {number}" for number in range(30)])
    assert len({(style.color, style.dash) for style in many.values()}) == 30


def test_the_page_needs_nothing_from_anywhere(page: str) -> None:
    assert not re.search(r'(src|href)="(?!#)', page)
    script = gzip.decompress(base64.b64decode(inside(page, "plotly"))).decode()
    assert script.startswith("/**\n* plotly.js")
    assert len(page.encode()) < 3_000_000
    panels = json.loads(inside(page, "figures"))["panels"]
    assert set(panels) == set(re.findall(r'class="plot" id="([^"]+)"', page))


def test_the_page_says_how_to_make_it_again(data: report.ReportData, page: str) -> None:
    for text in (data.study_hash, data.commit, data.command, *data.notes, *data.method, "2 cores", "2.13.0"):
        assert text in page
        assert text in render_markdown(data)


def test_a_boundary_is_warned_of(data: report.ReportData, page: str) -> None:
    (first, second) = boundary_warnings(data)
    assert first == (
        "The best point of AMVT is at an end of the range of lr on digits (known horizon (cosine)). "
        "A better one may lie beyond."
    )
    assert first in page
    assert second in render_markdown(data)


def test_diverged_runs_are_counted_and_drawn(data: report.ReportData, page: str) -> None:
    table = tables_of(data)["divergences"]
    assert ("autoencoder", "known", "SGD", "evaluation", "10", "2", "0") in table.rows
    assert "by ranks, " in inside(page, "figures")
    crosses = [
        trace
        for group in groups_of(data)
        for panel in group.panels
        for trace in panel.json["data"]
        if trace.get("marker", {}).get("symbol") == "x-thin-open"
    ]
    assert sum(len(trace["x"]) for trace in crosses) == sum(math.isinf(point.value) for point in data.tuning)
    without = dataclasses.replace(data, divergences=())
    assert "Every run came to its end." in render_page(without)
    assert "Every run came to its end." in render_markdown(without)


def test_regrets_stand_least_on_the_worst_task_first_and_say_what_is_left_out(data: report.ReportData) -> None:
    table = tables_of(data)["regrets"]
    assert len(table.rows) == 2 * 4
    worst = [row[table.headings.index("Worst regret")] for row in table.rows if row[0] == "known"]
    assert worst[-1] == "∞ %"  # SGD diverged on the last task
    assert table.caption == "Regret to the best arm of each task"
    fewer = dataclasses.replace(data.regrets[0], tasks=data.regrets[0].tasks[:-1])
    assert (
        "1 task without a loss above zero left out" in regret_table(dataclasses.replace(data, regrets=[fewer])).caption
    )


def test_tables_for_programs_have_every_digit(data: report.ReportData, tmp_path: Path) -> None:
    assert report.write_report(tmp_path, data) == tmp_path / "report.html"
    files = {path.stem for path in (tmp_path / "tables").iterdir()}
    assert files == {
        "analyses",
        "best_of",
        "contrasts",
        "costs",
        "divergences",
        "finals",
        "pooled",
        "regrets",
        "scores",
        "tuning",
    }
    with (tmp_path / "tables" / "contrasts.csv").open() as file:
        rows = list(csv.DictReader(file))
    pair = data.results[0].several.contrasts[0].paired
    assert float(rows[0]["mean"]) == pair.mean
    by_ranks = [row for row in rows if row["mean"] == ""]
    assert by_ranks
    assert all("diverged" in row["reasons"] for row in by_ranks)
    with (tmp_path / "tables" / "finals.csv").open() as file:
        values = [float(row["value"]) for row in csv.DictReader(file)]
    assert len(values) == 2 * 4 * 4 * 10
    assert math.inf in values


def test_what_users_wrote_is_never_markup() -> None:
    bad = "<b>&|`x`</script>\x1b\u202e"
    rows = made_up(tasks=(bad, "b", "c"), arms=("X", bad), horizons=("known",), seeds=4)
    rows = dataclasses.replace(rows, title=bad, notes=[bad], command=bad)
    page = render_page(rows)
    assert "<b>" not in page
    assert "\x1b" not in page
    assert page.count("</script>") == 3
    assert "<b>" not in render_markdown(rows).replace("\\<b>", "").partition("```bash")[0]


def test_the_smallest_study_has_a_page() -> None:
    """One task, one arm, one seed, nothing else."""
    values = np.array([[1.0]])
    result = report.TaskResult(task="a", horizon="end", finals={"X": values[:, 0]}, several=several(values, ["X"]))
    small = report.ReportData(title="Small", tasks=["a"], arms=["X"], horizons={"end": "at the end"}, results=[result])
    page = render_page(small)
    assert "there is no verdict" in page
    assert "1 x 1 values" in page
    assert "| a | loss | 1 \\[1, 1] |" in render_markdown(small)


def test_a_row_of_nowhere_is_refused() -> None:
    row = report.StepCost(task="b", arm="X", seconds=1.0)
    with pytest.raises(ArgumentError, match=r"StepCost\.task='b'"):
        report.ReportData(title="", tasks=["a"], arms=["X"], horizons={"end": ""}, costs=[row])
    with pytest.raises(ArgumentError, match="report on nothing"):
        report.ReportData(title="", tasks=[], arms=["X"], horizons={"end": ""})


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_a_browser_draws_every_picture_within_the_width_of_a_phone(data: report.ReportData, tmp_path: Path) -> None:
    """The page is asked, inside a frame of 390 pixels, how wide it is and how many pictures are drawn."""
    page = report.write_report(tmp_path, data)
    probe = """<script>
    addEventListener("load", () => setInterval(() => {
      document.title = [document.documentElement.scrollWidth, document.querySelectorAll(".plot .main-svg").length > 0,
        document.querySelectorAll(".plot[data-drawn]").length].join(" ");
      document.body.dataset.probe = document.title;
    }, 200));</script></body>"""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", probe), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        '<iframe id="f" src="report.html" style="width:390px;height:24000px;border:0"></iframe><script>'
        "setInterval(() => { const d = document.getElementById('f').contentDocument;"
        "document.title = (d && d.body && d.body.dataset.probe) || ''; }, 100)</script>"
    )
    options = (
        "headless no-sandbox disable-gpu no-first-run disable-background-networking disable-sync hide-scrollbars "
        "allow-file-access-from-files virtual-time-budget=30000 window-size=400,24000 dump-dom"
    )
    command = ["chromium", *(f"--{option}" for option in options.split())]
    command += [f"--user-data-dir={tmp_path / 'profile'}", str(frame)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    title = re.search(r"<title>(\d+) (\w+) (\d+)</title>", found)
    assert title is not None, found[-2000:]
    n_panels = sum(len(group.panels) for group in groups_of(data))
    assert (int(title[1]), title[2], int(title[3])) == (390, "true", n_panels)
