from __future__ import annotations

import numpy as np
import pytest

from waddington.errors import ArgumentError
from waddington.twin.simulate.observation import BatchEffects, NoiseModel, count_fragments, count_messengers, count_tags

N_CELLS = 4000
NOISE = NoiseModel(rna_depth=400.0, atac_depth=20.0, protein_depth=300.0)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def messengers(noise: NoiseModel, amount: np.ndarray) -> np.ndarray:
    amount = np.repeat(amount.astype(np.float32)[:, None], N_CELLS, axis=1)
    soup = amount.mean(axis=1) / amount.mean(axis=1).sum()
    return np.asarray(count_messengers(amount, np.ones_like(amount), soup, noise, rng()).todense())


def test_messengers_are_overdispersed_counts_with_the_mean_asked_for() -> None:
    noise = NoiseModel(rna_depth=400.0, depth_spread=0.0, dropout=0.0, rna_ambient=0.0)
    counts = messengers(noise, np.array([1.0, 3.0, 4.0]))
    np.testing.assert_allclose(counts.mean(axis=0), [50, 150, 200], rtol=0.03)
    np.testing.assert_allclose(counts.var(axis=0), [50 + 50**2 / 4, 150 + 150**2 / 4, 200 + 200**2 / 4], rtol=0.1)
    np.testing.assert_array_equal(counts, np.round(counts))


def test_depth_spreads_around_its_median() -> None:
    totals = messengers(NoiseModel(rna_depth=2000.0, dropout=0.0), np.ones(300)).sum(axis=1)
    assert np.median(totals) == pytest.approx(2000, rel=0.03)
    assert np.log(totals).std() == pytest.approx(0.35, abs=0.03)


def test_dropout_hits_genes_that_are_barely_there() -> None:
    amount = np.concatenate([np.full(50, 0.02), np.full(5, 10.0)])
    kept = messengers(NoiseModel(dropout=0.0), amount)
    lost = messengers(NoiseModel(dropout=0.8), amount)
    assert lost[:, :50].mean() < 0.5 * kept[:, :50].mean()
    assert lost[:, 50:].mean() > 0.95 * kept[:, 50:].mean()


def test_ambient_molecules_reach_cells_that_make_none() -> None:
    amount = np.zeros((2, N_CELLS), dtype=np.float32)
    amount[0] = 1
    soup = np.array([0.5, 0.5], dtype=np.float32)
    clean = NoiseModel(rna_ambient=0.0)
    for noise, expected in ((clean, 0.0), (NoiseModel(rna_ambient=0.1), 0.05)):
        counts = count_messengers(amount, np.ones_like(amount), soup, noise, rng())
        assert counts[:, 1].sum() / counts.sum() == pytest.approx(expected, abs=0.005)


def test_fragments_are_sparse_and_follow_accessibility() -> None:
    opened = np.repeat(np.array([0.1] * 90 + [0.9] * 10, dtype=np.float32)[:, None], N_CELLS, axis=1)
    counts = count_fragments(opened, np.ones_like(opened), np.ones(100, np.float32), NOISE, rng())
    mean = np.asarray(counts.mean(axis=0)).ravel()
    assert mean[90:].mean() / mean[:90].mean() == pytest.approx(9, rel=0.05)
    assert counts.nnz / np.prod(counts.shape) < 0.25


def test_tags_have_a_background_where_there_is_no_protein() -> None:
    amount = np.zeros((2, N_CELLS), dtype=np.float32)
    amount[0] = 1
    background = np.array([0.3, 0.7], dtype=np.float32)
    counts = count_tags(amount, np.ones_like(amount), background, NOISE, rng())
    assert float(counts[:, 1].mean()) == pytest.approx(300 * 0.2 * 0.7 * np.exp(0.5 * (0.35**2 + 0.5**2)), rel=0.06)
    clean = count_tags(amount, np.ones_like(amount), background, NoiseModel(protein_background=0.0), rng())
    assert clean[:, 1].sum() == 0


def test_batches_differ_by_the_spread_asked_for() -> None:
    effects = BatchEffects.draw((3000, 5, 2), 2, 0.2, rng())
    assert np.log(effects.rna).std() == pytest.approx(0.2, rel=0.05)
    assert effects.atac.shape == (5, 2)
    assert (BatchEffects.draw((3, 5, 2), 2, 0.0, rng()).protein == 1).all()


@pytest.mark.parametrize(
    "arguments",
    [
        {"rna_depth": 0.0},
        {"protein_depth": float("nan")},
        {"dropout": 1.5},
        {"rna_ambient": 1.0},
        {"batch_effect": -0.1},
    ],
)
def test_noise_outside_its_range_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(arguments))):
        NoiseModel(**arguments)
