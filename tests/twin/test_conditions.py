"""Labels of all conventions are read into one form, which can be written and read back."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington._errors import DataError
from waddington.twin.conditions import (
    MODES,
    Perturbation,
    condition_columns,
    condition_label,
    conditions_of,
    find_perturbation_column,
    make_condition,
    parse_condition,
    parse_label,
)

genes = st.text("ABCdefG123-.:", min_size=1, max_size=8).filter(lambda name: name.casefold() not in {"ntc", "nt"})
conditions = st.dictionaries(genes, st.sampled_from(MODES), max_size=3).map(
    lambda chosen: make_condition(Perturbation(gene, mode) for gene, mode in chosen.items())
)


@settings(deadline=None, max_examples=60)
@given(conditions)
def test_a_written_condition_reads_back(condition: tuple[Perturbation, ...]) -> None:
    assert parse_label(condition_label(condition)) == condition


@settings(deadline=None, max_examples=60)
@given(conditions)
def test_the_two_columns_of_a_file_read_back(condition: tuple[Perturbation, ...]) -> None:
    label, mode = condition_columns(condition)
    assert parse_condition(label, mode) == condition


@pytest.mark.parametrize(
    "label", ["control", "ctrl", "Ctrl+ctrl", "non-targeting", "non_targeting", "NT", "NTC", "unperturbed", "DMSO"]
)
def test_controls_of_every_convention(label: str) -> None:
    assert parse_condition(label) == ()


@pytest.mark.parametrize(
    ("label", "mode", "expected"),
    [
        ("KLF1", None, "KLF1:knockout"),
        ("KLF1+ctrl", "CRISPRa", "KLF1:activation"),
        ("ctrl+KLF1", None, "KLF1:knockout"),
        ("SET+KLF1", "CRISPRi", "KLF1:knockdown+SET:knockdown"),
        ("SET+KLF1", "knockout+activation", "KLF1:activation+SET:knockout"),
        ("KLF1+ctrl", "OE+control", "KLF1:overexpression"),
        ("KLF1:activation+SET", "knockout", "KLF1:activation+SET:knockout"),
        ("KLF1+KLF1", None, "KLF1:knockout"),
        ("control", "control", "control"),
    ],
)
def test_labels_of_every_convention(label: str, mode: str | None, expected: str) -> None:
    assert condition_label(parse_condition(label, mode)) == expected


def test_another_separator_and_another_control() -> None:
    assert condition_label(parse_condition("CBL_CNN1", sep="_", default_mode="activation")) == (
        "CBL:activation+CNN1:activation"
    )
    assert parse_condition("luciferase", control="luciferase") == ()
    assert condition_label(parse_condition("KLF1+luciferase", control=["luciferase"])) == "KLF1:knockout"


@pytest.mark.parametrize(
    ("label", "mode", "message"),
    [
        ("", None, "cannot read perturbation ''"),
        ("KLF1+", None, "accepted are 'control'"),
        ("KLF1", "boosted", "cannot read perturbation mode 'boosted': accepted are knockout"),
        ("A+B+C", "knockout+activation", "found 3 genes and 2 modes"),
        ("A+A", "knockout+activation", "cannot combine A:activation and A:knockout"),
    ],
)
def test_labels_that_mean_nothing_are_refused(label: str, mode: str | None, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_condition(label, mode)
    assert message in str(caught.value)


@pytest.mark.parametrize("gene", ["", " A", "A+B", "control", "non-targeting"])
def test_a_perturbed_gene_needs_a_name_of_its_own(gene: str) -> None:
    with pytest.raises(DataError, match="cannot perturb"):
        Perturbation(gene, "knockout")


def test_a_perturbation_needs_a_known_mode() -> None:
    with pytest.raises(DataError, match="accepted modes are knockout, knockdown"):
        Perturbation("KLF1", "CRISPRi")


@pytest.mark.parametrize("label", ["KLF1", "KLF1:boosted", ":knockout", "KLF1:knockout+", ""])
def test_only_canonical_labels_are_parsed_as_such(label: str) -> None:
    with pytest.raises(DataError, match="cannot read condition"):
        parse_label(label)


class TestConditionsOf:
    def test_columns_of_our_files(self) -> None:
        obs = pd.DataFrame(
            {"perturbation": ["control", "Cebpa+Gata1"], "perturbation_mode": ["control", "knockout+activation"]},
            index=["a", "b"],
        )
        labels = conditions_of(obs)
        assert labels.to_dict() == {"a": "control", "b": "Cebpa:knockout+Gata1:activation"}
        assert labels.name == "condition"

    def test_columns_of_gears_and_cell_eval(self) -> None:
        gears = pd.DataFrame({"condition": ["ctrl", "A+ctrl", "A+B"]})
        assert list(conditions_of(gears)) == ["control", "A:knockout", "A:knockout+B:knockout"]
        cell_eval = pd.DataFrame({"target_gene": pd.Categorical(["non-targeting", "A"])})
        assert list(conditions_of(cell_eval, default_mode="knockdown")) == ["control", "A:knockdown"]

    def test_modes_may_differ_between_cells_of_one_label(self) -> None:
        obs = pd.DataFrame({"perturbation": ["A", "A", "A"], "perturbation_type": ["CRISPRi", "CRISPRa", None]})
        assert list(conditions_of(obs)) == ["A:knockdown", "A:activation", "A:knockout"]

    def test_without_any_column_every_cell_is_control(self) -> None:
        assert list(conditions_of(pd.DataFrame(index=["a", "b"]))) == ["control", "control"]

    def test_a_condition_column_of_diseases_is_no_perturbation(self) -> None:
        assert find_perturbation_column(pd.DataFrame({"condition": ["healthy", "asthma"]})) is None

    def test_a_named_column_must_exist(self) -> None:
        with pytest.raises(DataError, match=r"column 'guide' .* columns found: 'condition', 'batch'"):
            conditions_of(pd.DataFrame({"condition": ["ctrl"], "batch": [1]}), perturbation_key="guide")

    def test_cells_without_a_label_are_counted(self) -> None:
        with pytest.raises(DataError, match="2 of 3 cells have no label"):
            conditions_of(pd.DataFrame({"perturbation": ["A", None, float("nan")]}))
