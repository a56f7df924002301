"""Cells of any columns and entries get into a file; what changes on the way is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest

from waddington.twin.run.plain import write_cells

N = 6


def cells(**columns: Any) -> md.MuData:
    names = [f"cell{i}" for i in range(N)]
    part = ad.AnnData(np.ones((N, 2), np.float32), obs=pd.DataFrame(index=names))
    with md.set_options(pull_on_update=False):
        made = md.MuData({"rna": part})
    made.obs = pd.DataFrame(columns, index=names)
    return made


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (pd.date_range("2026-01-01", periods=N), [f"2026-01-0{i + 1} 00:00:00" for i in range(N)]),
        (pd.cut(np.arange(N), 2), ["(-0.005, 2.5]"] * 3 + ["(2.5, 5.0]"] * 3),
        (np.array([True, None] * 3, object), ["True", None] * 3),
        ([{"a": 1}] * N, ["{'a': 1}"] * N),
    ],
)
def test_a_column_that_no_file_holds_is_kept_as_text(tmp_path: Path, values: Any, kept: list[str | None]) -> None:
    given = cells(odd=values, fine=np.arange(N))
    before = given.obs.copy()
    said = write_cells(given, tmp_path / "cells.h5mu")
    assert said == ["column 'odd' is kept as text"]
    pd.testing.assert_frame_equal(given.obs, before)
    read = md.read_h5mu(tmp_path / "cells.h5mu")
    assert read.obs["odd"].astype(object).where(read.obs["odd"].notna(), None).tolist() == kept
    assert read.obs["fine"].tolist() == list(range(N))
    assert said[0] in read.uns["waddington"]["notes"]


@pytest.mark.parametrize(
    "values", [np.array([np.nan] * N, object), np.array([None] * N, object), pd.array([pd.NaT] * N)]
)
def test_a_column_of_nothing_stays_one(tmp_path: Path, values: Any) -> None:
    assert write_cells(cells(odd=values), tmp_path / "cells.h5mu") == []
    assert md.read_h5mu(tmp_path / "cells.h5mu").obs["odd"].isna().all()


def test_names_that_no_file_holds_become_texts(tmp_path: Path) -> None:
    given = cells()
    given.mod["rna"].obs = pd.DataFrame([[0, 1]] * N, index=given.obs_names, columns=["3", 3])
    said = write_cells(given, tmp_path / "cells.h5mu")
    assert said == ["column 3 is kept as '3_again'"]
    read = md.read_h5mu(tmp_path / "cells.h5mu")
    assert read.mod["rna"].obs[["3", "3_again"]].iloc[0].tolist() == [0, 1]


def test_other_entries_that_no_file_holds_are_left_out(tmp_path: Path) -> None:
    given = cells()
    given.uns["mine"], given.uns["theirs"] = {"odd": object()}, {"kept": 1}
    given.mod["rna"].obsm["odd"] = pd.DataFrame({"x": [[1]] * N}, index=given.obs_names)
    said = write_cells(given, tmp_path / "cells.h5mu")
    assert said == [
        "uns is kept without 1 entry that no file can hold: 'mine'",
        "obsm is kept without 1 entry that no file can hold: 'odd'",
    ]
    read = md.read_h5mu(tmp_path / "cells.h5mu")
    assert (read.uns["theirs"], "mine" in read.uns, list(read.mod["rna"].obsm)) == ({"kept": 1}, False, [])


def test_what_every_file_holds_is_written_as_it_is(tmp_path: Path) -> None:
    assert write_cells(cells(fine=["a", None] * 3), tmp_path / "cells.h5mu") == []
