"""Doses are read from a column or from labels, in one unit; what is no dose is refused, left out or said."""

from __future__ import annotations

from typing import Any

import anndata as ad
import pytest
from tests.twin.data.io.labelled import Make, counted, labelled, notes

from waddington import twin
from waddington.errors import DataError, UnsupportedError
from waddington.twin.data.conditions import resolve_condition
from waddington.twin.data.io import read
from waddington.twin.data.setup import read_labels

DRUG = ["DMSO", "Dex", "Dex", "Dex", "Vit"]


def treated(make: Make, doses: list[Any], labels: list[str] = DRUG, column: str = "dose", **more: Any) -> ad.AnnData:
    return labelled(make, labels, **{column: doses}, **more)


@pytest.mark.parametrize(
    ("doses", "column", "unit"),
    [
        ([0, 1, 10, 0, 2.5], "dose", ", without a unit"),
        (["", "1 uM", "10µM", "0", "2.5uM"], "dose_value", " in uM"),
        (["5nM", "1", "10", "0", "2.5"], "dose_nM", " in nM"),
        (["0.0E+00", "1.0E+00", "1.0E+01", "0", "2.5"], "dose", ", without a unit"),
    ],
)
def test_doses_are_found_and_zero_is_the_drugs_control(make: Make, doses: list[Any], column: str, unit: str) -> None:
    mdata = read(treated(make, doses, column=column), perturbation_mode="drug")
    assert counted(mdata) == {"control": 12, "Dex@1:drug": 6, "Dex@10:drug": 6, "Vit@2.5:drug": 6}
    assert f"doses from obs[{column!r}]{unit}: 3 doses of 2 labels" in notes(mdata)
    assert "dose 0, taken as control: 'Dex' (6 cells)" in notes(mdata)
    assert counted(read(mdata)) == counted(mdata)
    assert read_labels(read(mdata)).dose_unit == unit.rpartition(" ")[2].removesuffix("unit")


def test_a_named_column_is_read_also_of_one_dose_and_a_found_one_is_not(make: Make) -> None:
    adata = treated(make, [5, 5, 5, 5, 5])
    assert set(counted(read(adata))) == {"control", "Dex:perturbation", "Vit:perturbation"}
    assert "obs['dose'] is not used: no perturbation has two doses in it; dose_key='dose' reads it" in notes(
        read(adata)
    )
    assert set(counted(read(adata, dose_key="dose"))) == {"control", "Dex@5:perturbation", "Vit@5:perturbation"}
    twin.Response.setup_anndata(adata, dose_key="dose")
    assert set(read_labels(adata).condition) == {"control", "Dex@5:perturbation", "Vit@5:perturbation"}


def test_cells_of_unknown_dose_are_left_out_and_drugs_without_doses_stay(make: Make) -> None:
    mdata = read(treated(make, [None, 1, 10, float("nan"), None]))
    assert counted(mdata) == {"control": 6, "Dex@1:perturbation": 6, "Dex@10:perturbation": 6, "Vit:perturbation": 6}
    assert "6 cells without a dose in obs['dose'], left out: 'Dex' (6 cells)" in notes(mdata)
    assert "without a dose in obs['dose'], read as perturbations of no dose: 'Vit' (6 cells)" in notes(mdata)


@pytest.mark.parametrize(
    ("doses", "found"),
    [
        ([0, 1, -10, 0, 2], r"found '-10' \(6 cells\); accepted are numbers from 0"),
        ([0, 1, float("inf"), 0, 2], r"found 'inf' \(6 cells\)"),
        ([0, 1, "1:100", "1;2", 2], r"found '1:100' \(6 cells\), '1;2' \(6 cells\)"),
        ([0, 1, "high", "low", 2], r"found 'high' \(6 cells\), 'low' \(6 cells\)"),
        ([0, "1+2", 1, 3, 2], "found 1 perturbation and 2 doses"),
    ],
)
def test_what_is_no_dose_is_refused_by_name(make: Make, doses: list[Any], found: str) -> None:
    with pytest.raises(DataError, match=found):
        read(treated(make, doses), dose_key="dose")


def test_a_recognised_column_that_cannot_be_read_is_left_alone(make: Make) -> None:
    mdata = read(treated(make, [0, 1, -10, 0, 2]))
    assert counted(mdata)["Dex:perturbation"] == 18
    assert "obs['dose'] is not used as dose" in notes(mdata)


@pytest.mark.parametrize("keys", [{}, {"dose_key": "dose"}])
@pytest.mark.parametrize(
    ("doses", "more", "units"),
    [
        (["", "1uM", "1nM", "0", "1uM"], {}, r"several units, 'uM' \(12 cells\), 'nM' \(6 cells\)"),
        (["", "1uM", "3", "0", "1uM"], {}, r"several units, 'uM' \(12 cells\), 'no unit' \(6 cells\)"),
        (["", "1uM", "3uM", "0", "1uM"], {"dose_unit": ["nM"] * 5}, "its cells say 'uM', and .* beside it 'nM'"),
        ([0, 1, 3, 0, 1], {"dose_unit": ["uM", "uM", "nM", "uM", "uM"]}, r"several units, 'uM' .*, 'nM' \(6 cells\)"),
    ],
)
def test_two_units_are_refused(make: Make, doses: list[Any], more: Any, units: str, keys: dict[str, str]) -> None:
    with pytest.raises(DataError, match=units):
        read(treated(make, doses, **more), **keys)


def test_combinations_take_a_dose_for_each_part_or_one_for_the_drug(make: Make) -> None:
    labels = ["DMSO", "A", "B", "A+B", "A"]
    mdata = read(treated(make, ["1+1", 1, 3, "1+3", 2], labels))
    assert set(counted(mdata)) == {
        *("control", "A@1:perturbation", "A@2:perturbation", "B@3:perturbation"),
        "A@1:perturbation+B@3:perturbation",
    }
    modes = ["control", "knockout", "drug", "knockout+drug", "knockout"]
    mixed = read(treated(make, [0, None, 3, 5, None], labels, perturbation_mode=modes), dose_key="dose")
    assert set(counted(mixed)) == {"control", "A:knockout", "B@3:drug", "A:knockout+B@5:drug"}


def test_labels_may_bear_doses(make: Make) -> None:
    mdata = read(treated(make, [0, 7, 7, 8, 8], ["ctrl", "Dex@1", "Dex@1+Vit@2", "Vit@0", "DMSO@1"]))
    assert set(counted(mdata)) == {"control", "Dex@1:perturbation", "Dex@1:perturbation+Vit@2:perturbation"}
    assert "labels bear doses" in notes(mdata)


MEASURED = ["control", "Dex@1:drug", "Dex@10:drug", "Vit@2:drug", "A:knockout"]


def test_a_bare_name_with_a_dose_takes_the_drugs_mode() -> None:
    assert [str(one) for one in resolve_condition("A+Dex@3", MEASURED)] == ["A:knockout", "Dex@3:drug"]
    assert [str(one) for one in resolve_condition("Vit", MEASURED)] == ["Vit@2:drug"]


@pytest.mark.parametrize(
    ("label", "error", "words"),
    [
        ("Dex", DataError, "measured are Dex@1:drug and Dex@10:drug"),
        ("Dex@10uM", DataError, "cannot read the dose '10uM' of 'Dex'"),
        ("Dex@10uM:drug", DataError, "accepted is a number above 0 in the unit of the data, without it"),
        ("Dex@nan", DataError, "cannot read the dose 'nan'"),
        ("Dex@-1", DataError, "cannot read the dose '-1'"),
        ("A@3", DataError, "'A': it was given without doses; accepted is 'A'"),
        ("Dex@3+Foo", UnsupportedError, "learn 'Foo' from"),
        ("Dex@0", DataError, "a dose of 0 is the control"),
        ("Dax@1", UnsupportedError, r"\(nearest: Dex@1:drug"),
        ("Dex@1+Dex@3", DataError, "accepted is one dose for each drug"),
    ],
)
def test_a_dose_that_cannot_be_meant_is_refused(label: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        resolve_condition(label, MEASURED)
