"""Neighbours in the reference: each cell is searched for once, whoever asks, and never more than its share."""

from __future__ import annotations

import numpy as np
import pytest

from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.embed.reference import Reference
from waddington.twin.preprocess import graph, neighbors
from waddington.twin.preprocess.graph import joint_neighbors
from waddington.twin.preprocess.neighbors import knn_graph, neighbor_table


def spaces_of(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    tables = {"rna": rng.normal(size=(n, 6)), "protein": rng.normal(size=(n, 4))}
    tables["protein"][::7] = np.nan
    return {name: table.astype(np.float32) for name, table in tables.items()}


@pytest.fixture
def pairs(monkeypatch) -> list[int]:
    """Distances that exact searches evaluate, one number for each search."""
    counts: list[int] = []

    def counting(x, *, query=None, **kwargs):
        counts.append(len(x) * len(x if query is None else query))
        return knn_graph(x, query=query, **kwargs)

    monkeypatch.setattr(graph, "knn_graph", counting)
    return counts


def test_a_cell_is_told_its_nearest_reference_cells_but_not_itself():
    spaces, others = spaces_of(60), spaces_of(9, seed=1)
    reference = Reference(spaces, n_neighbors=5, seed=0)
    asked = {name: np.concatenate([others[name], space[20:50]]) for name, space in spaces.items()}
    tables = reference.attach(asked)
    for name, space in spaces.items():
        new, _ = neighbor_table(knn_graph(space, n_neighbors=5, query=others[name]))
        own, _ = neighbor_table(knn_graph(space, n_neighbors=5))
        assert np.array_equal(tables[name], np.concatenate([new, own[20:50]]))
    assert (tables["joint"][9:] != np.arange(20, 50)[:, None]).all()


def test_what_was_told_before_is_told_again():
    spaces, others = spaces_of(60), spaces_of(9, seed=1)
    some = {name: np.concatenate([space[30:], others[name], space[30:33]]) for name, space in spaces.items()}
    asked = {name: np.concatenate([others[name], space]) for name, space in spaces.items()}
    reference = Reference(spaces, n_neighbors=5, seed=0)
    reference.attach(some)
    reference.attach({"rna": asked["rna"]})  # another question: without the protein
    fresh = Reference(spaces, n_neighbors=5, seed=0).attach(asked)
    for name, table in reference.attach(asked).items():
        assert np.array_equal(table, fresh[name])


def test_one_search_serves_the_modality_and_the_joint_graph(pairs):
    spaces = spaces_of(40)
    tables = Reference(spaces, n_neighbors=5, seed=0).attach(spaces)
    assert pairs == [40 * 40, 40 * 40]
    joint, _, _ = joint_neighbors(spaces, n_neighbors=6, query=spaces)
    itself = joint == np.arange(40)[:, None]
    assert itself.any(axis=1).sum() > 30
    kept = [row[row != i][:5] for i, row in enumerate(joint)]
    assert np.array_equal(tables["joint"], kept)


def test_cells_of_a_small_reference_have_empty_places():
    spaces = {"rna": spaces_of(4)["rna"]}
    tables = Reference(spaces, n_neighbors=5, seed=0).attach(spaces)
    assert tables["rna"].shape == tables["joint"].shape == (4, 5)
    assert ((tables["rna"] >= 0).sum(axis=1) == 3).all()


def test_fitting_and_embedding_search_each_cell_once(toy, pairs):
    n, train = len(toy.time), np.arange(len(toy.time)) % 4 != 0
    encoder = TwinEncoder(toy.sizes, embedding_dim=4, joint_dim=4, hidden=8, heads=2, n_neighbors=5)
    encoder.fit(toy.inputs, toy.counts, toy.spaces, train=train, epochs=1, batch_size=64, validation=0.1)
    encoder.embed(toy.inputs, toy.spaces)
    watched = round(0.1 * train.sum())
    searched = n + watched  # validation cells are no reference cells, and are asked for twice
    assert sum(pairs) == len(toy.spaces) * searched * (train.sum() - watched)


def test_work_grows_with_the_cells_once_the_reference_is_full(pairs):
    work = []
    for n in (100, 200, 400):
        pairs.clear()
        spaces = {"rna": spaces_of(n)["rna"]}
        encoder = TwinEncoder({"rna": 6}, n_neighbors=5, max_reference=50, hidden=8, heads=2)
        encoder.fit(spaces, {"rna": np.abs(spaces["rna"])}, epochs=0, validation=0.0)
        encoder.embed(spaces)
        work.append(sum(pairs))
    assert work == [100 * 50, 200 * 50, 400 * 50]


def test_nothing_is_searched_exactly_above_the_threshold(monkeypatch):
    """What is compiled for half a minute is stood in for: it is the way there that is tested."""
    asked: list[tuple[int, int]] = []

    def descend(reference, query, *, k, seed):
        asked.append((len(reference), len(reference if query is None else query)))
        rows = np.arange(asked[-1][1])[:, None]
        return np.tile(np.arange(1.0, k + 1), (len(rows), 1)), (rows + np.arange(1, k + 1)) % len(reference)

    monkeypatch.setattr(neighbors, "EXACT_UP_TO", 50)
    monkeypatch.setattr(neighbors, "_descend", descend)
    monkeypatch.setattr(neighbors, "NearestNeighbors", None)
    spaces = spaces_of(100)
    Reference(spaces, n_neighbors=5, seed=0).attach(spaces)
    present = int(np.isfinite(spaces["protein"]).all(axis=1).sum())
    assert asked == [(100, 100), (present, present)]
