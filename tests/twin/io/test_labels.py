"""Columns of ``obs`` are recognised under the names that files use, and never by force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata as ad
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington._errors import DataError
from waddington.twin.io import read
from waddington.twin.io.labels import LabelKeys, read_split, read_time, standard_columns

Make = Callable[..., ad.AnnData]


def standard(columns: dict[str, Any], **keys: Any) -> tuple[pd.DataFrame, list[str]]:
    return standard_columns(pd.DataFrame(columns), LabelKeys(**keys), source="cells.h5ad")


@pytest.mark.parametrize(
    ("word", "hours"), [(3, 3.0), ("3", 3.0), ("3h", 3.0), ("3 h", 3.0), ("day 2", 2.0), ("E8.5", 8.5), ("-1", -1.0)]
)
def test_times_with_and_without_units(word: Any, hours: float) -> None:
    assert list(read_time(pd.Series([word, word]))) == [hours, hours]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_numbers_are_their_own_time(times: list[float]) -> None:
    assert list(read_time(pd.Series(times))) == times


@pytest.mark.parametrize("word", ["early", "1-2 h", "", None, "inf"])
def test_what_holds_no_single_number_is_no_time(word: Any) -> None:
    with pytest.raises(DataError, match="1 of 2 cells without a number"):
        read_time(pd.Series([1, word], name="when"))


def test_split_words_and_validation() -> None:
    assert list(read_split(pd.Series(["Train", "TEST", "valid", "held-out"]))) == ["train", "test", "train", "test"]
    with pytest.raises(DataError, match="found 'nothing'"):
        read_split(pd.Series(["train", None]))


def test_usual_names_are_recognised() -> None:
    obs, notes = standard(
        {
            "condition": ["ctrl", "A+ctrl"],
            "treatment_time": ["0h", "3h"],
            "paper_split": ["train", "test"],
            "bio_rep": [1, 2],
            "celltype": pd.Categorical(["T", None]),
        }
    )
    assert obs.iloc[1, 5:].to_dict() == {
        "perturbation": "A",
        "perturbation_mode": "knockout",
        "time": 3.0,
        "split": "test",
        "batch": "2",
        "cell_type": "unknown",
    }
    assert "time from obs['treatment_time']" in notes
    assert any("read as knockout; perturbation_mode= says otherwise" in note for note in notes)


def test_a_recognised_column_that_cannot_be_read_is_left_alone_with_a_note() -> None:
    obs, notes = standard({"time": ["early", "late"], "split": ["fold1", "fold2"]})
    assert list(obs["time"]) == ["early", "late"]
    assert sum("is not used as" in note for note in notes) == 2


def test_a_rewritten_column_keeps_the_files_own_beside_it() -> None:
    obs, _ = standard({"perturbation": ["control", "SET+KLF1"], "perturbation_type": ["CRISPRa", "CRISPRa"]})
    assert list(obs["perturbation"]) == ["control", "KLF1+SET"]
    assert list(obs["perturbation_mode"]) == ["control", "activation+activation"]
    assert list(obs["perturbation_original"]) == ["control", "SET+KLF1"]


def test_named_columns_win_over_usual_ones() -> None:
    obs, notes = standard(
        {"perturbation": ["A", "A"], "stim": ["ctrl", "stim"], "time": [1, 2], "age": [5, 6]},
        perturbation="stim",
        default_mode="cytokine",
        time="age",
    )
    assert list(obs["perturbation"]) == ["control", "stim"]
    assert list(obs["perturbation_mode"]) == ["control", "cytokine"]
    assert list(obs["time"]) == [5.0, 6.0]
    assert not any("says otherwise" in note for note in notes)


def test_the_absence_of_controls_is_noted() -> None:
    _, notes = standard({"perturbation": ["A", "B"]})
    assert "no control cells in obs['perturbation']" in notes


def test_a_label_of_the_caller_can_mean_control() -> None:
    obs, _ = standard({"guide": ["luciferase", "A"]}, perturbation="guide", control="luciferase")
    assert list(obs["perturbation"]) == ["control", "A"]


def test_reading_what_was_read_changes_nothing(make: Make) -> None:
    adata = make()
    adata.obs["condition"] = ["ctrl", "B+A", "A+ctrl"] * 10
    adata.obs["day"] = [1, 2, 3] * 10
    once = read(adata)
    twice = read(once)
    shared = ["perturbation", "perturbation_mode", "time", "condition", "day"]
    pd.testing.assert_frame_equal(once.obs[shared], twice.obs[shared])
    assert list(once.obs.columns) == list(twice.obs.columns)
