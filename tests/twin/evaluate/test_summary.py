from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from waddington.errors import DataError
from waddington.twin.evaluate.summary import COLUMNS, headline, is_baseline, lower_is_better, model_name, summarize


def _metrics(rows: list[tuple[str, str, int, str, float]]) -> pd.DataFrame:
    full = [("held-out", predictor, optimizer, seed, "rna", "test", metric, value)
            for predictor, optimizer, seed, metric, value in rows]  # fmt: skip
    return pd.DataFrame(full, columns=list(COLUMNS))


def test_mean_and_deviation_over_seeds_and_the_best_in_its_direction() -> None:
    table = summarize(
        _metrics(
            [
                ("response", "Adam", 0, "pearson", 0.6),
                ("response", "Adam", 1, "pearson", 0.8),
                ("additive", "none", 0, "pearson", 0.65),
                ("replicate", "none", 0, "pearson", 0.9),
                ("response", "Adam", 0, "mse", 2.0),
                ("additive", "none", 0, "mse", 1.0),
            ]
        )
    ).set_index(["contestant", "metric"])
    assert table.loc[("response · Adam", "pearson"), "mean"] == pytest.approx(0.7)
    assert table.loc[("response · Adam", "pearson"), "sd"] == pytest.approx(np.std([0.6, 0.8], ddof=1))
    assert table.loc[("response · Adam", "pearson"), "best"]
    assert not table.loc[("replicate", "pearson"), "best"]
    assert table.loc[("additive", "mse"), "best"]
    assert not table.loc[("response · Adam", "mse"), "best"]


def test_what_is_not_measurable_is_left_out_and_one_alone_wins_nothing() -> None:
    table = summarize(
        _metrics([("response", "Adam", 0, "pearson", 0.5), ("no change", "none", 0, "pearson", float("nan"))])
    ).set_index("contestant")
    assert table.loc["no change", "n"] == 0
    assert np.isnan(table.loc["no change", "mean"])
    assert not table["best"].any()


def test_equal_means_share_the_first_place() -> None:
    table = summarize(_metrics([("response", "Adam", 0, "r2", 0.5), ("response", "SGD", 0, "r2", 0.5)]))
    assert table["best"].all()


def test_names_and_directions() -> None:
    assert model_name("mean", "none") == "mean"
    assert model_name("agent", "Padam") == "agent · Padam"
    assert is_baseline("no change")
    assert not is_baseline("response")
    assert [lower_is_better(name) for name in ("mse", "rmse", "mae", "r2", "pearson", "accuracy")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match="modality"):
        summarize(_metrics([("mean", "none", 0, "r2", 0.0)]).drop(columns="modality"))


def test_policies_are_told_the_target_and_no_rivals_of_predictors() -> None:
    rows = [("agent", "Adam", 0.9), ("random", "none", 0.1), ("response", "Adam", 0.5), ("pca", "none", 0.4)]
    table = summarize(_metrics([(predictor, optimizer, 0, "pearson", value) for predictor, optimizer, value in rows]))
    assert table.set_index("predictor")["best"].to_dict() == {
        "agent": True, "random": False, "response": True, "pca": False,
    }  # fmt: skip


def test_measurable_conditions_are_shown_where_there_are_any() -> None:
    both = _metrics([("response", "Adam", 0, "pearson", 0.5)])
    metrics = pd.concat(
        [both.assign(conditions="all"), both.assign(conditions="measurable", value=0.9),
         both.assign(conditions="all", modality="atac")], ignore_index=True,
    )  # fmt: skip
    shown = headline(metrics)
    assert shown.set_index("modality")["value"].to_dict() == {"rna": 0.9, "atac": 0.5}
    assert headline(both) is both


def test_averages_over_all_and_over_measurable_conditions_are_never_mixed() -> None:
    one = _metrics([("response", "Adam", 0, "pearson", 0.2)])
    both = pd.concat([one.assign(conditions="all"), one.assign(conditions="measurable", value=0.8)])
    (row,) = summarize(both).itertuples()
    assert (row.mean, row.n) == (0.8, 1)
    apart = summarize(both, by=["conditions", "metric"])
    assert apart["mean"].tolist() == [0.2, 0.8]
