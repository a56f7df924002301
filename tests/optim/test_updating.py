"""Weight decay by its two readings, and clipped updates."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import ArgumentError
from waddington.optim.updating import clip_update, decay


def test_decoupled_decay_is_that_of_torchs_adamw():
    param = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
    before = param.detach().clone()
    param.grad = torch.zeros_like(param)
    torch.optim.AdamW([param], lr=0.1, weight_decay=0.3).step()
    torch.testing.assert_close(before - decay(before, 0.1, 0.3), param.detach(), rtol=1e-15, atol=0.0)


def test_literal_decay_knows_no_rate():
    param = torch.tensor([1.0, -2.0], dtype=torch.float64)
    for rate in (0.0, 1e-3, torch.tensor(0.5)):
        assert torch.equal(decay(param, rate, 0.25, literal=True), torch.tensor([0.25, -0.5], dtype=torch.float64))


def test_the_readings_meet_at_rate_one():
    param = torch.tensor([1.0, -2.0], dtype=torch.float64)
    assert torch.equal(decay(param, 1.0, 0.3), decay(param, 1.0, 0.3, literal=True))


@pytest.mark.parametrize("literal", [False, True])
def test_decay_keeps_shape_and_dtype_and_the_parameter(literal):
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        param = torch.ones(2, 3, dtype=dtype)
        found = decay(param, torch.tensor(0.5), 0.5, literal)
        assert found.shape == (2, 3)
        assert found.dtype == dtype
        assert torch.equal(param, torch.ones(2, 3, dtype=dtype))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=6), st.floats(1e-30, 1e30))
def test_clipped_updates_keep_sign_and_what_is_within_the_bound(values, bound):
    direction = torch.tensor(values, dtype=torch.float64)
    found = clip_update(direction, bound)
    assert bool((found.abs() <= bound).all())
    inside = direction.abs() <= bound
    assert torch.equal(found[inside], direction[inside])
    assert torch.equal(found[~inside], direction[~inside].sign() * bound)
    assert torch.equal(clip_update(found, bound), found)


def test_no_bound_clips_nothing():
    direction = torch.tensor([1e30, -math.inf])
    assert torch.equal(clip_update(direction, math.inf), direction)


@pytest.mark.parametrize("bound", [0.0, -1.0, math.nan])
def test_a_bound_that_is_none_is_refused(bound):
    with pytest.raises(ArgumentError, match=rf"^cannot use bound={bound}: bound must be a number in \(0, inf\]"):
        clip_update(torch.ones(2), bound)
