"""Wrong arguments of the tools and of Twin are refused by name, before any long work."""

from __future__ import annotations

import re
from typing import Any

import anndata as ad
import numpy as np
import pytest
from tests.twin.user_cells import one_modality, simulated

from waddington import twin
from waddington.errors import WaddingtonError


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    adata = one_modality(simulated())
    twin.pp.preprocess(adata)
    return adata


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epochs": 1.5}, "cannot use epochs=1.5: epochs must be a whole number from 0"),
        ({"epochs": True}, "cannot use epochs=True"),
        ({"batch_size": 2.5}, "cannot use batch_size=2.5"),
        ({"seed": -1}, "cannot use seed=-1: seed must be a whole number from 0"),
        ({"seed": "a"}, "cannot use seed='a'"),
        ({"device": "cudaX"}, "cannot use device='cudaX': accepted here: cpu"),
        ({"embedding_dim": 3.5}, "cannot use embedding_dim=3.5"),
        ({"use_rep": ["X_pca"]}, "cannot use use_rep ['X_pca']: accepted is a key of obsm, or one by modality"),
    ],
)
def test_of_embed(cells: ad.AnnData, given: dict[str, Any], said: str) -> None:
    with pytest.raises(WaddingtonError, match=re.escape(said)):
        twin.tl.embed(cells, **{"epochs": 1, **given})
    assert "X_twin" not in cells.obsm


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n_pcs": 2.5}, "cannot use n_pcs=2.5: n_pcs must be a whole number from 1"),
        ({"seed": "a"}, "cannot use seed='a'"),
    ],
)
def test_of_preprocess(cells: ad.AnnData, given: dict[str, Any], said: str) -> None:
    with pytest.raises(WaddingtonError, match=re.escape(said)):
        twin.pp.preprocess(cells, **given)


def test_whole_numbers_of_numpy_are_whole_numbers(cells: ad.AnnData) -> None:
    changed = twin.pp.preprocess(cells, n_pcs=np.int64(3), copy=True)
    assert changed is not None
    assert changed.obsm["X_pca"].shape[1] == 3


@pytest.mark.parametrize(
    ("made", "trained", "said"),
    [
        ({"root": "zzz"}, {}, "cannot use root='zzz': nothing here has that name"),
        ({"root": 3}, {}, "cannot use root=3: accepted is text, or None"),
        ({}, {"n_neighbors": 0}, "cannot use n_neighbors=0"),
    ],
)
def test_of_a_twin_before_it_is_trained(made: dict[str, Any], trained: dict[str, Any], said: str) -> None:
    epochs: list[dict[str, Any]] = []
    with pytest.raises(WaddingtonError, match=re.escape(said)):
        twin.Twin(one_modality(simulated()), **made).train(max_epochs=1, progress=epochs.append, **trained)
    assert not epochs


@pytest.mark.parametrize("asked", [None, 3])
def test_of_predict(cells: ad.AnnData, asked: Any) -> None:
    whole = cells.copy()
    whole.obsm["X_mine"] = whole.obsm["X_pca"]
    with pytest.raises(WaddingtonError, match=f"cannot predict {asked}: accepted is a condition or a list of them"):
        twin.tl.predict(whole, asked, use_rep="X_mine")
    nothing = whole[:, ~whole.var["highly_variable"].to_numpy()].copy()
    nothing = whole.copy() if nothing.n_vars == 0 else nothing
    nothing.var["highly_variable"] = False
    with pytest.raises(WaddingtonError, match=re.escape("var['highly_variable'] marks none")):
        twin.tl.predict(nothing, "control", use_rep="X_mine")


def test_of_evaluate(cells: ad.AnnData) -> None:
    with pytest.raises(WaddingtonError, match="cannot evaluate str: accepted is an AnnData"):
        twin.tl.evaluate(cells, "predicted.h5ad")  # type: ignore[arg-type]
