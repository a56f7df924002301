"""The Hessian by blocks: by hand, against brute force, and of a small transformer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from analysis.cases import build, dense, loss_of
from waddington.analysis import over_batches
from waddington.analysis.bounds import judge
from waddington.analysis.bounds.alphaadam import BlockStructure, block_structure, dense_hessian, measure_blocks
from waddington.analysis.bounds.alphaadam import sharpness_bounds as bounds_of
from waddington.errors import ArgumentError

HAND = np.array([[2.0, 0.0, 0.1], [0.0, 4.0, 0.0], [0.1, 0.0, 3.0]])
BLOCKS = {"pair": [0, 1], "single": [2]}


class Transformer(nn.Module):
    """One block of causal attention with two heads and a hidden layer on eight tokens: 776 coordinates."""

    def __init__(self, width: int = 8, heads: int = 2, hidden: int = 16, tokens: int = 8, context: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.token, self.place = nn.Embedding(tokens, width), nn.Embedding(context, width)
        self.before, self.between, self.after = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.head = nn.Linear(width, tokens, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.token(x) + self.place.weight
        parts = self.qkv(self.before(h)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        seen = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.out(seen.transpose(1, 2).flatten(-2))
        return self.head(self.after(h + self.down(nn.functional.gelu(self.up(self.between(h))))))


def sentences(count: int, seed: int = 0) -> torch.Tensor:
    """Tokens of which each says the next but for one bit."""
    generator = torch.Generator().manual_seed(seed)
    found = [torch.randint(0, 8, (count,), generator=generator)]
    for _ in range(4):
        found.append((3 * found[-1] + 1 + torch.randint(0, 2, (count,), generator=generator)) % 8)
    return torch.stack(found, dim=1)


def transformer(steps: int = 0, seed: int = 0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Transformer().double()
    text = sentences(16, seed)
    loss = lambda model: nn.functional.cross_entropy(model(text[:, :4]).flatten(0, 1), text[:, 1:].flatten())  # noqa: E731
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
    return model, loss


def test_the_paper_constants_by_hand() -> None:
    found = block_structure(HAND, BLOCKS)
    assert found.centers.tolist() == [3.0, 3.0]
    assert found.spreads == pytest.approx([1.0 / 3.0, 0.0])
    assert found.coupling == pytest.approx(0.1 / 4.0)
    assert (found.negative, found.zero) == (0, 0)
    low, high = found.constants
    assert low == pytest.approx(2.0 / 3.0 * 3.0 - 0.025 * 4.0 / 3.0 * 3.0)  # (1-σ)c_min - ε(1+σ)c_max = 1.9
    assert high == pytest.approx(4.0 / 3.0 * 3.0 * 1.025)
    assert found.allowed_coupling == pytest.approx(0.5)
    assert low <= found.lowest <= found.highest <= high
    lower, upper = bounds_of(found)
    assert all(each.holds for each in lower.assumptions)
    assert upper(1.0) == pytest.approx(high)
    assert lower(7.0) == pytest.approx(-low)
    assert math.isinf(upper.useful_from())  # the largest eigenvalue is below c2


def test_a_block_with_a_negative_eigenvalue_has_no_constant_above_zero() -> None:
    found = block_structure(np.diag([3.0, -1.0, 2.0]), BLOCKS)
    assert found.spreads == pytest.approx([2.0, 0.0])
    assert found.constants[0] < 0.0
    assert found.negative == 1
    broken = {each.name for each in bounds_of(found)[0].assumptions if each.holds is False}
    assert broken == {"eigenvalues of a block near each other", "weak coupling", "positive definite Hessian"}
    downwards = block_structure(np.diag([1.0, -3.0, 2.0]), BLOCKS)
    assert downwards.constants == (-math.inf, math.inf)  # no μ > 0


def test_a_zero_eigenvalue_is_no_small_one() -> None:
    found = block_structure(np.diag([1.0, 1e-18, 2.0]), BLOCKS)
    assert (found.zero, found.negative) == (1, 0)
    assert found.spreads[0] == 1.0
    assert found.allowed_coupling == 0.0
    assert not found.is_positive_definite


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.floats(0.0, 2.0))
def test_every_step_lies_between_the_constants_and_they_enclose_the_spectrum(seed: int, d: int, couple: float) -> None:
    rng = np.random.default_rng(seed)
    cut = int(rng.integers(1, d))
    matrix = rng.normal(size=(d, d))
    matrix = matrix @ matrix.T / d + couple * np.diag(rng.normal(size=d))
    found = block_structure(matrix, {"first": range(cut), "second": range(cut, d)})
    low, high = found.constants
    step = rng.normal(size=d)
    curvature = step @ matrix @ step / (step @ step)
    rounding = 1e-9 * (1.0 + abs(found.highest))
    assert low - rounding <= found.lowest <= curvature + rounding
    assert curvature - rounding <= found.highest <= high + rounding
    if low > 0.0:
        assert found.negative == found.zero == 0


@pytest.mark.parametrize("name", ["mlp", "tied", "attention"])
def test_the_dense_hessian_is_that_of_brute_force(name: str) -> None:
    model, loss = build(name), loss_of(name)
    with sdpa_kernel(SDPBackend.MATH):
        expected = dense(model, loss)[1]
    torch.testing.assert_close(dense_hessian(model, loss), expected, rtol=1e-9, atol=1e-12)


def test_the_dense_hessian_of_batches_and_with_dropout() -> None:
    model, loss = build("mlp"), loss_of("mlp")
    x, y = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)).double(), torch.arange(8) % 3
    batches = over_batches(
        lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1]),
        list(zip(x.split(4), y.split(4), strict=True)),
    )
    whole = dense_hessian(model, lambda model: nn.functional.cross_entropy(model(x), y))
    torch.testing.assert_close(dense_hessian(model, batches), whole, rtol=1e-9, atol=1e-12)
    dropping = build("dropout")
    first = dense_hessian(dropping, loss, mode="train")
    torch.testing.assert_close(first, dense_hessian(dropping, loss, mode="train"))
    assert not torch.allclose(first, dense_hessian(dropping, loss))


def test_a_transformer_is_neither_block_diagonal_nor_positive_definite() -> None:
    model, loss = transformer()
    found = measure_blocks(model, loss)
    assert int(found.sizes.sum()) == 776
    assert found.lowest < -0.1
    assert 250 <= found.negative <= 400
    assert found.coupling > 1.0
    assert (found.spreads >= 1.0).sum() > len(found.names) // 2
    lower, _ = bounds_of(found)
    assert [each.holds for each in lower.assumptions] == [False, False, False, False]
    # along the direction of the smallest eigenvalue the sharpness is negative, whatever the length
    judged = judge(lower, [1.0], [-found.lowest])
    assert not judge(lower, [1.0], [-found.lowest]).confirms
    assert len(judged.violated) == 4


@pytest.mark.slow
def test_a_trained_transformer_is_not_so_either() -> None:
    for seed in range(2):
        found = measure_blocks(*transformer(200, seed))
        assert found.lowest < -1e-3
        assert found.negative > 100
        assert found.coupling > 1.0


def test_what_is_refused(tmp_path) -> None:
    with pytest.raises(ArgumentError, match=r"Hessian of 43 coordinates; accepted: at most limit=20"):
        dense_hessian(build("mlp"), loss_of("mlp"), limit=20)
    with pytest.raises(ArgumentError, match="each of 0 to 2 in one block"):
        block_structure(HAND, {"a": [0, 1]})
    with pytest.raises(ArgumentError, match="no empty block"):
        block_structure(HAND, {"a": [0, 1, 2], "b": []})
    with pytest.raises(ArgumentError, match="not finite and symmetric"):
        block_structure(np.array([[1.0, 2.0], [0.0, 1.0]]), {"a": [0, 1]})
    found = block_structure(HAND, BLOCKS)
    assert BlockStructure.load(found.save(tmp_path / "found.npz")).names == ("pair", "single")
