"""What lies on disk is what was published: counts that the sources state."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bench.real import skip_without

from waddington.bench.datasets import (
    final_answer,
    read_a9a,
    read_glue,
    read_gsm8k,
    read_images,
    read_tiny_shakespeare,
    read_words,
)

pytestmark = pytest.mark.data


def test_mnist(data_dir: Path) -> None:
    skip_without("mnist", data_dir)
    found = read_images("mnist", root=data_dir)
    assert found.train[0].shape == (60000, 1, 28, 28)
    assert found.train[1].bincount()[:4].tolist() == [5923, 6742, 5958, 6131]
    assert found.test[0].shape == (10000, 1, 28, 28)
    assert found.train[0].float().mean() / 255 == pytest.approx(0.1307, abs=1e-4)


def test_cifar10(data_dir: Path) -> None:
    skip_without("cifar10", data_dir)
    found = read_images("cifar10", root=data_dir, train_cases=500, test_cases=50)
    assert (found.train[0].shape, found.test[0].shape) == ((500, 3, 32, 32), (50, 3, 32, 32))
    assert found.train[0].float().mean((0, 2, 3)).div(255).tolist() == pytest.approx([0.49, 0.48, 0.45], abs=0.02)
    assert len(found.train[1].unique()) == 10


def test_a9a(data_dir: Path) -> None:
    skip_without("a9a", data_dir)
    train, test = read_a9a(data_dir)
    assert (train[0].shape, int(train[1].sum())) == ((32561, 123), 7841)
    assert (test[0].shape, int(test[1].sum())) == ((16281, 123), 3846)


def test_tiny_shakespeare(data_dir: Path) -> None:
    skip_without("tinyshakespeare", data_dir)
    found = read_tiny_shakespeare(data_dir)
    assert len(found.train) + len(found.validation) + len(found.test) == 1_115_394
    assert len(found.tokens) == 65


def test_wikitext2_valid_test(data_dir: Path) -> None:
    skip_without("wikitext2_valid_test", data_dir)
    found = read_words("wikitext2_valid_test", data_dir)
    assert (len(found.train) + len(found.validation), len(found.test)) == (217_646, 245_569)


@pytest.mark.parametrize(
    ("task", "train", "development"),
    [("CoLA", 8551, 1043), ("RTE", 2490, 277), ("SST-2", 67349, 872), ("STS-B", 5749, 1500)],
)
def test_glue(data_dir: Path, task: str, train: int, development: int) -> None:
    skip_without(f"glue/{task}", data_dir)
    found = read_glue(task, data_dir)
    assert [len(part.texts) for part in found] == [train, development]
    assert [part.skipped for part in found] == [0, 0]


def test_every_answer_of_gsm8k_is_read(data_dir: Path) -> None:
    skip_without("gsm8k", data_dir)
    train, test = read_gsm8k(data_dir)
    assert (len(train), len(test)) == (7473, 1319)
    for one in (*train, *test):
        written = one.answer.rpartition("#### ")[2].replace(",", "")
        assert str(final_answer(one.answer)) == written.strip()
