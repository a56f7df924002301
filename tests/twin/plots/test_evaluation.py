"""Pictures of an evaluation say what they show."""

from __future__ import annotations

import pandas as pd
import pytest

from waddington.twin import plots


@pytest.fixture
def summary() -> pd.DataFrame:
    """One split with measurable conditions, one without."""
    columns = ["split", "model", "modality", "metric", "conditions", "value", "low", "high", "n"]
    rows = [
        ("combo_seen2", "mean", "rna", "pearson", "all", 0.1, 0.0, 0.2, 9),
        ("combo_seen2", "mean", "rna", "pearson", "measurable", 0.4, 0.3, 0.5, 5),
        ("unseen_single", "mean", "rna", "pearson", "all", 0.0, -0.1, 0.1, 8),
    ]
    return pd.DataFrame(rows, columns=columns)


def test_a_split_is_shown_over_its_measurable_conditions_and_over_all_where_there_is_none(
    summary: pd.DataFrame,
) -> None:
    panels = plots.forest(summary)
    assert {name: panel.get_title(loc="left") or panel.get_title() for name, panel in panels.items()} == {
        "combo_seen2": "combo_seen2 (n = 5)",
        "unseen_single": "unseen_single (n = 8)",
    }
    assert list(plots.forest(summary, conditions="measurable")) == ["combo_seen2"]


def test_intervals_stand_by_split_the_best_supported_first() -> None:
    rows = [("combo_seen1", "none"), ("combo_seen2", "added"), ("combo_seen1", "partial"), ("combo_seen1", "combined")]
    table = pd.DataFrame(rows, columns=["split", "support"]).assign(
        model="mean", modality="rna", interval="normal", features="expressed", level=0.9, coverage=0.9, low=0.8,
        high=0.95, n=3,
    )  # fmt: skip
    panel = plots.calibration(table)["calibration"]
    assert [label.get_text() for label in panel.get_yticklabels()] == [
        "combo_seen1, combined (n = 3)",
        "combo_seen1, partial (n = 3)",
        "combo_seen1, none (n = 3)",
        "combo_seen2, added (n = 3)",
    ]
    assert "mean, RNA" in (panel.get_title(), panel.get_title(loc="left"))
    two = pd.concat([table, table.assign(modality="protein")])
    names = [label.get_text() for label in plots.calibration(two)["calibration"].get_yticklabels()]
    assert names[0].startswith("RNA, combo_seen1")


def test_calibrated_intervals_stand_beside_the_models_own_at_the_same_place() -> None:
    table = pd.DataFrame([("normal", 0.7), ("conformal", 0.9)], columns=["interval", "coverage"]).assign(
        split="combo_seen2", support="added", model="mean", modality="rna", features="expressed", level=0.9, low=0.6,
        high=0.95, n=3,
    )  # fmt: skip
    panel = plots.calibration(table)["calibration"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["combo_seen2, added (n = 3)"]
    dots = [tuple(dot) for drawn in panel.collections if hasattr(drawn, "get_sizes") for dot in drawn.get_offsets()]
    assert {x for x, _ in dots} == {0.7, 0.9}
    assert len({y for _, y in dots}) == 2
