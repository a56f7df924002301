"""What stands on the screen: letters as they are, and whole words on a narrow one."""

from __future__ import annotations

import io
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from waddington.cli._app import run_app
from waddington.cli._screen import make_console, plain, table_or_list
from waddington.cli.run import _last_screen
from waddington.twin.report.page import Verdict
from waddington.twin.run import RunConfig, RunResult

LABELS = ("T cell [cycling]", "[red]x[/red]", ":x:", "benzo[a]pyrene", "dose [/h]", "\x1b[31mred")


def printed(width: int, *things: object) -> str:
    console = make_console()
    console.file, console.width = io.StringIO(), width
    for thing in things:
        console.print(thing)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 120])
def test_labels_are_letters(width: int) -> None:
    console = Console(width=width)
    table = table_or_list(console, "Conditions", ("condition", "cells"), [(label, 3) for label in LABELS], numeric=())
    text = printed(width, table, plain(LABELS[3]))
    for label in LABELS[:5]:
        assert label in text
    assert "\x1b" not in text
    assert "␛[31mred" in text


def test_a_narrow_screen_gets_a_list_with_whole_words() -> None:
    columns = ("modality", "features", "median counts a cell", "layers")
    rows = [("protein", "24", "2,486", "truth, counts")]
    narrow = printed(40, table_or_list(Console(width=40), "200 cells", columns, rows, numeric=()))
    for word in ("protein", "features  24", "median counts a cell  2,486", "truth, counts"):
        assert word in narrow
    assert "…" not in narrow
    assert max(map(len, narrow.splitlines())) <= 40
    assert "┃" in printed(100, table_or_list(Console(width=100), "200 cells", columns, rows, numeric=()))


def test_a_number_column_is_no_wider_than_the_words_of_its_heading() -> None:
    rows = [("empirical-Bayes additive", "0.12", "0.34")]
    columns = ("model", "unseen single", "held-out cells")
    text = printed(50, table_or_list(Console(width=50), "r", columns, rows, numeric=columns[1:]))
    assert "┃" in text
    assert "unseen ┃ held-out" in text
    assert "single ┃    cells" in text


def test_a_long_label_is_folded_never_cut() -> None:
    label = "x" * 160
    text = printed(40, table_or_list(Console(width=40), "Conditions", ("condition", "cells"), [(label, 1)], numeric=()))
    assert text.count("x") == 160


@pytest.mark.parametrize("width", [40, 80, 120])
def test_described_labels_fill_one_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, width: int
) -> None:
    labels = ["control", "begin_" + "x" * 160 + "_end", "begin_" + "x" * 150 + "_end"]
    obs = pd.DataFrame({"perturbation": labels * 10, "batch": labels * 10}, index=[f"c{i}" for i in range(30)])
    counts = np.random.default_rng(0).poisson(3, (30, 6)).astype(np.float32)
    ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(6)])).write_h5ad(tmp_path / "a.h5ad")
    monkeypatch.setenv("COLUMNS", str(width))
    assert run_app(["data", "describe", str(tmp_path / "a.h5ad")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    long = [line for line in lines if "begin" in line or "xxx" in line]
    assert len(long) == 4
    assert all("begin_" in line and "…" in line and "10" in line for line in long)


def test_a_command_to_go_on_with_is_not_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    path = tmp_path / "a long name of cells.h5mu"
    assert run_app(["simulate", str(path), "--cells", "60", "--genes", "20", "--peaks", "20", "--proteins", "3"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"next: waddington data describe '{path}'" in said
    assert f"next: waddington run '{path}' --out results" in said


def a_result(tmp_path: Path, verdicts: tuple[Verdict, ...] = (), notes: tuple[str, ...] = ()) -> RunResult:
    columns = ["protocol", "predictor", "optimizer", "seed", "modality", "split", "conditions", "n", "metric", "value"]
    metrics = pd.DataFrame(columns=columns)
    return RunResult(out=tmp_path, metrics=metrics, verdicts=verdicts, config=RunConfig(), notes=notes)


def test_what_matters_most_is_said_before_the_numbers(tmp_path: Path) -> None:
    text = printed(80, _last_screen(a_result(tmp_path, notes=tuple(f"[note {at}]" for at in range(6))), make_console()))
    assert [f"[note {at}]" in text for at in range(6)] == [True] * 4 + [False] * 2
    assert "Before you believe it" in text
    assert "2 more in report.html" in text
    assert "Before you believe it" not in printed(80, _last_screen(a_result(tmp_path), make_console()))


@pytest.mark.parametrize("note", ["x" * 300, "细胞" * 150, "The file /" + "b" * 230 + " has no control"])
def test_a_long_word_of_a_note_is_cut_and_not_left_out(note: str, tmp_path: Path) -> None:
    text = printed(400, _last_screen(a_result(tmp_path, notes=(note,)), make_console()))
    assert note[:90] in text
    assert "…" in text
    assert note not in text


def test_one_reason_for_several_answers_is_said_once(tmp_path: Path) -> None:
    why = "One seed shows no scatter."
    asked = ("Is it better?", "Does it pay?")
    verdicts = tuple(Verdict(question=question, answer="not measurable", sentence=why) for question in asked)
    text = printed(80, _last_screen(a_result(tmp_path, verdicts), make_console()))
    assert text.count(why) == 1
    assert all(question in text for question in asked)
