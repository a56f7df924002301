"""Cells in memory: as good as a file, not changed, and kept for going on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from tests.twin.run.tiny import TINY

from waddington import twin
from waddington.errors import OutputError
from waddington.twin import datasets
from waddington.twin.data import io
from waddington.twin.run import Listener, api
from waddington.twin.run.folder import fingerprint

SMALL: dict[str, Any] = {
    **{name: value for name, value in TINY.items() if name != "n_cells"},
    "optimizer": ["Adam"],
    "protocol": "paper",
    "paper_steps": 64,
}


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    """Give cells as a scanpy user has them: one modality, labels in obs, an own space in obsm."""
    mdata = datasets.simulate(n_cells=240, n_truth_cells=8)
    cells = mdata.mod["rna"].copy()
    cells.obs = mdata.obs.copy()
    cells.obsm["X_mine"] = np.ones((240, 2))
    return cells


def snapshot(cells: ad.AnnData) -> dict[str, Any]:
    """Give what a run must not change."""
    return {
        "X": cells.X.toarray().tobytes() if hasattr(cells.X, "toarray") else cells.X.tobytes(),
        "obs": cells.obs.to_json(),
        "dtypes": cells.obs.dtypes.astype(str).to_dict(),
        "var": list(cells.var.columns),
        "keys": [list(part) for part in (cells.obsm, cells.layers, cells.uns, cells.obsp, cells.varm)],
    }


@pytest.mark.slow  # test_cells.py runs cells in memory at once, and how they are read and kept is asked below
@pytest.mark.usefixtures("unpictured")
def test_cells_in_memory_are_run_as_their_file_is_and_kept(cells: ad.AnnData, tmp_path: Path) -> None:
    cells = cells.copy()
    cells.obs["perturbation"] = cells.obs["perturbation"].astype(object)
    cells.obs.iloc[:7, cells.obs.columns.get_loc("perturbation")] = None
    before = snapshot(cells)
    result = twin.run(cells, out=str(tmp_path / "out"), **SMALL)
    assert snapshot(cells) == before
    path = tmp_path / "cells.h5ad"
    cells.write_h5ad(path)
    record = json.loads((result.out / "config.json").read_text())
    assert record["data_sha256"] == fingerprint(io.read(path))

    expected = result.cells
    (result.out / "cells.h5mu").unlink()  # what a run goes on from is another file
    again = twin.run(out=tmp_path / "out", resume=True, **SMALL)
    pd.testing.assert_frame_equal(again.metrics, result.metrics)
    pd.testing.assert_frame_equal(again.cells.obs, expected.obs)
    assert set(again.cells.obs_names) == set(cells.obs_names), "those without a label, too"
    assert (~again.cells.obs["twin_used"]).sum() == 7
    assert np.array_equal(again.cells.obsm["X_twin"], expected.obsm["X_twin"], equal_nan=True)
    used = again.cells["rna"].obs_names.isin(again.cells.obs_names[again.cells.obs["twin_used"]])
    assert (again.cells["rna"].obsm["X_mine"][used] == 1).all(), "the user's own space"
    other = cells[:200].copy()
    with pytest.raises(OutputError, match="it holds a run of other settings"):
        twin.run(other, out=tmp_path / "out", resume=True, **SMALL)


@pytest.fixture
def only_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop a run where its cells are read and kept."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "_prepared", stop)


@pytest.mark.usefixtures("only_reading")
def test_modalities_in_memory_and_in_files_go_together(cells: ad.AnnData, tmp_path: Path) -> None:
    mdata = datasets.simulate(n_cells=240, n_truth_cells=8)
    mdata.mod["protein"].write_h5ad(tmp_path / "protein.h5ad")
    with pytest.raises(KeyboardInterrupt):
        twin.run(rna=cells, protein=tmp_path / "protein.h5ad", out=tmp_path / "out")
    kept = md.read_h5mu(tmp_path / "out" / "work" / "cells.h5mu")
    assert set(kept.mod) == {"rna", "protein"}
    assert fingerprint(kept) == (tmp_path / "out" / "work" / "data.txt").read_text()


@pytest.mark.usefixtures("only_reading")
def test_cells_that_no_file_can_hold_are_kept_as_text_and_that_is_said(cells: ad.AnnData, tmp_path: Path) -> None:
    said: list[str] = []

    class Heard(Listener):
        def note(self, text: str) -> None:
            said.append(text)

    odd = cells.copy()
    odd.obs["odd"] = [{"a": 1}] * 240
    with pytest.raises(KeyboardInterrupt):
        twin.run(odd, out=tmp_path / "out", listener=Heard())
    assert said == ["cells.h5mu: column 'odd' is kept as text"]
    kept = md.read_h5mu(tmp_path / "out" / "work" / "cells.h5mu")
    assert set(kept.obs["odd"]) == {"{'a': 1}"}
    assert fingerprint(kept) == (tmp_path / "out" / "work" / "data.txt").read_text(), "so that it can be resumed"
