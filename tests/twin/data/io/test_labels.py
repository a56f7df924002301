"""Columns of ``obs`` are recognised under the names that files use, and never by force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata as ad
import pandas as pd
import pytest

from waddington.errors import DataError
from waddington.twin.data.io import read
from waddington.twin.data.io.labels import read_split, standard_columns
from waddington.twin.data.io.perturbations import LabelKeys

Make = Callable[..., ad.AnnData]


def standard(columns: dict[str, Any], **keys: Any) -> tuple[pd.DataFrame, tuple[str, ...]]:
    found = standard_columns(pd.DataFrame(columns), LabelKeys(**keys), source="cells.h5ad")
    return found.obs, found.notes


def test_split_words_and_validation() -> None:
    assert list(read_split(pd.Series(["Train", "TEST", "valid", "held-out"]))) == ["train", "test", "train", "test"]
    with pytest.raises(DataError, match="found 'nothing'"):
        read_split(pd.Series(["train", None]))
    obs = pd.DataFrame({"split": ["train", "test", None]}, index=["a", "b", "c"])
    with pytest.raises(DataError, match=r"'split' as split: found 'nothing' \(1 of 3 cells without a value\)"):
        standard_columns(obs, LabelKeys(), source="s")
    other = standard_columns(pd.DataFrame({"split": ["a", "test", None]}), LabelKeys(), source="s")
    assert any("obs['split'] is not used as split" in note for note in other.notes)


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
        "perturbation_mode": "perturbation",
        "time": 3.0,
        "split": "test",
        "batch": "2",
        "cell_type": "unknown",
    }
    assert "time from obs['treatment_time']" in notes
    assert "time is in h" in notes
    assert "taken as control: 'ctrl' (1 cell)" in notes
    assert any("read as perturbation; perturbation_mode= says otherwise" in note for note in notes)


@pytest.mark.parametrize(
    "values", [["early", "late"], [True, False], list(pd.to_datetime(["2026-01-01", "2026-01-02"]))]
)
def test_a_recognised_column_that_cannot_be_read_is_set_aside_with_a_note(values: list[object]) -> None:
    obs, notes = standard({"time": values, "split": values})
    assert not {"time", "split"} & set(obs.columns), "read as a time or a split by what comes later"
    assert list(obs["time_original"]) == values
    assert sum("is not used as" in note for note in notes) == 2
    assert "the file's obs['time'] is kept in obs['time_original']" in notes


def test_a_rewritten_column_keeps_the_files_own_beside_it() -> None:
    labels = ["control", "SET+KLF1"]
    obs, _ = standard({"perturbation": labels, "perturbation_type": ["CRISPRa", "CRISPRa"]})
    assert list(obs["perturbation"]) == ["control", "KLF1+SET"]
    assert list(obs["perturbation_mode"]) == ["control", "activation+activation"]
    assert list(obs["perturbation_original"]) == labels


def test_a_column_that_bears_the_name_for_it_already_stays() -> None:
    labels, own = ["control", "SET+KLF1"], ["a", "b"]
    given = {"perturbation": labels, "perturbation_original": own, "time": [True, False], "time_original": own}
    obs, notes = standard(given)
    assert obs.columns.is_unique
    assert list(obs["perturbation_original"]) == list(obs["time_original"]) == own
    assert list(obs["perturbation_original_2"]) == labels
    assert list(obs["time_original_2"]) == [True, False]
    assert "the file's obs['time'] is kept in obs['time_original_2']" in notes


def test_named_columns_win_over_usual_ones() -> None:
    obs, notes = standard(
        {"perturbation": ["A", "B"], "stim": ["ctrl", "stim"], "time": [1, 2], "age": [5, 6]},
        perturbation="stim",
        default_mode="cytokine",
        time="age",
    )
    assert list(obs["perturbation"]) == ["control", "stim"]
    assert list(obs["perturbation_mode"]) == ["control", "cytokine"]
    assert list(obs["time"]) == [5.0, 6.0]
    assert not any("says otherwise" in note for note in notes)


def test_reading_what_was_read_changes_nothing(make: Make) -> None:
    adata = make()
    adata.obs["condition"] = ["ctrl", "B+A", "A+ctrl", "B", "Ca2+"] * 6
    adata.obs["day"] = ["1d", "48h", "3d"] * 10
    once = read(adata)
    twice = read(once)
    shared = ["perturbation", "perturbation_mode", "time", "condition", "day"]
    pd.testing.assert_frame_equal(once.obs[shared], twice.obs[shared])
    assert list(once.obs.columns) == list(twice.obs.columns)
    assert once.uns["waddington"]["time_unit"] == twice.uns["waddington"]["time_unit"] == "d"
