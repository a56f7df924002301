"""A panel of 500 genes keeps its signal: the additive model is read off the profiles that models are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from waddington.twin.evaluate import heldout
from waddington.twin.respond.baselines import Additive
from waddington.twin.respond.measured import Measured
from waddington.twin.run.config import RunConfig
from waddington.twin.run.prepare import prepare, read_cells

pytestmark = pytest.mark.data


@pytest.mark.parametrize(
    ("fields", "least"),
    [({}, 0.7), ({"size_factor_key": "ncounts"}, 0.85), ({"normalization": "none"}, 0.85)],
    ids=["median total", "total of the transcriptome", "the file's X"],
)
def test_additive_doubles_of_k562(data_dir: Path, fields: dict[str, Any], least: float) -> None:
    file = str(data_dir / "perturbseq_norman19" / "norman19_subset.h5ad")
    config = RunConfig.of("default", file=file, protocol="held-out", **fields)
    prepared = prepare(read_cells(config), config)
    truth = heldout.observe(prepared.inputs, prepared.names, prepared.design)
    scores = heldout.average(heldout.score(truth, Additive(Measured.of(prepared.inputs, prepared.design))))
    doubles = scores[(scores["metric"] == "pearson") & (scores["split"] == "combo_seen2")]
    assert float(doubles["value"].iloc[0]) >= least
    said = "taken as given" if prepared.as_given else "counts in the median cell"
    assert any(said in note for note in prepared.notes)
