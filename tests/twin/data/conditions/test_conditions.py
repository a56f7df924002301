"""Labels of all conventions are read into one form, which can be written and read back."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import DataError, UnsupportedError
from waddington.twin.data.conditions import (
    MODES,
    Perturbation,
    condition_columns,
    condition_label,
    conditions_of,
    find_perturbation_column,
    make_condition,
    parse_condition,
    parse_label,
    resolve_condition,
)

genes = st.text("AbcdN1-.:+() ", min_size=1, max_size=8).map(str.strip)
genes = genes.filter(lambda name: name.casefold() not in {"", "na", "nan"})
genes |= st.sampled_from(["Ca2+", "(+)-JQ1", "LPS+IFNg", "A:knockout", "WT-1", "NT5E", "2i (LIF+MEKi)", "α+β [x]"])
genes |= st.sampled_from(["X@10", "X@", "@", "CD3@CD28", "X @5"])
doses = st.none() | st.floats(1e-300, 1e300) | st.sampled_from([1.0, 10.0, 0.1, 1e20])
conditions = st.dictionaries(genes, st.tuples(st.sampled_from(MODES), doses), max_size=3).map(
    lambda chosen: make_condition(Perturbation(gene, *rest) for gene, rest in chosen.items())
)


@settings(deadline=None, max_examples=60)
@given(conditions)
def test_a_written_condition_reads_back(condition: tuple[Perturbation, ...]) -> None:
    assert parse_label(condition_label(condition)) == condition


@settings(deadline=None, max_examples=100)
@given(conditions)
def test_the_two_columns_of_a_file_read_back(condition: tuple[Perturbation, ...]) -> None:
    label, mode = condition_columns(condition)
    assert parse_condition(label, mode) == condition
    obs = pd.DataFrame({"perturbation": [label, "control"], "perturbation_mode": [mode, "control"]})
    assert list(conditions_of(obs)) == [condition_label(condition), "control"]


names = st.text("AB2+() ", min_size=1, max_size=7).map(str.strip).filter(lambda name: name not in {"", "+"})


@settings(deadline=None, max_examples=150)
@given(st.lists(names, min_size=1, max_size=5, unique=True))
def test_no_label_is_read_as_two_things_unless_each_is_a_name(labels: list[str]) -> None:
    read = dict(zip(labels, conditions_of(pd.DataFrame({"perturbation": labels})), strict=True))
    alone = {edits[0].gene for label in read.values() if len(edits := parse_label(label)) == 1}
    for label, canonical in read.items():
        edits = parse_label(canonical)
        assert edits == (Perturbation(label, "perturbation"),) or {edit.gene for edit in edits} <= alone


@pytest.mark.parametrize(
    "label", ["control", "ctrl", "Ctrl+ctrl", "non-targeting", "non_targeting", "NT", "NTC", "unperturbed", "DMSO"]
)
def test_controls_of_every_convention(label: str) -> None:
    assert parse_condition(label) == ()


@pytest.mark.parametrize(
    ("label", "mode", "expected"),
    [
        ("KLF1", None, "KLF1:perturbation"),
        ("KLF1+ctrl", "CRISPRa", "KLF1:activation"),
        ("ctrl+KLF1", None, "KLF1:perturbation"),
        ("SET+KLF1", "CRISPRi", "KLF1:knockdown+SET:knockdown"),
        ("SET+KLF1", "knockout+activation", "KLF1:activation+SET:knockout"),
        ("KLF1+ctrl", "OE+control", "KLF1:overexpression"),
        ("KLF1:activation+SET", "knockout", "KLF1:activation+SET:knockout"),
        ("KLF1+KLF1", None, "KLF1:perturbation"),
        ("KLF1", "CRISPR", "KLF1:perturbation"),
        ("Ca2+", "drug", "Ca2+:drug"),
        ("KRT8P+", None, "KRT8P+:perturbation"),
        ("(+)-JQ1", None, "(+)-JQ1:perturbation"),
        ("2i (LIF+MEKi+GSK3i)", "drug", "2i (LIF+MEKi+GSK3i):drug"),
        ("LPS+IFNg:cytokine", None, "LPS+IFNg:cytokine"),
        ("control", "control", "control"),
    ],
)
def test_labels_of_every_convention(label: str, mode: str | None, expected: str) -> None:
    assert condition_label(parse_condition(label, mode)) == expected


def test_another_separator_and_another_control() -> None:
    assert condition_label(parse_condition("CBL_CNN1", sep="_", default_mode="activation")) == (
        "CBL:activation+CNN1:activation"
    )
    assert parse_condition("firefly", control="firefly") == ()
    assert condition_label(parse_condition("KLF1+firefly", control=["firefly"])) == "KLF1:perturbation"
    assert parse_condition("NT_1", sep="_") == ()
    modes = condition_label(parse_condition("A_B", "CRISPRi+drug", sep="_"))
    assert modes == "A:knockdown+B:drug"


@pytest.mark.parametrize(
    ("label", "mode", "message"),
    [
        ("", None, "cannot read perturbation ''"),
        ("nan", None, "cannot read perturbation 'nan'"),
        ("KLF1", "boosted", "cannot read perturbation mode 'boosted': accepted are knockout"),
        ("A+B+C", "knockout+activation", "found 3 genes and 2 modes"),
        ("A+A", "knockout+activation", "cannot combine A:activation and A:knockout"),
    ],
)
def test_labels_that_mean_nothing_are_refused(label: str, mode: str | None, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_condition(label, mode)
    assert message in str(caught.value)


@pytest.mark.parametrize("gene", ["", " A", "nan", "None", "control", "non-targeting", "AAVS1", "A:knockout+B"])
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
        # B is named nowhere else, so that the genes have to say that it is a name.
        assert list(conditions_of(gears))[:2] == ["control", "A:perturbation"]
        assert list(conditions_of(gears, genes=["B"]))[2] == "A:perturbation+B:perturbation"
        assert list(conditions_of(gears))[2] == "A+B:perturbation"
        cell_eval = pd.DataFrame({"target_gene": pd.Categorical(["non-targeting", "A"])})
        assert list(conditions_of(cell_eval, default_mode="knockdown")) == ["control", "A:knockdown"]

    def test_modes_may_differ_between_cells_of_one_label(self) -> None:
        obs = pd.DataFrame({"perturbation": ["A", "A", "A"], "perturbation_type": ["CRISPRi", "CRISPRa", None]})
        assert list(conditions_of(obs)) == ["A:knockdown", "A:activation", "A:perturbation"]

    def test_without_any_column_every_cell_is_control(self) -> None:
        assert list(conditions_of(pd.DataFrame(index=["a", "b"]))) == ["control", "control"]

    def test_a_condition_column_of_diseases_is_no_perturbation(self) -> None:
        assert find_perturbation_column(pd.DataFrame({"condition": ["healthy", "asthma"]})) is None

    def test_a_named_column_must_exist(self) -> None:
        with pytest.raises(DataError, match=r"column 'guide' .* columns found: 'condition', 'batch'"):
            conditions_of(pd.DataFrame({"condition": ["ctrl"], "batch": [1]}), perturbation_key="guide")

    def test_cells_without_a_label_are_counted(self) -> None:
        with pytest.raises(DataError, match="4 of 5 cells without a label"):
            conditions_of(pd.DataFrame({"perturbation": ["A", None, float("nan"), "None", " "]}))

    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            (["LPS", "IFNg", "LPS+IFNg"], "IFNg:perturbation+LPS:perturbation"),
            (["LPS", "LPS+IFNg"], "LPS+IFNg:perturbation"),
            (["LPS", "IFNg+ctrl", "LPS+IFNg"], "IFNg:perturbation+LPS:perturbation"),
            (["Ca2+", "JQ1", "Ca2++JQ1"], "Ca2+:perturbation+JQ1:perturbation"),
            (["Ca2+", "control", "Ca2++ctrl"], "Ca2+:perturbation"),
            (["CD4", "CD4+ T cell"], "CD4+ T cell:perturbation"),
        ],
    )
    def test_a_plus_joins_known_names_only(self, labels: list[str], expected: str) -> None:
        assert list(conditions_of(pd.DataFrame({"perturbation": labels})))[-1] == expected

    @pytest.mark.parametrize(
        ("label", "mode", "n_edits"),
        [("BPGM+SAMD1", "CRISPRa", 2), ("BPGM+SAMD1", "drug", 1), ("KRT8P+", "KO", 1), ("(+)-JQ1", "KO", 1)],
    )
    def test_where_a_mode_acts_on_genes_a_plus_joins_symbols(self, label: str, mode: str, n_edits: int) -> None:
        obs = pd.DataFrame({"perturbation": [label, "control"], "perturbation_type": mode})
        assert len(parse_label(conditions_of(obs).iloc[0])) == n_edits
        assert len(parse_label(conditions_of(obs[["perturbation"]], default_mode=mode).iloc[0])) == n_edits

    def test_a_separator_joins_always(self) -> None:
        obs = pd.DataFrame({"perturbation": ["LPS+IFNg", "control"]})
        assert conditions_of(obs, sep="+").iloc[0] == "IFNg:perturbation+LPS:perturbation"

    def test_a_word_that_is_no_mode_leaves_the_default(self) -> None:
        obs = pd.DataFrame({"perturbation": ["control", "A", "B"], "perturbation_type": ["control", "single", "KO"]})
        assert list(conditions_of(obs, default_mode="drug")) == ["control", "A:drug", "B:knockout"]


class TestBareNames:
    measured = ("control", "KLF1:activation", "KLF1:knockdown", "SET:knockdown", "Ca2+:drug")

    @pytest.mark.parametrize(
        ("label", "expected"),
        [
            ("SET", "SET:knockdown"),
            ("Ca2+", "Ca2+:drug"),
            ("SET+KLF1:activation", "KLF1:activation+SET:knockdown"),
            ("GATA1:knockout", "GATA1:knockout"),
            ("control", "control"),
        ],
    )
    def test_a_name_of_one_measured_mode_is_enough(self, label: str, expected: str) -> None:
        assert condition_label(resolve_condition(label, self.measured)) == expected

    def test_a_name_of_two_measured_modes_is_ambiguous(self) -> None:
        with pytest.raises(DataError, match="which 'KLF1' is meant: measured are KLF1:activation and KLF1:knockdown"):
            resolve_condition("KLF1", self.measured)

    def test_a_name_that_was_not_measured_is_named(self) -> None:
        with pytest.raises(UnsupportedError, match="'GATA1': found no cells to learn it from; accepted are Ca2"):
            resolve_condition("GATA1", self.measured)

    @pytest.mark.parametrize(
        ("label", "said"),
        [
            ("SET+GATA1", r"'SET\+GATA1': found no cells to learn 'GATA1' from; accepted"),
            ("SET:knockdown+klf", r"to learn 'klf' from \(nearest: KLF1:activation, KLF1:knockdown\)"),
            ("set", r"'set': found no cells to learn it from \(nearest: SET:knockdown\)"),
        ],
    )
    def test_the_part_that_was_not_measured_is_named_with_its_nearest_whatever_the_case(
        self, label: str, said: str
    ) -> None:
        with pytest.raises(UnsupportedError, match=said):
            resolve_condition(label, self.measured)


def test_a_name_that_ends_in_plus_is_named_where_its_modes_do_not_fit():
    with pytest.raises(DataError, match=r"'Ca2\+' with mode 'knockout\+activation': found 1 gene and 2 modes"):
        parse_condition("Ca2+", "knockout+activation")
