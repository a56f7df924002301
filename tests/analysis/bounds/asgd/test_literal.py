"""The switch to the letter counts the same on either side, whatever the second moment is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from waddington.analysis.bounds.asgd import literal_changes, literal_counts, literal_factors, literal_takes_large
from waddington.errors import ArgumentError
from waddington.optim import ASGDAdam

second_moments = npst.arrays(
    st.sampled_from([np.float16, np.float32, np.float64]),
    npst.array_shapes(max_dims=3, max_side=20),
    elements=st.floats(0.0, math.inf, width=16),
)


@given(tensors=st.lists(second_moments, min_size=1, max_size=4))
def test_counts_tie_and_the_rate_is_the_large_one(tensors: list[np.ndarray]) -> None:
    assert literal_counts(tensors) == (len(tensors), len(tensors))
    assert literal_takes_large(tensors)


@given(history=st.lists(st.lists(second_moments, min_size=1, max_size=2), min_size=1, max_size=5))
def test_no_history_switches(history: list[list[np.ndarray]]) -> None:
    assert literal_changes(history) == 0


def test_both_factors_are_a_half_and_a_mean_that_is_not_finite_is_not_zero() -> None:
    assert literal_factors(np.array([0.0, 3.0, 1e-30])) == (0.5, 0.5)
    assert literal_factors(np.zeros(3)) == (0.5, 0.5)
    assert all(map(math.isnan, literal_factors(np.array([math.inf]))))


def test_a_rule_that_could_switch_would_be_seen() -> None:
    """With entries below zero the two means differ; of second moments they are refused."""
    for refused in (np.array([1.0, -1.0]), np.zeros(0)):
        with pytest.raises(ArgumentError, match="cannot use a second moment with"):
            literal_factors(refused)


def test_a_run_of_the_literal_optimizer_never_switches() -> None:
    weights = [torch.nn.Parameter(torch.ones(5, 3)), torch.nn.Parameter(torch.ones(4))]
    optimizer = ASGDAdam(weights, lr=1e-4, alpha_min=1e-7, switch="mean", bias_correction=False)
    draw = torch.Generator().manual_seed(0)
    history = []
    for step in range(20):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=draw) * 10.0 ** (step % 7 - 3)
        optimizer.step()
        history.append([optimizer.state[weight]["exp_avg_sq"].double().numpy().copy() for weight in weights])
        assert optimizer.diagnostics()["base_rate"] == pytest.approx(1e-4)
    assert literal_changes(history) == 0
    assert optimizer.diagnostics()["large_rate_fraction"] == 1.0
