"""What an encoder is read for: attention among the cells given, and loadings that decode."""

from __future__ import annotations

import numpy as np

from waddington.twin.embed import TwinEncoder
from waddington.twin.embed.reading import attention_weights, joint_loadings

RNG = np.random.default_rng(0)
COUNTS = {name: RNG.poisson(3.0, (40, n)).astype(np.float32) for name, n in (("rna", 12), ("atac", 9))}
INPUTS = {name: np.log1p(counts) for name, counts in COUNTS.items()}


def encoder() -> TwinEncoder:
    made = TwinEncoder({"rna": 12, "atac": 9}, embedding_dim=4, joint_dim=4, hidden=8, heads=2, n_neighbors=5)
    made.fit(INPUTS, COUNTS, epochs=0)
    return made


def test_each_cell_attends_to_others_and_weights_follow_the_cells() -> None:
    made = encoder()
    found = attention_weights(made, INPUTS).toarray()
    assert found.shape == (40, 40)
    assert (np.diag(found) == 0).all()
    assert ((found > 0).sum(axis=1) == 5).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    order = RNG.permutation(40)
    shuffled = attention_weights(made, {name: x[order] for name, x in INPUTS.items()}).toarray()
    np.testing.assert_allclose(shuffled, found[np.ix_(order, order)], atol=1e-5)


def test_loadings_are_changes_of_the_logarithm_of_expected_shares() -> None:
    made = encoder()
    base = np.zeros((1, 4), dtype=np.float32)
    moved = base + np.eye(4, dtype=np.float32)[[2]]
    change = np.log(made.decode(moved, "rna")) - np.log(made.decode(base, "rna"))
    change = (change - change.mean()).ravel()
    loading = joint_loadings(made, "rna")[:, 2]
    loading = loading - loading.mean()
    np.testing.assert_allclose(change / np.linalg.norm(change), loading / np.linalg.norm(loading), atol=1e-4)
