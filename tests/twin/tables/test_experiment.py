"""The experiment on small sizes: whole, resumed, from records alone, and the same by either update."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from waddington.errors import ArgumentError, DataError, UnknownNameError
from waddington.jobs import Listener, Store
from waddington.twin.evaluate.metrics import PAPER
from waddington.twin.evaluate.summary import FIXED_POLICIES
from waddington.twin.tables import (
    ROWS,
    CellSource,
    Row,
    Tables,
    TablesConfig,
    read_tables,
    run_tables,
    write_tables,
)
from waddington.twin.tables.writing import FILES

CELLS = CellSource.simulated(n_cells=240)
TINY: dict[str, Any] = {
    "cells": (CELLS,), "rows": (ROWS[0], ROWS[5]), "protocols": ("paper",), "regimes": (1,), "seeds": 2, "steps": 128,
    "episodes": 3, "horizon": 12, "net": (8, 8), "n_envs": 4, "batch_size": 32, "encoder_epochs": 1,
}  # fmt: skip


class Killed(BaseException):
    pass


class Counting(Listener):
    """Counts finished jobs, and dies at one of them."""

    def __init__(self, die_at: int | None = None) -> None:
        self.done, self.stages, self.die_at = 0, [], die_at

    def stage(self, title: str, total: int) -> None:
        self.stages.append(title)

    def advance(self, event: Any = None) -> None:
        if event is not None and event.what == "started":
            self.done += 1
            if self.done == self.die_at:
                raise Killed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tables]:
    """Run the smallest experiment once."""
    out = tmp_path_factory.mktemp("tables")
    found = run_tables(TablesConfig(**TINY), out)
    write_tables(found, out)
    return out, found


def test_every_row_stands_in_every_table(whole: tuple[Path, Tables]) -> None:
    out, found = whole
    assert {path.name for path in out.iterdir()} == {*FILES, "work"} - {"search.csv"}
    assert found.runs["status"].unique().tolist() == ["done"]
    assert len(found.runs) == 2 * (2 + len(FIXED_POLICIES))
    for scoring in ("as published", "against the target"):
        for evaluation in ("deterministic", "stochastic"):
            table = found.table(scoring=scoring, evaluation=evaluation)
            ours = table[table["rates"] != "published"]
            assert set(ours["row"]) == {"ASGD-Adam", "Adam", *FIXED_POLICIES}
            assert set(ours["metric"]) == set(PAPER)
            assert (ours["n"] == 2).all()
            assert ours["nearest"].isin(FIXED_POLICIES).all()
    page = (out / "tables.md").read_text()
    assert "| ASGD-Adam, published |  | 0.737 | 0.751 | 0.737 |" in page
    assert "## Single (Table II), simulated, protocol paper, as published, deterministic agents" in page
    read = pd.read_csv(out / "records.csv")
    assert len(read) == len(found.records)


def test_identities_of_the_papers_metrics_hold(whole: tuple[Path, Tables]) -> None:
    _, found = whole
    wide = found.records.pivot_table(
        index=["row", "seed", "evaluation", "scoring", "modality"], columns="metric", values="value"
    )
    np.testing.assert_allclose(wide["recall"], wide["accuracy"])
    assert (wide["rmse"] <= np.sqrt(wide["mse"]) + 1e-12).all()  # a mean of roots, not the root of a mean


def test_evaluation_is_named_and_both_are_recorded(whole: tuple[Path, Tables]) -> None:
    _, found = whole
    acts = found.records.groupby("row")["evaluation"].unique().map(set).to_dict()
    assert acts["Adam"] == {"deterministic", "stochastic"}
    assert acts["untrained policy"] == acts["do nothing"] == acts["go to the mean"] == {"deterministic"}
    assert acts["untrained policy, stochastic"] == acts["random"] == {"stochastic"}


def test_the_literal_rule_never_switches(whole: tuple[Path, Tables]) -> None:
    _, found = whole
    asgd = found.runs[found.runs["row"] == "ASGD-Adam"]
    assert (asgd["large_rate_fraction"] == 1.0).all()
    assert np.allclose(asgd["mean_rate"], 1e-4)


def test_again_nothing_runs_and_more_seeds_run_only_those(whole: tuple[Path, Tables]) -> None:
    out, found = whole
    counting = Counting()
    again = run_tables(TablesConfig(**TINY), out, listener=counting)
    assert counting.done == 0
    pd.testing.assert_frame_equal(again.records, found.records)
    more = read_tables(TablesConfig(**TINY | {"seeds": 3}), out)
    assert more.missing == 2 + len(FIXED_POLICIES)
    pd.testing.assert_frame_equal(more.records, found.records)
    (out.parent / "none" / "work").mkdir(parents=True)
    none = read_tables(TablesConfig(**TINY), out.parent / "none")
    (out.parent / "none" / "search.csv").write_text("of tables that were here before")
    write_tables(none, out.parent / "none")
    page = (out.parent / "none" / "tables.md").read_text()
    assert "No run is recorded." in page
    assert f"Missing so far: {len(found.runs)} runs." in page
    assert not (out.parent / "none" / "search.csv").exists()
    with pytest.raises(DataError, match="it holds no records"):
        read_tables(TablesConfig(**TINY), out / "elsewhere")


@pytest.mark.slow
def test_a_killed_experiment_ends_as_an_undisturbed_one(whole: tuple[Path, Tables], tmp_path: Path) -> None:
    _, found = whole
    config = TablesConfig(**TINY)
    for die_at in (2, 9):
        with pytest.raises(Killed):
            run_tables(config, tmp_path, listener=Counting(die_at))
    some = read_tables(config, tmp_path)
    assert 0 < some.missing < len(found.runs)
    again = run_tables(config, tmp_path)
    pd.testing.assert_frame_equal(again.records, found.records)
    assert again.missing == 0


@pytest.mark.slow
def test_both_updates_give_the_same_records_to_rounding(whole: tuple[Path, Tables], tmp_path: Path) -> None:
    _, found = whole
    other = run_tables(TablesConfig(**TINY | {"update": "autograd", "seeds": 1}), tmp_path)
    mine = found.records[found.records["seed"] == 0].reset_index(drop=True)
    assert mine.drop(columns="value").equals(other.records.drop(columns="value"))
    smooth = mine["metric"].isin(["mse", "rmse", "mae"])
    np.testing.assert_allclose(other.records["value"][smooth], mine["value"][smooth], rtol=2e-3)


@pytest.mark.slow
def test_held_out_is_trained_and_ordered_and_rates_are_searched(tmp_path: Path) -> None:
    config = TablesConfig(
        **TINY
        | {"protocols": ("held-out",), "seeds": 2, "encoders": 1, "given": False, "tuned": True, "trials": 2,
           "rows": (ROWS[5], Row(name="SGD", optimizer="SGD,lr=1e-3")), "anisotropy": True}
    )  # fmt: skip
    found = run_tables(config, tmp_path)
    assert found.tried.groupby("row").size().to_dict() == {"Adam": 2, "SGD": 2}
    best = found.tried.loc[found.tried.groupby("row")["objective"].idxmax()].set_index("row")["lr"]
    tuned = found.runs[found.runs["rates"] == "tuned"]
    assert tuned.groupby("row")["lr"].unique().map(list).to_dict() == {row: [lr] for row, lr in best.items()}
    with Store(tmp_path / "work") as store:
        records = store.records()
    embeddings = [record for record in records if record.kind == "tables-embedding"]
    assert len(embeddings) == 2  # one for both seeds, and one for the search
    agents = [
        one for one in records if one.kind == "tables-agent" and one.spec["policy"] == "Adam" and one.result["scores"]
    ]
    for name in ("second_moment_spread", "gradient_dimensions", "hessian_largest", "hessian_dominance"):
        assert any(value is not None for value in agents[0].result["history"][name]), name
    assert len(agents) == 2


@pytest.mark.slow
def test_a_training_that_diverges_is_said_to(tmp_path: Path) -> None:
    wild = Row(name="wild", optimizer="torch.optim:SGD,lr=1e30")
    found = run_tables(TablesConfig(**TINY | {"rows": (wild,), "seeds": 1}), tmp_path)
    run = found.runs[found.runs["row"] == "wild"].iloc[0]
    assert run["diverged"] or run["status"] == "failed"
    assert "wild" not in set(found.records["row"])
    write_tables(found, tmp_path)
    assert "1 run of wild (simulated, paper)" in (tmp_path / "tables.md").read_text()


def test_cells_are_known_by_what_they_are_and_not_by_where_they_lie(tmp_path: Path) -> None:
    for folder, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cells.h5ad").write_text(text)
    one, two, other = (CellSource.read("x", rna=tmp_path / folder / "cells.h5ad") for folder in "abc")
    assert one == two != other
    assert CellSource.read("x", rna=tmp_path / "a" / "cells.h5ad", counts_layer="raw") != one
    with pytest.raises(DataError, match="there is no such file"):
        CellSource.read("x", file=tmp_path / "none.h5")
    with pytest.raises(UnknownNameError, match="unknown argument of reading 'rnaa'"):
        CellSource.read("x", rnaa=tmp_path)
    with pytest.raises(ArgumentError, match="of no file"):
        CellSource.read("x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": ()}, r"cannot use rows \[\]"),
        ({"rows": (ROWS[0], ROWS[0])}, "of different names"),
        ({"protocols": ("published",)}, "protocols='published'"),
        ({"regimes": (0,)}, "regimes=0"),
        ({"given": False}, "tables of nothing"),
        ({"rows": (Row(name="x", optimizer="Padam,p=2"),)}, "p=2"),
        ({"update": "numpy"}, "update='numpy'"),
        ({"steps": 0}, "steps=0"),
        ({"seeds": 1.5}, "seeds must be a whole number"),
        ({"seeds": 10_001}, r"seeds must be a whole number in \[1, 10000\]"),
        ({"seed": 2**32}, "seed must be a whole number in"),
        ({"regimes": (1, 1)}, r"regimes=\(1, 1\): accepted is each once"),
        ({"regimes": (1.5,)}, "regimes must be a whole number"),
        ({"regimes": 1}, "regimes=1: accepted is a tuple"),
        ({"net": (8, "x")}, "net must be a whole number"),
        ({"net": 8}, "net=8: accepted is a tuple"),
        ({"rows": ("Adam",)}, "accepted is a tuple of Row"),
        ({"rows": (Row(name="", optimizer="Adam"),)}, "of different names"),
        ({"cells": CELLS}, "accepted is a tuple of CellSource"),
        ({"cells": (CellSource.simulated(n_cells=5),)}, "n_cells=5"),
        ({"cells": (CellSource.simulated(n_cells=240.5),)}, "n_cells=240.5"),  # type: ignore[arg-type]
        ({"tuned": True, "lr_grid": ()}, r"tuned=True with lr_grid=\(\)"),
        ({"anisotropy": "no"}, "anisotropy must be one of False, True"),
    ],
)
def test_refuses_before_any_work(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        TablesConfig(**TINY | changes)


def test_defaults_are_the_papers() -> None:
    config = TablesConfig()
    assert (config.steps, config.seeds, config.episodes, config.horizon, config.regimes) == (
        50_000,
        10,
        30,
        1000,
        (1, 2),
    )
    assert (config.net, config.batch_size) == ((256,) * 6, 64)
    assert dataclasses.replace(config, seed=3).evaluation_seeds == tuple(range(3, 13))
    assert config.tuning_seed not in config.evaluation_seeds
