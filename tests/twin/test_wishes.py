"""Seven wishes of somebody who comes from scanpy or scvi-tools: each at most four statements, through `twin` alone."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import mudata as md
import pytest
import torch
from tests.twin.user_cells import simulated

from waddington import twin

PREPARED = "prepared"
WISHES = {
    "embeddings": (
        "raw",
        """
twin.pp.preprocess(mdata)
twin.tl.embed(mdata, epochs=1)
assert mdata.obsm["X_twin"].shape == (mdata.n_obs, 32)
""",
    ),
    "pseudotime": (
        PREPARED,
        """
twin.pp.neighbors(mdata)
twin.tl.pseudotime(mdata, root="time")
assert mdata.obs["pseudotime"].min() == 0
""",
    ),
    "prediction": (
        PREPARED,
        """
predicted = twin.tl.predict(mdata, ["Cebpa:knockout+Gata1:knockout"])
assert set(predicted.layers) == {"effect", "std", "low", "high", "spread"} and not predicted.obs["flagged"].any()
""",
    ),
    "environment": (
        PREPARED,
        """
env = twin.tl.environment(mdata)
observation, info = env.reset(seed=0)
assert env.observation_space.contains(observation)
""",
    ),
    "agent": (
        PREPARED,
        """
agent = twin.tl.train_agent(mdata, optimizer=torch.optim.RAdam, total_timesteps=48, n_envs=2)
assert type(agent.policy.optimizer) is torch.optim.RAdam
""",
    ),
    "landscape": (
        PREPARED,
        """
axes = twin.pl.landscape(mdata, color="cell_type", basis="plane", save=folder + "/landscape.png")
assert list(axes) == ["surface", "map"]
""",
    ),
    "saving": (
        "raw",
        """
model = twin.Twin(mdata)
model.train(max_epochs=1)
model.save(folder + "/model")
assert "knockout" in repr(twin.Twin.load(folder + "/model").predict("Cebpa:knockout").obs_names)
""",
    ),
}


@pytest.fixture(scope="module")
def everything() -> md.MuData:
    """Give cells without a split, so that all of them are learned from."""
    mdata = simulated(n_cells=400)
    twin.pp.preprocess(mdata)
    twin.tl.embed(mdata, epochs=1, embedding_dim=8, joint_dim=8)
    mdata.obs["pseudotime"] = mdata.obs["true_pseudotime"]
    mdata.obsm["plane"] = mdata.obsm["X_twin"][:, :2]
    return mdata


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_takes_four_statements(everything: md.MuData, tmp_path: Path, wish: str) -> None:
    start, script = WISHES[wish]
    tree = ast.parse(script)
    assert len(tree.body) <= 4
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    mdata = simulated(n_cells=400) if start == "raw" else everything.copy()
    if wish == "pseudotime":
        del mdata.obs["pseudotime"]
    names: dict[str, Any] = {"twin": twin, "mdata": mdata, "folder": str(tmp_path), "torch": torch}
    exec(script, names)
