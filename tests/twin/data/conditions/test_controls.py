"""Labels of files that mean control or nothing; the table is also in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.twin.data.conditions import CONTROL_WORDS, is_control_name
from waddington.twin.data.conditions.controls import is_missing

WORDS = [word for words in CONTROL_WORDS.values() for word in words]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(WORDS), st.integers(0, 999999), st.sampled_from("-_ "), st.booleans())
def test_every_word_is_control_alone_and_numbered(word: str, number: int, gap: str, upper: bool) -> None:
    written = word.replace(" ", gap)
    for label in (written, f"{written}{gap}{number}", f"{written}_g{number}"):
        assert is_control_name(label.upper() if upper else label)


@pytest.mark.parametrize(
    "label",
    [
        *("NT-1", "NTC_2", "NTg1", "non-targeting_00025", "Non-Targeting Control", "safe-targeting", "NegCtrl0"),
        *("NegCtrl10_NegCtrl0", "INTERGENIC393453", "INTERGENIC_1", "scramble2", "sgNTC-2", "siCtrl", "shGFP"),
        *("DMSO_TF", "DMSO_24h", "mock-infected", "control_rep1", "Wild-Type", "NT_gRNA", "negative_control_3"),
    ],
)
def test_controls_as_files_write_them(label: str) -> None:
    assert is_control_name(label)


@pytest.mark.parametrize(
    "label",
    [
        *(
            "",
            "WT1",
            "NT1",
            "NT5E",
            "NTF3",
            "EVI1",
            "EV71",
            "CTRB1",
            "CTRL+KLF1",
            "ctrl_KLF1",
            "KLF1_ctrl",
            "SCR",
            "GFPT1",
        ),
        *(
            "nan",
            "None",
            "none",
            "DMSO+JQ1",
            "control_A172",
            "mockingbird",
            "SIX1",
            "SGK1",
            "SHH",
            "1",
            "MOCS1",
            "PBSN",
        ),
    ],
)
def test_genes_and_combinations_are_no_controls(label: str) -> None:
    assert not is_control_name(label)


@pytest.mark.parametrize("label", [None, float("nan"), "", "  ", "nan", "NaN", "None", "none", "NA", "<NA>", "null"])
def test_what_is_missing_is_missing_by_one_rule(label: object) -> None:
    assert is_missing(label)
    assert not is_control_name(str(label))


def test_the_documented_table_is_the_one_in_use() -> None:
    page = (Path(__file__).parents[4] / "docs" / "labels.md").read_text(encoding="utf-8")
    for kind, words in CONTROL_WORDS.items():
        assert f"| {kind} | {', '.join(f'`{word}`' for word in words)} |" in page
