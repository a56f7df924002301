"""The seven tasks of GLUE that the papers fine-tune on, from GLUE's tab-separated files."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from waddington._checks import check_choice
from waddington.bench.datasets.published import GLUE_FILES, get_data_set
from waddington.bench.datasets.source import find, read_file
from waddington.errors import DataError

__all__ = ["GLUE_TASKS", "GlueTask", "Sentences", "parse_glue", "read_glue"]


@dataclass(frozen=True, kw_only=True)
class GlueTask:
    """How a task's files are read, and what is predicted.

    Attributes
    ----------
    sentences
        Columns of the sentence, or of both: a name, or a number where the file has no header.
    label
        Column of the label.
    labels
        Its values, in the order of the classes; empty for a score from 0 to 5.
    metric
        As the papers report it, beside the loss: ``"accuracy"``, ``"matthews"`` or ``"pearson"``.
    """

    sentences: tuple[str | int, ...]
    label: str | int
    labels: tuple[str, ...] = ("0", "1")
    metric: str = "accuracy"


GLUE_TASKS: Mapping[str, GlueTask] = {
    "CoLA": GlueTask(sentences=(3,), label=1, metric="matthews"),
    "SST-2": GlueTask(sentences=("sentence",), label="label"),
    "MRPC": GlueTask(sentences=("#1 String", "#2 String"), label="Quality"),
    "STS-B": GlueTask(sentences=("sentence1", "sentence2"), label="score", labels=(), metric="pearson"),
    "QQP": GlueTask(sentences=("question1", "question2"), label="is_duplicate"),
    "QNLI": GlueTask(
        sentences=("question", "sentence"), label="label", labels=("entailment", "not_entailment")
    ),
    "RTE": GlueTask(
        sentences=("sentence1", "sentence2"), label="label", labels=("entailment", "not_entailment")
    ),
}  # fmt: skip
"""The tasks by GLUE's names."""


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Sentences, or pairs of them, and their labels.

    Attributes
    ----------
    texts
        A tuple of one or two sentences for each case.
    labels
        Numbers of classes, or scores.
    skipped
        Rows that had too few columns or no known label, as a few of QQP have.
    """

    texts: Sequence[tuple[str, ...]]
    labels: Sequence[float]
    skipped: int = 0


def read_glue(task: str, root: str | os.PathLike[str] | None = None) -> tuple[Sentences, Sentences]:
    """Give a task's training and development sentences; labels of the test sentences were never published.

    Parameters
    ----------
    task
        ``"CoLA"``, ``"SST-2"``, ``"MRPC"``, ``"STS-B"``, ``"QQP"``, ``"QNLI"`` or ``"RTE"``.
    root
        As :func:`~waddington.bench.datasets.data_root` takes it.

    Raises
    ------
    DataError
        The files are not at hand, or are none of this task.
    """
    check_choice("task of GLUE", task, GLUE_TASKS)
    return _glue(task, *find(get_data_set(f"glue/{task}"), root)[1].values())


@functools.cache
def _glue(task: str, *paths: Path) -> tuple[Sentences, Sentences]:
    files = get_data_set(f"glue/{task}").forms[0].files
    assert tuple(file.name for file in files) == GLUE_FILES[task]
    train, development = (
        parse_glue(read_file(file, path).decode("utf-8"), GLUE_TASKS[task], str(path))
        for file, path in zip(files, paths, strict=True)
    )
    return train, development


def parse_glue(content: str, task: GlueTask, place: str) -> Sentences:
    """Read a file of GLUE.

    Parameters
    ----------
    content
        Tab-separated text; quotes are letters like others.
    task
        Whose file it is.
    place
        Where it comes from, for errors.

    Raises
    ------
    DataError
        A column is missing, or no row can be used.
    """
    lines = content.removeprefix("\ufeff").split("\n")
    rows = iter([line.rstrip("\r").split("\t") for line in lines if line.strip()])
    header = next(rows, []) if isinstance(task.label, str) else []
    columns = [_column(name, header, place) for name in (*task.sentences, task.label)]
    texts, labels, skipped = [], [], 0
    for row in rows:
        label = _label(row[columns[-1]], task) if len(row) > max(columns) else None
        if label is None:
            skipped += 1
            continue
        texts.append(tuple(row[column] for column in columns[:-1]))
        labels.append(label)
    if not texts:
        raise DataError(f"cannot use {place}: no row has its columns and a known label; accepted is a file of GLUE")
    return Sentences(texts=texts, labels=labels, skipped=skipped)


def _column(name: str | int, header: Sequence[str], place: str) -> int:
    if isinstance(name, int):
        return name
    if name not in header:
        raise DataError(f"cannot use {place}: it has columns {', '.join(header) or 'none'}; wanted is {name!r}")
    return list(header).index(name)


def _label(text: str, task: GlueTask) -> float | None:
    if task.labels:
        return float(task.labels.index(text)) if text in task.labels else None
    try:
        return float(text)
    except ValueError:
        return None
