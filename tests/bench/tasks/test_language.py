"""Tasks on text: windows, streams and what is remembered of them, groups without decay."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from waddington import bench
from waddington.bench.tasks._language import (
    decayed,
    next_token_loss,
    streamed_problem,
    windowed_problem,
    with_perplexity,
)
from waddington.bench.tasks._networks import TokenLSTM, TokenTransformer
from waddington.errors import ArgumentError, DataError

TEXT = torch.arange(100) % 7
pytestmark = pytest.mark.usefixtures("no_gradients")
SPLITS = {"train": TEXT, "validation": TEXT[:50], "test": TEXT[3:60]}


@pytest.fixture
def no_gradients():
    with torch.no_grad():
        yield


class Uniform(nn.Module):
    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*tokens.shape, 7)


def test_windows_hold_the_next_tokens_and_perplexity_is_the_exponential() -> None:
    found = windowed_problem(Uniform(), lambda m, x: m(x), SPLITS, context=5, batch_size=9, evaluated=4)
    x, y = found.batch(torch.Generator().manual_seed(0), 0)
    assert (x.shape, y.shape) == ((9, 5), (9, 5))
    assert torch.equal(y, (x + 1) % 7)
    measures = found.evaluate(found.model, "validation")
    assert measures == pytest.approx({"loss": math.log(7), "perplexity": 7.0})
    assert with_perplexity(1e9)["perplexity"] < math.inf


def test_arrays_on_disk_are_read_as_tensors_are() -> None:
    arrays = {name: tokens.numpy().astype("uint16") for name, tokens in SPLITS.items()}
    pairs = [
        windowed_problem(Uniform(), lambda m, x: m(x), splits, context=5, batch_size=9, evaluated=4).batch(
            torch.Generator().manual_seed(0), 0
        )
        for splits in (SPLITS, arrays)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True))


def test_a_text_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"cannot use context=60: the validation text has 50 tokens"):
        windowed_problem(Uniform(), lambda m, x: m(x), SPLITS, context=60, batch_size=9, evaluated=4)
    with pytest.raises(ArgumentError, match="cannot use batch_size=20 and length=5: the text has 100 tokens"):
        streamed_problem(TokenLSTM(7, width=4, layers=1), SPLITS, batch_size=20, length=5, clip=None)


def test_a_stream_is_read_on_with_what_is_remembered() -> None:
    model = TokenLSTM(7, width=4, layers=1)
    found = streamed_problem(model, SPLITS, batch_size=2, length=10, clip=None)
    losses = []
    for step in range(2):
        pair = found.batch(torch.Generator(), step)
        losses.append(found.loss(model, pair))
        assert torch.equal(found.loss(model, pair), losses[-1])  # the memory belongs to the step
    logits, _ = model(TEXT.view(2, 50)[:, :20])
    both = F.cross_entropy(logits.flatten(0, 1), TEXT.view(2, 50)[:, 1:21].flatten())
    assert float(sum(losses)) / 2 == pytest.approx(float(both), rel=1e-5)


def test_a_pass_begins_with_an_empty_memory_and_a_state_comes_back() -> None:
    model = TokenLSTM(7, width=4, layers=1)
    first = streamed_problem(model, SPLITS, batch_size=2, length=10, clip=None)
    losses = []
    for step in range(6):
        losses.append(float(first.loss(model, first.batch(torch.Generator(), step))))
        if step == 1:
            kept = {name: value.clone() for name, value in first.state().items()}
    assert losses[4:] == losses[:2]
    assert losses[1] != losses[2]
    second = streamed_problem(model, SPLITS, batch_size=2, length=10, clip=None)
    second.load(kept)
    assert float(second.loss(model, second.batch(torch.Generator(), 2))) == losses[2]


def test_a_transformer_sees_no_later_token() -> None:
    model = TokenTransformer(7, width=8, layers=2, heads=2, context=10).eval()
    tokens = TEXT[:10][None]
    changed = tokens.clone()
    changed[0, 6:] = 0
    first, second = model(tokens), model(changed)
    assert torch.allclose(first[0, :6], second[0, :6])
    assert not torch.allclose(first[0, 6:], second[0, 6:])
    assert float(next_token_loss(first, tokens)) == pytest.approx(math.log(7), rel=0.1)


def test_vectors_are_not_decayed() -> None:
    matrices, vectors = decayed(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)))
    assert [p.ndim for p in matrices["params"]] == [2]
    assert [p.ndim for p in vectors["params"]] == [1, 1, 1]
    assert vectors["weight_decay"] == 0.0


def test_missing_text_is_said(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WADDINGTON_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"'ptb' is not in .*python -m waddington.bench.datasets ptb"):
        bench.get_task("ptb-lstm").problem(0)
    with pytest.raises(ArgumentError, match="wikitext2_valid_test"):
        bench.get_task("ptb-lstm").problem(0, data="wikitext3")
    with pytest.raises(ArgumentError, match="width=6 with heads=4"):
        bench.get_task("char-transformer").problem(0, width=6, data="stand-in")
