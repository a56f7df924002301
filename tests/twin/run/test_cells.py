"""The cells that a run hands back, where it left some out and the file had columns of its own."""

from __future__ import annotations

from typing import Any

import mudata as md
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.twin.run.tiny import TINY

from waddington import twin
from waddington.twin import datasets
from waddington.twin.data import io
from waddington.twin.run import Listener, RunResult

UNLABELLED, UNMEASURED, EMPTY = 7, 5, 100
FIELDS: dict[str, Any] = {name: value for name, value in TINY.items() if name != "n_cells"} | {
    "optimizer": ["Adam"],
    "protocol": "paper",
    "paper_steps": 64,
}


class Heard(Listener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def given() -> md.MuData:
    """Give cells of two modalities; some bear no label, others have no protein, one has no count of any."""
    whole = datasets.simulate(n_cells=240, n_truth_cells=8)
    obs = whole.obs.copy()
    obs["perturbation"] = obs["perturbation"].astype(object)
    obs.iloc[:UNLABELLED, obs.columns.get_loc("perturbation")] = None
    obs["pseudotime"] = np.arange(240.0)
    obs["is_good"] = np.arange(240) % 2 == 0
    with md.set_options(pull_on_update=False):
        made = md.MuData({"rna": whole.mod["rna"].copy(), "protein": whole.mod["protein"][:-UNMEASURED].copy()})
    protein = made.mod["protein"]
    counts = protein.layers["counts"].toarray()
    counts[EMPTY] = 0
    protein.X, protein.layers["counts"] = sparse.csr_matrix(counts), sparse.csr_matrix(counts)
    made.obs = obs.reindex(made.obs_names)
    made.uns["mine"] = {"odd": object()}  # no file can hold this
    made.uns["theirs"] = {"kept": 1}
    made.obs["odd"] = [{"a": 1}] * made.n_obs
    return made


@pytest.fixture(scope="module")
def ran(unpictured_module: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, md.MuData, list[str]]:
    cells, listener = given(), Heard()
    result = twin.run(cells, out=tmp_path_factory.mktemp("run") / "out", listener=listener, **FIELDS)
    return result, cells, listener.said


def test_cells_that_were_left_out_are_there_with_the_reason(ran: tuple[RunResult, md.MuData, list[str]]) -> None:
    result, before, _ = ran
    cells = result.cells
    assert set(cells.obs_names) == set(before.obs_names)
    assert cells.obs["twin_used"].dtype == bool
    out = cells.obs[~cells.obs["twin_used"]]
    assert out["twin_left_out"].value_counts().to_dict() == {
        "no label": UNLABELLED,
        "no surface protein measured": UNMEASURED,
    }
    assert set(out.index) == {*before.obs_names[:UNLABELLED], *before.obs_names[-UNMEASURED:]}
    used = cells.obs["twin_used"].to_numpy()
    assert (np.isnan(cells.obsm["X_twin"]).all(axis=1) == ~used).all()
    assert not np.isnan(cells.obsm["X_twin"][used]).any()
    assert cells.obs.loc[~used, ["split", "stage", "pseudotime", "twin_condition"]].isna().all(axis=None)
    assert cells.obsp["twin_connectivities"][~used].nnz == 0
    assert cells.mod["protein"].n_obs == 240 - UNMEASURED
    rna = before.mod["rna"][cells.mod["rna"].obs_names]
    assert (cells.mod["rna"].X != rna.X).nnz == 0, "the counts of all cells, in place"


def test_the_files_own_columns_stay(ran: tuple[RunResult, md.MuData, list[str]]) -> None:
    result, before, _ = ran
    after, own = result.cells.obs, before.obs.reindex(result.cells.obs_names)
    assert np.array_equal(after["pseudotime_original"], own["pseudotime"])
    assert np.array_equal(after["is_good"].astype(bool), own["is_good"].astype(bool))
    assert after["pseudotime"].max() <= 1
    assert (after["cell_type"].astype(str) == own["cell_type"].astype(str)).all()
    assert any("obs['pseudotime']" in note for note in result.cells.uns["waddington"]["notes"])


def test_what_no_file_can_hold_is_said_by_name(ran: tuple[RunResult, md.MuData, list[str]]) -> None:
    result, _, said = ran
    without = "uns is kept without 1 entry that no file can hold: 'mine'"
    assert said[-2:] == ["cells.h5mu: column 'odd' is kept as text", f"cells.h5mu: {without}"]
    assert without in result.cells.uns["waddington"]["notes"]
    assert result.cells.uns["theirs"] == {"kept": 1}, "what can be written stays"
    assert set(result.cells.obs.loc[result.cells.obs["twin_used"], "odd"]) == {"{'a': 1}"}


def test_the_model_embeds_the_cells_that_were_used(ran: tuple[RunResult, md.MuData, list[str]]) -> None:
    result, before, _ = ran
    used = result.cells[result.cells.obs["twin_used"].to_numpy()].copy()
    assert before.obs_names[EMPTY] in used.obs_names, "a cell without a count has no place among the others, for both"
    found = result.model.get_latent_representation(used)
    np.testing.assert_allclose(found, used.obsm["X_twin"], rtol=0, atol=1e-5)
    assert result.model.agent is None, "an agent of the paper's protocol acts in a space of its own"
    # The file itself serves as well: its counts are the same.
    again = before[used.obs_names].copy()
    np.testing.assert_allclose(result.model.get_latent_representation(again), used.obsm["X_twin"], rtol=0, atol=1e-5)


def test_the_cells_can_be_read_again_as_they_were(ran: tuple[RunResult, md.MuData, list[str]]) -> None:
    result = ran[0]
    read = io.read(result.out / "cells.h5mu")
    used = result.cells.obs[result.cells.obs["twin_used"]]
    assert list(read.obs_names) == list(used.index)
    assert set(read.obs["split"]) == {"train", "test"}
    pd.testing.assert_series_equal(
        read.obs["perturbation"].astype(str), used["perturbation"].astype(str), check_names=False
    )
