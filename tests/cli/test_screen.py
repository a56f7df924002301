"""What stands on the screen: letters as they are, and whole words on a narrow one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from waddington.cli._screen import make_console, plain, table_or_list

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


def test_a_long_label_is_folded_never_cut() -> None:
    label = "x" * 160
    text = printed(40, table_or_list(Console(width=40), "Conditions", ("condition", "cells"), [(label, 1)], numeric=()))
    assert text.count("x") == 160
