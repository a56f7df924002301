"""The published evaluation, on states by hand."""

from __future__ import annotations

import numpy as np

from waddington.twin.evaluate.metrics import PAPER
from waddington.twin.evaluate.paper import AGAINST_TARGET, PUBLISHED, is_published, paper_split, score_paper

START = np.array([[0.0, 1.0, -1.0, 2.0]], np.float32)
GOAL = np.array([[1.0, 0.0, -2.0, 3.0]], np.float32)


def scores(final: np.ndarray) -> dict[tuple[str, str, str], float]:
    table = score_paper(START, final, GOAL, slices={"rna": slice(0, 2), "all": slice(0, 4)}, table="single")
    assert len(table) == 2 * 2 * len(PAPER)
    return table.set_index(["split", "modality", "metric"])["value"].to_dict()


def test_who_does_nothing_is_best_as_published_and_not_against_the_target() -> None:
    idle, arrived = scores(START), scores(GOAL)
    published, asked = paper_split("single", PUBLISHED), paper_split("single", AGAINST_TARGET)
    assert idle[published, "all", "mse"] == arrived[asked, "all", "mse"] == 0.0
    assert arrived[published, "all", "mse"] == idle[asked, "all", "mse"] == 1.0
    assert arrived[published, "rna", "accuracy"] == arrived[asked, "rna", "accuracy"] == 1.0


def test_a_split_says_how_it_is_scored() -> None:
    assert is_published(paper_split("double (Table III)", PUBLISHED))
    assert not is_published(paper_split("double (Table III)", AGAINST_TARGET))
    assert not is_published("not as published at all")
