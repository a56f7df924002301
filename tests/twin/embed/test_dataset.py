from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from waddington.errors import DataError
from waddington.twin.embed import dataset
from waddington.twin.embed.dataset import (
    CellDataset,
    drop_modalities,
    moments,
    random_masks,
    sample_neighbors,
    shuffled_batches,
)


@given(n=st.integers(1, 200), size=st.integers(2, 70), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=30)
def test_every_row_is_in_one_batch_of_nearly_equal_size(n, size, seed):
    rows = np.arange(n) + 5
    batches = list(shuffled_batches(rows, size, np.random.default_rng(seed)))
    assert np.array_equal(np.sort(np.concatenate(batches)), rows)
    sizes = {batch.size for batch in batches}
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


@given(seed=st.integers(0, 99), fanout=st.integers(1, 8))
@settings(deadline=None, max_examples=30)
def test_sampled_neighbors_are_distinct_real_neighbors(seed, fanout):
    rng = np.random.default_rng(seed)
    table = np.tile(np.arange(6), (10, 1)) + 10
    table[0, 2:] = -1
    drawn = sample_neighbors(table, fanout, rng)
    assert drawn.shape == (10, min(fanout, 6))
    for row, allowed in zip(drawn, table, strict=True):
        real = row[row >= 0]
        assert np.isin(real, allowed).all()
        assert len(set(real)) == real.size == min(fanout, (allowed >= 0).sum())


def test_each_neighbor_is_drawn_equally_often():
    table = np.tile(np.arange(5), (20_000, 1))
    drawn = sample_neighbors(table, 2, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(drawn.ravel()) / 20_000, 0.4, atol=0.02)


@given(seed=st.integers(0, 99), probability=st.floats(0, 1))
@settings(deadline=None, max_examples=30)
def test_dropping_modalities_never_takes_the_last_one(seed, probability):
    rng = np.random.default_rng(seed)
    present = {name: torch.from_numpy((rng.random(30) < 0.7).astype(np.float32)) for name in ("rna", "atac")}
    kept = drop_modalities(present, probability, rng)
    before, after = torch.stack(list(present.values())), torch.stack(list(kept.values()))
    assert (after <= before).all()
    assert ((after.sum(0) > 0) == (before.sum(0) > 0)).all()


def test_masks_hide_the_asked_share():
    mask = random_masks({"rna": (400, 100)}, 0.3, np.random.default_rng(0))["rna"]
    assert mask.float().mean().item() == pytest.approx(0.3, abs=0.01)


def test_moments_are_those_of_numpy_dense_or_sparse():
    x = np.random.default_rng(0).poisson(1.0, size=(50, 7)).astype(np.float32)
    rows = np.arange(3, 45)
    for matrix in (x, sparse.csr_matrix(x)):
        mean, deviation = moments(matrix, rows, chunk=10)
        np.testing.assert_allclose(mean, x[rows].mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(deviation, x[rows].std(axis=0), atol=1e-6)


def test_sparse_and_dense_tables_give_the_same_batches(toy, monkeypatch):
    rows = np.array([5, 1, 7])
    dense = CellDataset(toy.inputs, toy.counts, n_features=toy.sizes)
    monkeypatch.setattr(dataset, "_DENSE_ENTRIES", 0)
    thin = CellDataset({n: sparse.csr_matrix(x) for n, x in toy.inputs.items()}, toy.counts, n_features=toy.sizes)
    for name in toy.inputs:
        assert sparse.issparse(thin.counts[name])
        assert torch.equal(dense.profiles(rows)[name], thin.profiles(rows)[name])
        assert torch.equal(dense.observed(rows)[name], thin.observed(rows)[name])


def test_a_missing_modality_reads_as_zeros_and_absent(toy):
    inputs = {name: x.copy() for name, x in toy.inputs.items()}
    inputs["atac"][:4] = np.nan
    table = CellDataset(inputs, toy.counts, n_features=toy.sizes)
    rows = np.array([0, 10])
    assert table.measured(rows)["atac"].tolist() == [0.0, 1.0]
    assert table.profiles(rows)["atac"][0].abs().sum() == 0.0
    assert table.subset(rows).measured(np.array([0]))["atac"].tolist() == [0.0]


def test_the_fingerprint_sees_a_single_changed_entry(toy):
    one = CellDataset(toy.inputs, toy.counts, n_features=toy.sizes).fingerprint()
    counts = {name: x.copy() for name, x in toy.counts.items()}
    assert CellDataset(toy.inputs, counts, n_features=toy.sizes).fingerprint() == one
    counts["rna"].data[0] += 1
    assert CellDataset(toy.inputs, counts, n_features=toy.sizes).fingerprint() != one


def test_tables_that_do_not_fit_are_refused(toy):
    with pytest.raises(DataError, match="'lipids'"):
        CellDataset({"lipids": toy.inputs["rna"]}, None, n_features=toy.sizes)
    with pytest.raises(DataError, match=r"\(240, 39\); accepted is \(240, 40\)"):
        CellDataset(toy.inputs | {"rna": toy.inputs["rna"][:, 1:]}, None, n_features=toy.sizes)
    with pytest.raises(DataError, match="one number for all"):
        CellDataset(toy.inputs | {"rna": toy.inputs["rna"][1:]}, None, n_features=toy.sizes)
    with pytest.raises(DataError, match="found no 'rna'"):
        CellDataset(toy.inputs, {n: x for n, x in toy.counts.items() if n != "rna"}, n_features=toy.sizes)
