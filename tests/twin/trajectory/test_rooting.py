from __future__ import annotations

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest

from waddington.errors import ArgumentError, DataError
from waddington.twin.trajectory.rooting import RootChoice, read_root, root_hint


@pytest.fixture
def mdata() -> md.MuData:
    obs = pd.DataFrame(
        {"cell_type": ["HSC", "HSC", "B", "KLF1"], "perturbation": ["control", "A", "control", "A"]},
        index=["c0", "c1", "c2", "c3"],
    )
    rna = ad.AnnData(np.array([[0, 1], [3, 0], [1, 0], [0, 0]], dtype=np.float32), obs=obs[[]])
    rna.var_names = ["CD34", "KLF1"]
    made = md.MuData({"rna": rna})
    made.obs = obs
    return made


@pytest.mark.parametrize(
    ("root", "kind"), [("c1", "cell"), ("HSC", "cluster"), ("CD34", "gene"), ("cluster:KLF1", "cluster")]
)
def test_a_root_is_found_by_its_name(mdata: md.MuData, root: str, kind: str) -> None:
    choice = read_root(root, mdata)
    assert choice is not None
    assert choice.kind == kind


def test_a_name_with_two_meanings_is_refused_with_both(mdata: md.MuData) -> None:
    with pytest.raises(ArgumentError, match="cluster:KLF1 and gene:KLF1"):
        read_root("KLF1", mdata)


def test_a_name_that_nothing_has_is_refused_with_what_is_like_it(mdata: md.MuData) -> None:
    with pytest.raises(ArgumentError, match="like it are 'CD34'"):
        read_root("CD43", mdata)
    with pytest.raises(ArgumentError, match="nothing here has that name"):
        read_root("gene:HSC", mdata)


def test_times_are_used_where_there_are_any(mdata: md.MuData) -> None:
    assert read_root(None, mdata) is None
    with pytest.raises(DataError, match="no observed time"):
        read_root("time", mdata)
    mdata.obs["time"] = [2.0, 0.0, np.nan, 0.0]
    assert read_root(None, mdata) == RootChoice(kind="time")
    hint = root_hint(read_root(None, mdata), mdata)
    assert hint is not None
    assert hint.cells is not None
    assert hint.cells.tolist() == [False, True, False, True]


def test_what_is_known_of_the_root(mdata: md.MuData) -> None:
    def cells(root: str) -> list[bool]:
        hint = root_hint(read_root(root, mdata), mdata)
        assert hint is not None
        assert hint.cells is not None
        return hint.cells.tolist()

    assert cells("c2") == [False, False, True, False]
    assert cells("HSC") == [True, True, False, False]
    assert cells("control") == [True, False, True, False]
    marker = root_hint(read_root("CD34", mdata), mdata)
    assert marker is not None
    assert marker.score is not None
    assert marker.score.tolist() == [0.0, 3.0, 1.0, 0.0]
    assert root_hint(None, mdata) is None


def test_controls_that_are_not_there_are_refused(mdata: md.MuData) -> None:
    mdata.obs["perturbation"] = "A"
    with pytest.raises(DataError, match="no control cell"):
        read_root("control", mdata)


def test_only_what_the_cells_have_is_advised(mdata: md.MuData) -> None:
    with pytest.raises(ArgumentError) as refused:
        read_root("nothing", mdata)
    assert str(refused.value).endswith(
        "accepted: a cell's barcode, a feature's name, a value of obs['cell_type'] ('B', 'HSC', 'KLF1') or 'control'"
    )
    mdata.obs = pd.DataFrame(index=mdata.obs_names)
    with pytest.raises(ArgumentError) as refused:
        read_root("nothing", mdata)
    assert str(refused.value).endswith("accepted: a cell's barcode or a feature's name")


def test_columns_that_would_serve_are_listed(mdata: md.MuData) -> None:
    columns = {"subtype": ["x", "y", "x", "y"], "age": ["3h", "9h", "3h", "9h"], "barcode": list("abcd")}
    mdata.obs = pd.DataFrame({**columns, "n_counts": [1.5, 2.5, 1.5, 2.5]}, index=mdata.obs_names)
    with pytest.raises(DataError) as refused:
        read_root("time", mdata)
    assert str(refused.value).endswith(
        "a value of a column that cell_type_key= names, such as 'subtype' "
        "or 'time' with a column that time_key= names, such as 'age'"
    )
