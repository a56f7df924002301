"""Random numbers of a coordinate and a step: uniform, independent, and the same wherever they are drawn."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.optim import AMVT, AlphaAdam
from waddington.optim.engine.noise import make_salt, random_words, round_stochastically, slice_of, uniform

STEP = torch.tensor(7.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_are_uniform(dtype):
    scalars = uniform(torch.zeros(400, 500), make_salt(STEP, 3, 1), dtype).flatten()
    assert scalars.dtype == dtype
    assert scalars.min() >= 0.0
    assert scalars.max() < 1.0
    counts = torch.histc(scalars.double(), bins=50, min=0.0, max=1.0)
    chi_square = ((counts - 4000.0) ** 2 / 4000.0).sum()
    assert 20.0 < chi_square < 95.0  # 49 degrees of freedom


def test_steps_tensors_uses_and_coordinates_are_independent():
    param = torch.zeros(100_000)
    draws = [
        uniform(param, make_salt(step, index, stream), torch.float64)
        for step, index, stream in [(STEP, 3, 1), (STEP + 1, 3, 1), (STEP, 4, 1), (STEP, 3, 2)]
    ]
    draws.append(draws[0].roll(1))
    correlation = torch.corrcoef(torch.stack(draws)).fill_diagonal_(0.0)
    assert correlation.abs().max() < 0.02


def test_a_coordinate_draws_by_its_place_in_the_whole():
    salt = make_salt(STEP, 0, 1)
    whole = uniform(torch.zeros(6, 4), salt, torch.float32)
    assert torch.equal(whole.flatten(), uniform(torch.zeros(24), salt, torch.float32))
    assert uniform(torch.zeros(()), salt, torch.float32).shape == ()
    assert uniform(torch.zeros(0, 3), salt, torch.float32).shape == (0, 3)
    pairs = uniform(torch.zeros(12, dtype=torch.complex64), salt, torch.float32)
    assert torch.equal(pairs.flatten(), whole.flatten())


def slices(places, step=STEP, index=3):
    words = random_words(places, make_salt(step, index, 1))
    return torch.stack([slice_of(words, number) for number in range(8)])


@pytest.mark.parametrize("start", [0, (1 << 32) - 1000, 5 << 32], ids=["first", "across 2^32", "beyond"])
def test_slices_are_uniform_and_independent_of_each_other_and_of_their_neighbours(start):
    found = slices(torch.arange(start, start + 200_000))
    for slice in found:
        counts = torch.bincount(slice >> 8, minlength=256).double()
        expected = len(slice) / 256
        assert 170.0 < ((counts - expected) ** 2 / expected).sum() < 350.0  # 255 degrees of freedom
        low = torch.bincount(slice & 0xFF, minlength=256).double()
        assert 170.0 < ((low - expected) ** 2 / expected).sum() < 350.0
    rows = [*found, *found.roll(1, 1), *found.roll(64, 1)]
    correlation = torch.corrcoef(torch.stack(rows).double()).fill_diagonal_(0.0)
    assert correlation.abs().max() < 0.015


def test_slices_of_other_steps_tensors_and_places_beyond_are_independent():
    places = torch.arange(100_000)
    draws = [
        *slices(places),
        *slices(places, step=STEP + 1),
        *slices(places, index=4),
        *slices(places + (1 << 32)),
        *slices(places + (2 << 32)),
    ]
    correlation = torch.corrcoef(torch.stack(draws).double()).fill_diagonal_(0.0)
    assert correlation.abs().max() < 0.02


@settings(deadline=None, max_examples=60)
@given(st.floats(-(2.0**100), 2.0**100, width=32), st.integers(0, 65535))
def test_rounding_gives_a_neighbour(value, bits):
    x = torch.tensor([value], dtype=torch.float32)
    rounded = round_stochastically(x, torch.tensor([bits], dtype=torch.int32)).float()
    down = (x.view(torch.int32) & -65536).view(torch.float32)
    up = ((x.view(torch.int32) & -65536) + 65536).view(torch.float32)
    assert rounded in (down, up) or x == down


def test_what_bfloat16_holds_is_left_alone():
    values = torch.tensor([0.0, -1.5, 3.0, float("inf"), float("-inf")])
    for bits in (0, 65535):
        assert torch.equal(
            round_stochastically(values, torch.full_like(values, bits, dtype=torch.int32)).float(), values
        )
    assert round_stochastically(torch.tensor([float("nan")]), torch.tensor([60000], dtype=torch.int32)).isnan().all()


def test_the_expectation_of_the_rounded_is_the_value():
    values = torch.tensor([1.001, -0.3333, 1e-20, 12345.678]).repeat_interleave(50_000)
    words = random_words(torch.arange(len(values)), make_salt(STEP, 0, 1))
    for number in range(8):
        rounded = round_stochastically(values, slice_of(words, number))
        mean = rounded.double().view(4, -1).mean(1)
        torch.testing.assert_close(mean, values.double().view(4, -1)[:, 0], rtol=5e-5, atol=0.0)


def drift(cls, **kwargs):
    """A thousand steps far below the resolution of bfloat16 at 1."""
    param = torch.ones(2000, dtype=torch.bfloat16, requires_grad=True)
    optimizer = cls([param], lr=1e-4, **kwargs)
    for _ in range(1000):
        param.grad = torch.ones_like(param)
        optimizer.step()
    return 1.0 - param.detach().float().mean().item()


@pytest.mark.parametrize("cls", [AMVT, pytest.param(AlphaAdam, marks=pytest.mark.slow)])
def test_small_steps_of_bfloat16_parameters_add_up_only_with_stochastic_rounding(cls):
    assert drift(cls) == 0.0
    assert drift(cls, stochastic_rounding=True) == pytest.approx(0.1, rel=0.1)
