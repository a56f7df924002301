"""Tables, texts, sentences and word problems are read as they are published."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch

from waddington.bench.datasets import GLUE_TASKS, final_answer, read_openwebtext
from waddington.bench.datasets.glue import parse_glue
from waddington.bench.datasets.tables import parse_libsvm
from waddington.bench.datasets.text import encode_words, split_letters
from waddington.errors import DataError


def test_libsvm_text_becomes_a_table() -> None:
    table, labels = parse_libsvm(b"-1 1:1 3:0.5 \n+1 2:-2\n\n1 \n", 3)
    assert torch.equal(table, torch.tensor([[1, 0, 0.5], [0, -2, 0], [0, 0, 0]]))
    assert labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize("line", [b"-1 4:1", b"-1 0:1", b"2 1:1", b"-1 1", b"-1 1:x"])
def test_a_line_that_is_none_of_libsvm_is_named(line: bytes) -> None:
    with pytest.raises(DataError, match=r"cannot read (line 2|a line) of a LIBSVM file"):
        parse_libsvm(b"+1 1:1\n" + line, 3)


def test_letters_are_cut_in_order() -> None:
    found = split_letters("abcdefghij")
    assert [len(part) for part in (found.train, found.validation, found.test)] == [8, 1, 1]
    assert "".join(found.tokens[i] for i in (*found.train, *found.validation, *found.test)) == "abcdefghij"


def test_words_are_numbered_by_the_training_text_alone() -> None:
    found = encode_words("a b a\n c\n", "b d\n", "c\n")
    assert found.tokens == ["<eos>", "a", "b", "c", "<unk>"]
    assert found.train.tolist() == [1, 2, 1, 0, 3, 0]
    assert found.validation.tolist() == [2, 4, 0]
    assert found.test.tolist() == [3, 0]


def test_tokens_of_openwebtext_stay_on_disk(tmp_path: Path) -> None:
    (tmp_path / "openwebtext").mkdir()
    for name in ("train", "val"):
        np.arange(10, dtype=np.uint16).tofile(tmp_path / "openwebtext" / f"{name}.bin")
    train, validation = read_openwebtext(tmp_path)
    assert isinstance(train, np.memmap)
    assert validation.tolist() == list(range(10))
    (tmp_path / "openwebtext" / "val.bin").write_bytes(b"\xff\xff\xff\xff")
    with pytest.raises(DataError, match=r"val.bin: it holds token 65535"):
        read_openwebtext(tmp_path)
    (tmp_path / "openwebtext" / "val.bin").write_bytes(b"\1\0\1")
    with pytest.raises(DataError, match="of 3 bytes: accepted are tokens of 16 bits"):
        read_openwebtext(tmp_path)


def test_files_of_glue_are_read_as_they_are() -> None:
    cola = parse_glue('gj04\t1\t\tSay "no.\r\nx\t0\t*\tBad is\n', GLUE_TASKS["CoLA"], "there")
    assert (cola.texts, cola.labels) == ([('Say "no.',), ("Bad is",)], [1.0, 0.0])
    head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    qqp = parse_glue(head + "0\t1\t2\tWhy?\tHow?\t1\n1\tbroken\n2\t3\t4\tA\tB\tx\n", GLUE_TASKS["QQP"], "there")
    assert (qqp.texts, qqp.labels, qqp.skipped) == ([("Why?", "How?")], [1.0], 2)
    score = parse_glue("score\tsentence1\tsentence2\n2.5\tA\tB\nnone\tA\tB\n", GLUE_TASKS["STS-B"], "there")
    assert (score.labels, score.skipped) == ([2.5], 1)
    rte = parse_glue("sentence1\tsentence2\tlabel\nA\tB\tnot_entailment\n", GLUE_TASKS["RTE"], "there")
    assert rte.labels == [1.0]


def test_another_file_is_none_of_glue() -> None:
    with pytest.raises(DataError, match="it has columns a, b; wanted is 'sentence'"):
        parse_glue("a\tb\n1\t2\n", GLUE_TASKS["SST-2"], "there")
    with pytest.raises(DataError, match="no row has its columns and a known label"):
        parse_glue("sentence\tlabel\nFine\n", GLUE_TASKS["SST-2"], "there")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Janet sells 16 - 3 - 4 = <<16-3-4=9>>9 duck eggs a day.\nShe makes 9 * 2 = $<<9*2=18>>18.\n#### 18", "18"),
        ("#### 1,200", "1200.00"),
        ("#### $70,000", "70000"),
        ("#### -5", "-5"),
        ("It is\n#### 42\nQuestion: 7 apples and 8 pears", "42"),
        ("The answer is 1,234.50 dollars.", "1234.5"),
        ("So it takes 3.", "3"),
        ("####.5", ".5"),
        ("no number", None),
        ("####", None),
    ],
)
def test_a_final_answer_is_read_exactly(text: str, answer: str | None) -> None:
    assert final_answer(text) == (None if answer is None else Decimal(answer))
