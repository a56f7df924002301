"""A verdict is computed by the first rule that fires, and nobody can write it down."""

from __future__ import annotations

import dataclasses
import json
import math
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from tests.claims.toys import FAIR, FAR, SUM, broken, claim, tossed

from waddington import claims, jobs
from waddington.bench.packing import pack
from waddington.bench.statistics import Interval
from waddington.bench.store import Store
from waddington.claims.report.pictures import picture_of
from waddington.errors import ArgumentError, DataError


def records_of(*parts: claims.Part, **changes: object) -> dict[str, jobs.Record]:
    """Give records of measurements, with changed results."""
    found = {}
    for part in parts:
        for job in part.measurements:
            result = {**tossed(job.seed, **job.arguments), **changes}  # type: ignore[attr-defined]
            found[job.key] = jobs.Record(
                key=job.key, kind="", label="", spec=job.spec, status="done", result=result, error=None, seeds={},
                code={"commit": "abc"}, machine={"system": "Linux", "processor": "x86"}, started="2026-11-30T00:00:00",
                seconds=1.0, attempts=1,
            )  # fmt: skip
    return found


def verdict_of(*parts: claims.Part, records: dict[str, jobs.Record] | None = None) -> str | None:
    return claims.enter(claim(*parts), records or {}).verdict


def test_numbers_that_disagree_contradict_and_those_that_agree_do_not() -> None:
    assert verdict_of(SUM) == "contradicted"
    assert verdict_of(dataclasses.replace(SUM, numbers={**SUM.numbers, **SUM.opposite})) == "reproduced"


def test_records_decide_and_a_changed_record_changes_the_verdict() -> None:
    assert verdict_of(FAIR) is None
    assert verdict_of(FAIR, records=records_of(FAIR)) == "reproduced"
    assert verdict_of(FAIR, records=records_of(FAIR, heads=90)) == "not reproduced"


def test_one_missing_record_leaves_a_part_without_verdict() -> None:
    records = records_of(FAIR)
    records.popitem()
    entry = claims.enter(claim(FAIR), records)
    assert entry.verdict is None
    assert entry.parts[0].missing == 1


def test_a_failed_run_is_no_record() -> None:
    records = {key: dataclasses.replace(one, status="failed") for key, one in records_of(FAIR).items()}
    assert verdict_of(FAIR, records=records) is None


def test_what_was_measured_smaller_is_evidence_and_not_the_verdict() -> None:
    records = records_of(FAR, heads=5)
    entry = claims.enter(claim(FAR), records)
    assert entry.verdict == "needs hardware"
    assert [one.words for one in entry.parts[0].findings] == ["a share of 0.500 heads"]
    need = dataclasses.replace(FAR.need, kind="data")  # type: ignore[type-var]
    assert verdict_of(dataclasses.replace(FAR, need=need), records=records) == "needs data"


def test_what_is_refuted_by_arithmetic_needs_no_hardware() -> None:
    assert verdict_of(dataclasses.replace(FAR, check=SUM.check, numbers=SUM.numbers)) == "contradicted"


def test_a_claim_takes_the_worst_verdict_of_its_parts() -> None:
    records = records_of(FAIR, FAR)
    assert verdict_of(FAIR, FAR, records=records) == "needs hardware"
    assert verdict_of(FAIR, FAR, SUM, records=records) == "contradicted"
    assert verdict_of(FAIR, FAR, records=records_of(FAIR, FAR, heads=0)) == "not reproduced"
    assert verdict_of(FAIR, SUM) == "contradicted"  # whatever the records will say
    assert verdict_of(FAIR, FAR, records=records_of(FAR)) is None


def test_no_verdict_can_be_written_down() -> None:
    for make in (claims.Claim, claims.Part):
        assert "verdict" not in {field.name for field in dataclasses.fields(make)}
        with pytest.raises(TypeError, match="verdict"):
            make(verdict="reproduced")
    entry = claims.enter(claim(SUM), {})
    for thing in (entry, entry.parts[0]):
        with pytest.raises(AttributeError):
            thing.verdict = "reproduced"  # type: ignore[misc]
        with pytest.raises(TypeError):
            dataclasses.replace(thing, verdict="reproduced")


def test_a_part_that_nothing_decides_is_refused() -> None:
    with pytest.raises(ArgumentError, match="neither a check nor a judge nor a need"):
        claims.Part(name="empty", statement="", source="")
    with pytest.raises(ArgumentError, match="go together"):
        dataclasses.replace(FAIR, judge=None, check=SUM.check)
    with pytest.raises(ArgumentError, match="a name of its own"):
        claim(SUM, SUM)


def test_a_row_is_json_with_date_machine_and_commit() -> None:
    row = claims.enter(claim(FAIR, SUM, FAR), records_of(FAIR)).as_json()
    assert json.loads(json.dumps(row)) == row
    fair = row["parts"][0]
    assert (fair["measured_on"], fair["machines"], fair["commits"]) == (["2026-11-30"], ["Linux, x86"], ["abc"])
    assert row["parts"][2]["need"]["kind"] == "hardware"


def test_measurements_are_run_once_and_failures_are_tried_again(tmp_path: Path) -> None:
    fails = dataclasses.replace(FAIR, name="broken", measurements=claims.measurements(broken))
    rows = [claim(FAIR, FAR, fails)]
    said = r"no record of toys\.broken\(\) · seed 0, for it failed: RuntimeError: no coin"
    with pytest.warns(UserWarning, match=said):
        (entry,) = claims.run_claims(rows, tmp_path, tier="seconds")
    assert [part.verdict for part in entry.parts] == ["reproduced", "needs hardware", None]
    assert entry.parts[1].missing == 1  # of hours
    with pytest.warns(UserWarning, match=said):
        (entry,) = claims.run_claims(rows, tmp_path, tier="hours")
    assert entry.parts[1].missing == 0
    assert claims.ledger_of(rows, tmp_path)[0] == entry


def test_packed_records_are_a_ledger_of_their_own(tmp_path: Path) -> None:
    rows = [claim(FAIR)]
    claims.run_claims(rows, tmp_path / "store")
    assert claims.pack_claims(rows, tmp_path / "store", tmp_path / "claims.jsonl.xz") == 3
    (entry,) = claims.ledger_of(rows, records=[tmp_path / "claims.jsonl.xz"])
    assert entry.verdict == "reproduced"


def test_another_revision_of_an_experiment_is_not_run() -> None:
    old = claims.Measurement(experiment="toys.tossed", revision=7)
    with pytest.raises(ArgumentError, match="this is revision 1"):
        old.run(jobs.Context(Path(), old.key))
    with pytest.raises(ArgumentError, match="under @experiment"):
        claims.measurements(lambda seed: {})


def test_records_of_one_s_own_go_before_those_of_the_package_and_the_store_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed_in(tmp_path / "package", monkeypatch, records_of(FAIR, heads=90).values())
    mine = tmp_path / "mine.jsonl.xz"
    pack(records_of(FAIR, heads=50).values(), mine)
    rows = [claim(FAIR)]
    assert claims.ledger_of(rows)[0].verdict == "not reproduced"
    assert claims.ledger_of(rows, records=[mine])[0].verdict == "reproduced"
    (entry,) = claims.run_claims(rows, tmp_path / "store", records=[mine])
    assert entry.verdict == "reproduced"
    (entry,) = claims.run_claims(rows, tmp_path / "anew", anew=True)
    assert entry.parts[0].measured.figures["share"] not in (0.5, 0.9)  # type: ignore[union-attr]
    assert claims.ledger_of(rows, tmp_path / "anew", records=[mine])[0] == entry


def test_what_the_package_has_measured_is_measured_anew_on_demand_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed_in(tmp_path / "package", monkeypatch, records_of(FAIR, heads=90).values())
    rows = [claim(FAIR, FAR)]
    claims.run_claims(rows, tmp_path / "store", tier="hours")
    with Store(tmp_path / "store") as store:
        assert len(store.records()) == 1  # that of FAR: no record of the package is passed off as one's own
    assert claims.pack_claims(rows, tmp_path / "store", tmp_path / "all.jsonl.xz") == 4
    claims.run_claims(rows, tmp_path / "store", tier="hours", anew=True)
    with Store(tmp_path / "store") as store:
        assert len(store.records()) == 4


def test_a_folder_without_measurements_is_refused_and_not_made(tmp_path: Path) -> None:
    for read in (
        lambda: claims.ledger_of([claim(FAIR)], tmp_path / "typo"),
        lambda: claims.pack_claims([claim(FAIR)], tmp_path / "typo", tmp_path / "claims.jsonl.xz"),
    ):
        with pytest.raises(ArgumentError, match=r"typo.*store\.sqlite is not there"):
            read()
    with pytest.raises(DataError, match="cannot read records"):
        claims.run_claims([claim(FAIR)], tmp_path / "typo", records=[tmp_path / "none.xz"])
    assert list(tmp_path.iterdir()) == []


def test_records_that_do_not_hold_what_is_judged_are_named() -> None:
    records = {key: dataclasses.replace(one, label="tossed", result={}) for key, one in records_of(FAIR).items()}
    with pytest.raises(DataError, match=r"cannot judge 'fair' by its records tossed.*KeyError: 'heads'"):
        _ = claims.enter(claim(FAIR), records).verdict


def test_false_contradicts_whoever_says_it() -> None:
    part = dataclasses.replace(SUM, check=lambda numbers: claims.Finding(holds=np.False_, words=""))  # type: ignore[arg-type]
    assert verdict_of(part) == "contradicted"
    assert json.loads(json.dumps(claims.enter(claim(part), {}).as_json()))["parts"][0]["findings"][0]["holds"] is False


def test_figures_that_are_no_numbers_are_texts_in_json() -> None:
    said = claims.Finding(holds=None, words="", figures={"a": math.nan, "b": -math.inf}, detectable=math.inf)
    row = claims.enter(claim(dataclasses.replace(SUM, check=lambda numbers: said)), {}).as_json()
    found = json.loads(json.dumps(row, allow_nan=False))["parts"][0]["findings"][0]
    assert (found["figures"], found["detectable"]) == ({"a": "nan", "b": "-inf"}, "inf")


def packed_in(folder: Path, monkeypatch: pytest.MonkeyPatch, records: Iterable[jobs.Record]) -> None:
    """Have a package that comes with records."""
    folder.mkdir()
    pack(records, folder / "some.jsonl.xz")
    monkeypatch.setattr("waddington.claims.running.RECORDS", folder)


def test_a_figure_that_is_no_number_is_refused_with_its_records() -> None:
    for changes in ({"figures": {"share": "half"}}, {"detectable": "much"}, {"interval": Interval("a", 1.0)}):
        said = lambda records, changes=changes: claims.Finding(holds=True, words="", **changes)  # noqa: E731
        with pytest.raises(DataError, match=r"cannot judge 'fair' by its records .*must be a number"):
            _ = claims.enter(claim(dataclasses.replace(FAIR, judge=said)), records_of(FAIR)).verdict


def test_records_that_do_not_hold_what_is_drawn_are_named(tmp_path: Path) -> None:
    part = dataclasses.replace(FAIR, picture=lambda records: records[0].result["curve"])
    entry = claims.enter(claim(part), records_of(FAIR))
    with pytest.raises(DataError, match=r"cannot draw 'fair' by its records .*KeyError: 'curve'"):
        picture_of(entry.parts[0])


def test_a_record_that_was_written_over_in_the_store_is_refused(tmp_path: Path) -> None:
    """The result of another job under a job's key would be a verdict that somebody chose."""
    rows = [claim(FAIR)]
    claims.run_claims(rows, tmp_path)
    with Store(tmp_path) as store:
        first, second, _ = (record.to_json() for record in store.records())
    wild = json.loads(first)
    texts = (second, "{", "[]", json.dumps({**wild, "seconds": None}), json.dumps({**wild, "machine": ["x"]}))
    for text in (*texts, first.replace('"toys.tossed"', '"toys.broken"')):
        with sqlite3.connect(tmp_path / "store.sqlite") as database:
            database.execute("UPDATE jobs SET record=? WHERE key=?", [text, wild["key"]])
        database.close()
        for read in (
            lambda: claims.ledger_of(rows, tmp_path),
            lambda: claims.run_claims(rows, tmp_path),
            lambda: claims.pack_claims(rows, tmp_path, tmp_path / "packed.xz"),
        ):
            with pytest.raises(DataError, match=r"cannot read the record .*store\.sqlite.*nobody changed"):
                read()
