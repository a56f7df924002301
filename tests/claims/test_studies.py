"""What studies say of two arms becomes a record, and its judges call an arm better only where it is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from waddington import bench, claims, jobs
from waddington.bench.packing import pack
from waddington.claims.experiments import studies
from waddington.errors import ArgumentError, UnsupportedError


def small(name: str = "one") -> bench.Study:
    arms = {"one": ["AdamW", "SGD"], "two": ["AdamW", "AMSGrad"]}[name]
    return bench.Study.of(
        ["rosenbrock", "quadratic", "paper-quadratic"], arms, size="tiny", seeds=3, trials=2, tuning_seeds=1,
        horizons=["known"], name=name,
    )  # fmt: skip


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "get_study", small)


def row(**changes: Any) -> dict[str, Any]:
    """A contrast in which the first arm is better."""
    pooled = {
        "scale": "factor", "value": 0.8, "low": 0.7, "high": 0.9, "p_holm": 0.01, "n_tasks": 8, "n_seeds": 10,
        "n_contrasts": 2, "mde": 0.1, "worse": [], "reason": "",
    }  # fmt: skip
    return {"first": "A", "second": "B", "metric": "test loss", "pooled": {**pooled, **changes}, "steps": pooled}


def record(*rows: Mapping[str, Any]) -> jobs.Record:
    return jobs.Record(
        key="", kind="", label="", spec={}, status="done", result={"contrasts": list(rows)}, error=None, seeds={},
        code={}, machine={}, started="2026-11-30T00:00:00", seconds=1.0, attempts=1,
    )  # fmt: skip


def test_an_arm_that_is_better_than_every_other_one_is_called_better() -> None:
    found = studies.is_better([record(row(), row(value=0.85))])
    assert found.holds is True
    assert found.words.startswith("at tuned rates A has 0.8 [0.7, 0.9] times B's test loss, over 8 tasks (p = 0.010")
    assert (found.interval, found.detectable) == (bench.statistics.Interval(0.7, 0.9), 0.1)
    assert studies.is_faster([record(row(high=2.0))]).holds is True  # of steps, not of the metric


@pytest.mark.parametrize(
    "changes",
    [
        {"high": 1.01},
        {"p_holm": 0.06},
        {"p_holm": None},
        {"worse": ["digits"]},
        {"scale": "net wins", "value": 0.1, "low": -0.2, "high": 0.4},
        {"scale": "standardized", "value": -0.1, "low": -0.2, "high": 0.01},
    ],
)
def test_what_noise_can_do_is_not_called_better(changes: dict[str, Any]) -> None:
    assert studies.is_better([record(row(), row(**changes))]).holds is False
    assert studies.is_better([record(row()), record(row(**changes))]).holds is False


def test_what_is_counted_is_better_below_zero() -> None:
    counted = row(scale="net wins", value=-0.5, low=-0.7, high=-0.3)
    assert studies.is_better([record(counted)]).holds is True
    assert "net, over 8 tasks" in studies.is_better([record(counted)]).words


def test_one_task_cannot_speak_for_others() -> None:
    assert studies.is_better([record({**row(), "pooled": None})]).holds is None


@pytest.mark.usefixtures("named")
def test_a_summary_is_that_of_the_bench(tmp_path: Path) -> None:
    with bench.Store(tmp_path) as store:
        for name in ("one", "two"):
            bench.conduct(small(name), store)
        comparison = bench.comparison.compare(small(), store)
    (job,) = studies.of_studies(
        {"AdamW": "one", "SGD": "one", "AMSGrad": "two"}, [("SGD", "AdamW"), ("AMSGrad", "AdamW")]
    )
    result = dict(job.run(jobs.Context(tmp_path, job.key)))
    assert json.loads(json.dumps(result)) == result
    horizon = comparison.study.horizons[0]
    first, _ = result["contrasts"]
    (pool,) = comparison.over_tasks(horizon)
    assert pool.pooled is not None
    assert first["pooled"]["value"] == pytest.approx(pool.pooled.mean)
    assert [one["difference"] for one in first["tasks"]] == [row["difference"] for row in comparison.contrasts()]
    assert result["trials"]["AdamW"] == [2, 2]
    assert first["pooled"]["n_contrasts"] == 2


@pytest.mark.usefixtures("named")
def test_records_reach_it_through_the_ledgers_store_and_no_study_is_run(tmp_path: Path) -> None:
    jobs_of = studies.of_studies({"AdamW": "one", "SGD": "one"}, [("SGD", "AdamW")])
    part = claims.Part(name="p", statement="It is.", source="", measurements=jobs_of, judge=studies.is_better)
    claim = claims.Claim(id="A9", paper="000", title="", statement="", source="", parts=(part,))
    with pytest.warns(UserWarning, match="for it failed: .*bench run --study one --out studies/one"):
        (entry,) = claims.run_claims([claim], tmp_path / "without")
    assert entry.verdict is None
    with pytest.raises(UnsupportedError, match="bench run --study one --out studies/one"):
        jobs_of[0].run(jobs.Context(tmp_path / "without", ""))
    with bench.Store(tmp_path / "bench") as store:
        bench.conduct(small(), store)
        pack(store.records(), tmp_path / "file")
    (entry,) = claims.run_claims([claim], tmp_path / "with", records=[tmp_path / "file"])
    assert entry.verdict is not None
    assert claims.pack_claims([claim], tmp_path / "with", tmp_path / "packed") == 1


@pytest.mark.usefixtures("named")
def test_another_study_of_that_name_is_refused(tmp_path: Path) -> None:
    (job,) = studies.of_studies({"AdamW": "one", "SGD": "one"}, [("SGD", "AdamW")])
    other = dataclasses.replace(job, arguments={**job.arguments, "hashes": {"one": "0"}})
    with pytest.raises(ArgumentError, match="accepted: that one"):
        other.run(jobs.Context(tmp_path, other.key))
