"""Text of users is shown as it is: no control sequence survives, and shortening tells texts apart."""

from __future__ import annotations

import ast
import math
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import waddington
from waddington._text import cell_width, counted, literal, shorten, shorten_all, split_commas, visible


@given(st.text())
def test_nothing_that_a_terminal_obeys_survives(text: str) -> None:
    shown = visible(text)
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in shown)
    assert visible(shown) == shown
    assert len(shown) == len(text)


def test_plain_text_stays_as_it_is() -> None:
    for text in ("T cell [cycling]", ":x:", "$5", "細胞", "🧬", "naïve", "α-β"):
        assert visible(text) == text
    assert visible("\x1b[31mred\n") == "␛[31mred␊"
    assert visible("a\u202eb") == "a�b"


@given(st.text(), st.integers(3, 40))
def test_a_shortened_text_fits_and_keeps_its_ends(text: str, width: int) -> None:
    short = shorten(text, width)
    assert cell_width(short) <= width
    if cell_width(text) <= width:
        assert short == text
    else:
        head, _, tail = short.partition("…") if "…" not in text else (short[:1], "", "")
        assert text.startswith(head)
        assert text.endswith(tail)


@given(st.lists(st.text(alphabet="ab", min_size=20, max_size=40), max_size=12))
def test_different_texts_stay_different(texts: list[str]) -> None:
    shown = shorten_all(texts, 12)
    assert set(shown) == set(texts)
    assert len(set(shown.values())) == len(set(texts))
    assert all(cell_width(short) <= 12 for short in shown.values())


def test_wide_letters_fill_two_columns() -> None:
    assert cell_width("細胞") == 4
    assert shorten("細胞細胞細胞", 7) == "細…胞"


def test_one_of_a_thing_is_no_plural() -> None:
    assert [counted(n, "cell") for n in (0, 1, 2, 1200)] == ["0 cells", "1 cell", "2 cells", "1,200 cells"]
    assert [counted(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 1e-3),
        ("(0.9, 0.99)", (0.9, 0.99)),
        ("True", True),
        ("true", True),
        ("false", False),
        ("None", None),
        ("inf", math.inf),
        ("-inf", -math.inf),
        ("mean", "mean"),
        ("1e", "1e"),
        ("", ""),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_a_text_is_the_literal_that_it_writes(text: str, expected: object) -> None:
    assert literal(text) == expected
    assert type(literal(text)) is type(expected)


def test_nan_is_a_number_and_no_text() -> None:
    assert math.isnan(literal("nan"))  # a rate of "nan" would be compared with numbers, as a text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Adam, betas=(0.9, 0.99),lr=1", ["Adam", "betas=(0.9, 0.99)", "lr=1"]),
        ("a=[(1,2),{3,4}],b", ["a=[(1,2),{3,4}]", "b"]),
        ("a),b", ["a)", "b"]),
        ("a(,b", ["a(,b"]),
        (" a ,", ["a", ""]),
        ("", [""]),
    ],
)
def test_commas_within_brackets_split_nothing(text: str, expected: list[str]) -> None:
    assert split_commas(text) == expected


def test_messages_count_by_that_one_rule() -> None:
    """No text puts a number before a plural by itself; capitals are constants, and the rest are no counts."""
    nouns = re.compile(r" (?:cells|conditions|features|labels|genes|columns|barcodes)\b")
    allowed = re.compile(r"[A-Z_]+|sorted\(sizes\)|split|one\.median_features")
    rooms = [Path(waddington.__file__).parent / room for room in ("twin", "cli")]
    texts = [
        (path.name, ast.unparse(before.value), after.value)
        for room in rooms
        for path in room.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr)
        for before, after in zip(node.values, node.values[1:], strict=False)
        if isinstance(before, ast.FormattedValue) and isinstance(after, ast.Constant)
    ]
    assert len(texts) > 100
    assert not [text for text in texts if nouns.match(str(text[2])) and not allowed.fullmatch(text[1])]
