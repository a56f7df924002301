"""Who is control, what is missing and what a label means is read from the file, said in notes, or refused."""

from __future__ import annotations

from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from tests.twin.data.io.labelled import Make, counted, labelled, notes

from waddington.errors import ArgumentError, DataError
from waddington.twin.data.io import read


def test_numbered_controls_are_taken_and_counted(make: Make) -> None:
    mdata = read(labelled(make, ["NT-1", "non-targeting_2", "AAVS1", "GATA1", "KLF1"]))
    assert counted(mdata) == {"control": 18, "GATA1:perturbation": 6, "KLF1:perturbation": 6}
    assert "taken as control: 'NT-1' (6 cells), 'non-targeting_2' (6 cells), 'AAVS1' (6 cells)" in notes(mdata)


@pytest.mark.parametrize("keys", [{}, {"perturbation_key": "target_gene"}])
def test_a_column_of_perturbations_without_a_control_is_refused(make: Make, keys: dict[str, Any]) -> None:
    adata = labelled(make, ["NT1", "GATA1"], "target_gene")
    with pytest.raises(DataError) as caught:
        read(adata, **keys)
    assert "found obs['target_gene'], no label of it means control; labels are 'NT1' (15 cells)" in str(caught.value)
    assert "control=" in str(caught.value)
    assert counted(read(adata, **keys, control="NT1")) == {"control": 15, "GATA1:perturbation": 15}


def test_a_column_of_modes_is_not_offered_as_one_of_perturbations(make: Make) -> None:
    adata = labelled(make, ["ctrl", "GATA1"], "guide_call", perturbation_mode=["control", "knockout"])
    assert "perturbation_key='guide_call' reads it" in notes(read(adata))
    assert "obs['perturbation_mode']" not in notes(read(adata))


def test_a_control_without_a_column_is_refused_with_the_columns_that_hold_it(make: Make) -> None:
    with pytest.raises(DataError, match=r"perturbation_key= \(columns with that label: 'guide_call'\)"):
        read(labelled(make, ["ctrl", "GATA1"], "guide_call"), control="ctrl")


def test_a_column_of_conditions_without_a_control_is_left_alone_and_named(make: Make) -> None:
    adata = labelled(make, ["healthy", "asthma"], "condition", stim=["ctrl", "stim", "stim"])
    mdata = read(adata)
    assert counted(mdata) == {"control": 30}
    assert "obs['condition'] is not read as perturbations: no label of it means control ('healthy' (15" in notes(mdata)
    found = "obs['stim'] has a label for control ('stim' (20 cells), 'ctrl' (10 cells))"
    assert f"{found}; perturbation_key='stim' reads it" in notes(mdata)
    assert counted(read(adata, control="healthy")) == {"control": 15, "asthma:perturbation": 15}


@pytest.mark.parametrize("labels", [["control", "A"], ["healthy", "asthma"]])
def test_a_control_that_no_cell_bears_is_refused(make: Make, labels: list[str]) -> None:
    with pytest.raises(DataError, match="cannot take 'luciferace' as control"):
        read(labelled(make, labels, "condition"), control="luciferace")


@pytest.mark.parametrize("missing", [None, np.nan, "nan", "None", ""])
def test_cells_without_a_label_are_left_out_and_counted(make: Make, missing: Any) -> None:
    adata = labelled(make, ["control", missing, "A"])
    mdata = read(adata)
    assert mdata.n_obs == mdata.mod["rna"].n_obs == 20
    assert counted(mdata) == {"control": 10, "A:perturbation": 10}
    assert "10 of 30 cells without a label in obs['perturbation'], left out" in notes(mdata)
    np.testing.assert_array_equal(
        mdata.mod["rna"].layers["counts"].toarray(), adata[mdata.obs_names].X.toarray(), strict=True
    )
    as_control = read(labelled(make, [missing, "A"]), control="nan")
    assert counted(as_control) == {"control": 15, "A:perturbation": 15}


def test_a_column_without_any_label_is_refused(make: Make) -> None:
    with pytest.raises(DataError, match="none of 30 cells has a label"):
        read(labelled(make, [None]))


@pytest.mark.parametrize("label", ["(+)-JQ1", "Ca2+", "KRT8P+", "2i (LIF+MEKi+GSK3i)", "LPS+IFNg"])
def test_a_plus_of_a_name_joins_nothing(make: Make, label: str) -> None:
    mdata = read(labelled(make, ["control", label]))
    assert counted(mdata) == {"control": 15, f"{label}:perturbation": 15}
    assert f"'+' does not join two names in {label!r}" in notes(mdata)


def test_a_plus_joins_measured_genes_and_what_the_caller_says(make: Make) -> None:
    assert "Gene1:perturbation+Gene2:perturbation" in counted(read(labelled(make, ["control", "Gene1+Gene2"])))
    adata = labelled(make, ["control", "A_B"])
    assert "A:perturbation+B:perturbation" in counted(read(adata, combination_separator="_"))
    with pytest.raises(ArgumentError, match="combination_separator"):
        read(adata, combination_separator="")


def test_an_unknown_word_of_mode_is_a_note(make: Make) -> None:
    mdata = read(labelled(make, ["control", "GATA1"], perturbation_type=["control", "single"]))
    assert counted(mdata) == {"control": 15, "GATA1:perturbation": 15}
    assert "no mode of perturbation is called 'single': read as perturbation" in notes(mdata)


def test_a_column_of_modes_that_was_found_is_said_with_its_modes(make: Make) -> None:
    adata = labelled(make, ["control", "GATA1", "KLF1"], perturbation_mode=["", "knockout", "activation"])
    assert "modes from obs['perturbation_mode']: activation, knockout" in notes(read(adata))


def test_a_label_that_begins_like_a_control_is_noted(make: Make) -> None:
    mdata = read(labelled(make, ["control", "control_A172"]))
    assert "begin like a control are read as perturbations: 'control_A172'" in notes(mdata)


@pytest.mark.parametrize("other", ["MAPK26", "map2k6", "MAP-2K6"])
def test_a_name_that_may_be_misspelt_is_noted(make: Make, other: str) -> None:
    said = notes(read(labelled(make, ["control", "MAP2K6", other])))
    assert "names that may be one, misspelt, are read as two perturbations" in said
    assert "MAP2K6 (" in said


def test_families_and_numbered_names_are_no_slips(make: Make) -> None:
    names = ["control", "MAP2K6", "MAP2K3", "C12", "C21"]
    assert "misspelt" not in notes(read(labelled(make, names)))


class TestGuides:
    def both(self, make: Make, name: str) -> md.MuData:
        guides = make(n_features=3, stem="g")
        guides.obs["perturbation"] = ["control", "GATA1", "KLF1"] * 10
        guides.obs["target"] = ["NT-1", "A", "B"] * 10
        rna = make()
        rna.obs["target"] = ["x", "y"] * 15
        with md.set_options(pull_on_update=False):
            return md.MuData({"gex": rna, name: guides})

    @pytest.mark.parametrize("name", ["gdo", "crispr", "gRNA", "sgRNA", "Guide Capture"])
    def test_the_labels_of_a_guide_modality_are_read(self, make: Make, name: str) -> None:
        mdata = read(self.both(make, name))
        assert counted(mdata) == {"control": 10, "GATA1:perturbation": 10, "KLF1:perturbation": 10}
        assert list(mdata.mod) == ["rna"]
        assert f"modality {name!r} holds guides, its columns of cells are read" in notes(mdata)

    @pytest.mark.parametrize("key", ["gdo:perturbation", "gdo:target"])
    def test_a_column_of_one_modality_can_be_named(self, make: Make, key: str) -> None:
        assert counted(read(self.both(make, "gdo"), perturbation_key=key))["control"] == 10

    def test_a_column_is_found_under_the_files_name_of_its_modality(self, make: Make) -> None:
        mdata = read(self.both(make, "gdo"), cell_type_key="gex:target")
        assert set(mdata.obs["cell_type"]) == {"x", "y"}

    def test_a_column_that_no_modality_has_is_refused(self, make: Make) -> None:
        with pytest.raises(DataError, match="gdo:nothing"):
            read(self.both(make, "gdo"), perturbation_key="gdo:nothing")


def test_labels_that_bear_their_modes_are_not_said_to_lack_them() -> None:
    obs = pd.DataFrame({"perturbation": ["control", "A:knockout", "A:drug"] * 10}, index=[f"c{i}" for i in range(30)])
    adata = ad.AnnData(np.ones((30, 3), np.float32), obs=obs)
    said = notes(read(adata))
    assert "2 conditions beside control" in said
    assert "no column of modes" not in said
