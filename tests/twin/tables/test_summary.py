"""Tables from records: means over seeds, published rows beside, and whom each row resembles."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pandas as pd
import pytest

from waddington.jobs import Record
from waddington.twin.evaluate.metrics import PAPER
from waddington.twin.evaluate.summary import FIXED_POLICIES
from waddington.twin.tables import Tables, nearest_policies, published_table
from waddington.twin.tables.published import PUBLISHED_TABLES
from waddington.twin.tables.summary import About
from waddington.twin.tables.writing import markdown


def record(scores: list[dict[str, Any]], **result: Any) -> Record:
    return Record(
        key="k", kind="tables-agent", label="", spec={}, status="done", result={"scores": scores, **result}, error=None,
        seeds={}, code={}, machine={"host": "here"}, started="", seconds=60.0, attempts=1,
    )  # fmt: skip


def scores(value: float, evaluation: str = "deterministic") -> list[dict[str, Any]]:
    return [
        {"evaluation": evaluation, "scoring": scoring, "modality": "all", "metric": metric, "value": value, "n": 30}
        for scoring in ("as published", "against the target")
        for metric in PAPER
    ]


def about(row: str, seed: int = 0, rates: str = "given", regime: int = 1, lr: float = 1e-4) -> About:
    return About(
        cells="simulated", protocol="paper", regime=regime, rates=rates, row=row, optimizer="Adam", lr=lr, searched=(),
        seed=seed,
    )  # fmt: skip


def made(found: list[tuple[About, Record]], **more: Any) -> Tables:
    return Tables.of(found, tried=pd.DataFrame(), **more)


def test_what_was_measured_along_a_training_stands_with_its_run_as_it_ended() -> None:
    history = {"second_moment_spread": [0.5, 0.25], "hessian_dominance": [None, 0.75], "timesteps": [1, 2]}
    run = made([(about("Adam"), record(scores(0.2), history=history))]).runs.iloc[0]
    assert (run["second_moment_spread"], run["hessian_dominance"]) == (0.25, 0.75)
    assert "timesteps" not in run


def test_means_are_over_seeds_and_the_published_rows_stand_beside() -> None:
    found = [(about("Adam", seed), record(scores(value))) for seed, value in enumerate((0.2, 0.4, 0.6))]
    found.append((about("do nothing", rates="none", lr=0.0), record(scores(0.1))))
    found.append((about("random", rates="none", lr=0.0), record(scores(0.9, "stochastic"))))
    table = made(found).table()
    row = table[(table["row"] == "Adam") & (table["rates"] == "given") & (table["metric"] == "mse")].iloc[0]
    assert (row["mean"], row["sd"], row["n"]) == (pytest.approx(0.4), pytest.approx(0.2), 3)
    assert row["nearest"] == "do nothing"
    # A policy that is not trained acts in its own way in every table; agents as the table says.
    assert set(table[table["rates"] == "none"]["row"]) == {"do nothing", "random"}
    theirs = table[table["rates"] == "published"].pivot_table(index="row", columns="metric", values="mean")
    pd.testing.assert_frame_equal(
        theirs[list(PAPER)].sort_index(), published_table(1).sort_index(), check_names=False, check_like=True
    )
    assert "published" not in set(made(found).table(scoring="against the target")["rates"])


def test_a_run_without_scores_is_counted_and_has_no_part_in_means() -> None:
    found = [
        (about("Adam", 0), record(scores(0.5))),
        (about("Adam", 1), record([], diverged=True)),
        (about("SGD", 0), record(scores(math.nan))),
    ]
    tables = made(found, missing=2)
    table = tables.table(scoring="against the target")
    assert table[table["row"] == "Adam"]["n"].unique().tolist() == [1]
    assert tables.runs["diverged"].tolist() == [False, True, False]
    page = markdown(tables)
    assert "1 run of Adam (simulated, paper) diverged and has no score." in page
    assert "Missing so far: 2 runs." in page
    assert "not measurable" in page.split("| SGD |")[1].splitlines()[0]


def test_names_and_errors_stay_within_their_lines() -> None:
    failed = dataclasses.replace(record([]), status="failed", result=None, error="ValueError: one\ntwo")
    page = markdown(made([(about("a|b"), record(scores(0.5))), (about("SGD"), failed)]))
    assert r"| a\|b | 0.0001 | 0.500 |" in page
    assert "1 run of SGD (simulated, paper) failed (ValueError: one␊two) and has no score." in page


def test_the_nearest_policy_is_that_of_least_distance_in_standard_deviations() -> None:
    # Two metrics, spread 1 and 100: the row is 0 and 0.2 of a spread from B, 1 and 0 from A.
    rows = {"A": (0.0, 0.0), "B": (2.0, 200.0)}
    table = pd.DataFrame(
        [("none", FIXED_POLICIES[at], metric, value)
         for at, values in enumerate(rows.values()) for metric, value in zip(("accuracy", "mse"), values, strict=True)]
        + [("given", "x", "accuracy", 2.0), ("given", "x", "mse", 150.0), ("given", "x", "recall", -1e9)],
        columns=["rates", "row", "metric", "mean"],
    )  # fmt: skip
    found = nearest_policies(table).set_index("row")
    assert found.loc["x", "nearest"] == FIXED_POLICIES[1]
    spread = pd.Series([0.0, 200.0, 150.0]).std(ddof=0)
    assert found.loc["x", "distance"] == pytest.approx(math.sqrt((50 / spread) ** 2 / 2))
    assert found.loc[FIXED_POLICIES[0], "nearest"] == FIXED_POLICIES[1]  # the other one, not itself


def test_rows_without_a_common_metric_have_no_nearest_policy() -> None:
    table = pd.DataFrame(
        [("given", "x", "mse", 1.0), ("given", "y", "mse", 2.0)], columns=["rates", "row", "metric", "mean"]
    )
    assert nearest_policies(table)["nearest"].tolist() == ["", ""]


def test_in_the_published_tables_asgd_is_like_going_to_the_mean() -> None:
    """A pilot found (.735, .98, -.016, 0) for accuracy, MSE, R² and r of going to the mean, others as here."""
    pilot = {
        "go to the mean": {"accuracy": 0.735, "mse": 0.98, "r2": -0.016, "pearson": 0.0},
        "do nothing": {"accuracy": 0.575, "mse": 1.31, "r2": -0.33, "pearson": 0.58},
        "untrained policy": {"accuracy": 0.575, "mse": 2.5, "r2": -1.8, "pearson": 0.39},
    }
    rows = [("none", row, metric, value) for row, values in pilot.items() for metric, value in values.items()]
    rows += [
        ("published", row, metric, value)
        for row, values in PUBLISHED_TABLES["II"].items()
        for metric, value in zip(PAPER, values, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["rates", "row", "metric", "mean"])
    found = nearest_policies(table, metrics=("accuracy", "mse", "r2", "pearson")).set_index(["rates", "row"])["nearest"]
    assert found["published", "ASGD-Adam"] == found["published", "ASGD-AMSGrad"] == "go to the mean"
    assert found["published", "SGD"] == found["published", "Padam"] == "untrained policy"
