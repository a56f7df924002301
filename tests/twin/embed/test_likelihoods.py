from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from waddington.twin.embed.decoders import CountDecoder, make_decoder
from waddington.twin.embed.likelihoods import (
    DEFAULT_LIKELIHOOD,
    LIKELIHOODS,
    bernoulli_nll,
    moment_dispersion,
    negative_binomial_nll,
    poisson_nll,
)


@given(count=st.integers(0, 500), mean=st.floats(0.01, 500), dispersion=st.floats(0.1, 100))
@settings(deadline=None, max_examples=40)
def test_likelihoods_are_those_of_scipy(count, mean, dispersion):
    counts = torch.tensor([[float(count)]], dtype=torch.float64)
    log_mean = torch.tensor([[mean]], dtype=torch.float64).log()
    log_dispersion = torch.tensor([dispersion], dtype=torch.float64).log()
    expected = {
        negative_binomial_nll: -stats.nbinom.logpmf(count, dispersion, dispersion / (dispersion + mean)),
        poisson_nll: -stats.poisson.logpmf(count, mean),
        bernoulli_nll: -np.log(-np.expm1(-mean)) if count > 0 else mean,
    }
    for nll, value in expected.items():
        assert nll(counts, log_mean, log_dispersion).item() == pytest.approx(value, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", sorted(LIKELIHOODS))
def test_the_expected_count_is_the_best_guess(name):
    counts = torch.poisson(torch.full((4000, 1), 0.7), generator=torch.Generator().manual_seed(0))
    log_mean = torch.zeros(1, requires_grad=True)
    for _ in range(200):
        loss = LIKELIHOODS[name](counts, log_mean.expand_as(counts), torch.tensor([4.6])).mean()
        (gradient,) = torch.autograd.grad(loss, log_mean)
        log_mean = (log_mean - gradient).detach().requires_grad_()
    assert log_mean.exp().item() == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("name", sorted(LIKELIHOODS))
def test_extreme_counts_keep_gradients_finite(name):
    log_mean = torch.tensor([[-18.0, 11.0, 0.0]], requires_grad=True)
    log_dispersion = torch.tensor([4.6, -2.3, 0.0], requires_grad=True)
    LIKELIHOODS[name](torch.tensor([[90000.0, 0.0, 0.0]]), log_mean, log_dispersion).sum().backward()
    assert torch.isfinite(log_mean.grad).all()


def test_moments_recover_the_dispersion():
    rng = np.random.default_rng(0)
    drawn = torch.from_numpy(rng.poisson(20 * rng.gamma(3.0, 1 / 3.0, 50_000)).astype(np.float64))
    assert moment_dispersion(drawn.mean()[None], drawn.var()[None]).item() == pytest.approx(3.0, rel=0.1)
    assert moment_dispersion(torch.tensor([2.0, 0.0]), torch.tensor([1.0, 0.0])).tolist() == pytest.approx([100.0, 0.1])


def test_a_decoder_starts_at_the_mean_shares_and_sources_share_the_counts():
    torch.manual_seed(0)
    decoder = CountDecoder(3, dims={"own": 2, "joint": 4}, likelihood=DEFAULT_LIKELIHOOD["rna"])
    decoder.start(torch.tensor([0.5, 0.3, 0.2]), torch.ones(3))
    shares = decoder.log_share(torch.zeros(1, 2), "own").exp()
    torch.testing.assert_close(shares, torch.tensor([[0.5, 0.3, 0.2]]))
    nll = decoder({"own": torch.randn(5, 2), "joint": torch.randn(5, 4)}, torch.ones(5, 3))
    assert nll.shape == (2, 5, 3)
    assert not CountDecoder(3, dims={"own": 2}, likelihood="poisson").log_dispersion.requires_grad


def test_a_shift_of_the_embedding_is_a_log_fold_change():
    torch.manual_seed(0)
    decoder = CountDecoder(6, dims={"own": 3}, likelihood="poisson")
    a, b = torch.randn(1, 3), torch.randn(1, 3)
    change = [decoder.weights["own"](x) for x in (a, b, a + b)]
    torch.testing.assert_close(change[0] + change[1], change[2])


def test_the_gaussian_is_scipys_and_starts_at_the_moments():
    torch.manual_seed(0)
    values = torch.randn(50, 4) * torch.tensor([0.1, 1.0, 30.0, 0.0]) + torch.tensor([5.0, -2.0, 0.0, 1.0])
    mean, variance = values.mean(dim=0), values.var(dim=0)
    decoder = make_decoder(4, dims={"own": 3}, likelihood="gaussian")
    decoder.start(mean, variance)
    torch.nn.init.zeros_(decoder.weights["own"].weight)
    nll = decoder({"own": torch.randn(50, 3)}, values)[0]
    sd = torch.where(variance > 0, variance.sqrt(), 1.0)
    expected = -stats.norm.logpdf(values.numpy(), mean.numpy(), sd.numpy())
    assert np.allclose(nll.detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(decoder.expect(torch.zeros(2, 3), "own"), mean.expand(2, 4))


def test_noise_has_a_floor():
    decoder = make_decoder(1, dims={"own": 1}, likelihood="gaussian")
    with torch.no_grad():
        decoder.log_noise.fill_(-1e9)
    assert torch.isfinite(decoder({"own": torch.ones(1, 1)}, torch.zeros(1, 1))).all()
