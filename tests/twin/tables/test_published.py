"""The published tables as printed, and what can be read off them alone."""

from __future__ import annotations

import math

import pytest

from waddington.twin.evaluate.metrics import PAPER
from waddington.twin.tables import PAPER_ROWS, PUBLISHED_TABLES, published_table


def test_columns_are_those_of_the_paper() -> None:
    assert PAPER == ("accuracy", "precision", "recall", "f1", "auprc", "mse", "rmse", "mae", "r2", "pearson")
    for rows in PUBLISHED_TABLES.values():
        assert set(rows) == {row.name for row in PAPER_ROWS}
        assert {len(values) for values in rows.values()} == {len(PAPER)}


@pytest.mark.parametrize("regime", [1, 2])
def test_recall_is_accuracy_and_rmse_a_mean_of_roots(regime: int) -> None:
    table = published_table(regime)
    assert (table["recall"] == table["accuracy"]).all()
    assert (table["rmse"] < table["mse"].map(math.sqrt)).all()


def test_sentences_of_the_text_that_the_tables_contradict() -> None:
    single, double = published_table(1), published_table(2)
    assert single["mae"].idxmin() == "ASGD-AMSGrad"  # the text: ASGD-Adam has the smallest MAE
    assert double["rmse"].idxmin() == "ASGD-Adam"  # the text: SGD has the lowest RMSE
    assert double["pearson"].idxmax() == "SGD"  # the bold figure is Padam's


def test_other_regimes_were_not_published() -> None:
    assert published_table(4).empty
    assert list(published_table(4).columns) == list(PAPER)
