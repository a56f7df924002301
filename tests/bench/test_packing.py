from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from waddington import bench, jobs
from waddington.bench import packing
from waddington.bench.comparison import compare
from waddington.bench.packing import pack, unpack
from waddington.bench.search import expected_runs
from waddington.bench.studies import STUDIES, get_study
from waddington.errors import ArgumentError, DataError, UnknownNameError


class Counting(jobs.Listener):
    def __init__(self) -> None:
        self.ran = 0

    def advance(self, event: jobs.Event | None = None) -> None:
        self.ran += event is not None and event.what == "finished" and not event.is_recorded


def small() -> bench.Study:
    arms = ["AdamW", "AMVT"]
    return bench.Study.of(["rosenbrock"], arms, size="tiny", seeds=3, trials=2, tuning_seeds=1, horizons=["known"])


def test_what_a_file_of_records_holds_is_not_run_again(tmp_path: Path) -> None:
    study = small()
    first = bench.run_study(study, tmp_path / "a", costs=False, listener=Counting())
    assert bench.pack_folders([tmp_path / "a"], tmp_path / "records.jsonl.xz") == 10
    heard = Counting()
    again = bench.run_study(study, tmp_path / "b", costs=False, listener=heard, records=[tmp_path / "records.jsonl.xz"])
    assert heard.ran == 0
    assert [row["sentence"] for row in again.contrasts()] == [row["sentence"] for row in first.contrasts()]
    assert again.values(study.horizons[0]).tolist() == first.values(study.horizons[0]).tolist()


def test_a_record_that_is_there_is_kept(tmp_path: Path) -> None:
    study = small()
    with bench.Store(tmp_path / "a") as store:
        bench.conduct(study, store, listener=Counting())
        pack(store.records(), tmp_path / "records")
        assert store.adopt(unpack(tmp_path / "records")) == 0
        before = [record.to_json() for record in store.records()]
        sentences = [row["sentence"] for row in compare(study, store).contrasts()]
    with bench.Store(tmp_path / "b") as other:
        assert other.adopt(unpack(tmp_path / "records")) == len(before)
        assert [row["sentence"] for row in compare(study, other).contrasts()] == sentences


def test_packing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    with bench.Store(tmp_path / "a") as store:
        bench.conduct(small(), store, listener=Counting())
        pack(store.records(), tmp_path / "one")
        pack(list(reversed(store.records())), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    pack(unpack(tmp_path / "one"), tmp_path / "three")
    assert (tmp_path / "three").read_bytes() == (tmp_path / "one").read_bytes()


@pytest.mark.parametrize("content", [b"no records", lzma.compress(b"{}\n"), lzma.compress(b"[1]\n"), b""])
def test_what_is_no_file_of_records_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match="cannot read records from"):
        list(unpack(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot read records from"):
        list(unpack(tmp_path / "nothing"))


JUDGING = ["switching", "controls", "masking", "moments", "rivals"]
ANEW = [name for name in STUDIES if name not in JUDGING]


@pytest.mark.parametrize("name", JUDGING)
def test_studies_that_judge_what_is_there_share_their_baseline(name: str) -> None:
    """Eight tasks, twenty trials, ten seeds, AdamW's runs in common: what a page of defaults rests on."""
    study, baseline = get_study(name), get_study("switching")
    assert len(study.entries) >= 8
    assert (study.trials, len(study.evaluation_seeds), study.arms[0].name) == (20, 10, "AdamW")
    assert 0 < len(study.contrasts) <= 4
    assert all(against == "AdamW" for _, against in study.contrasts)
    assert expected_runs(study) <= 2500
    assert study.arms[0] == baseline.arms[0]
    assert study.entries == baseline.entries


@pytest.mark.parametrize("name", ANEW)
def test_what_was_made_from_runs_is_judged_on_other_tasks_and_seeds(name: str) -> None:
    pytest.importorskip("stable_baselines3", reason="the extra 'twin' is not installed: its tasks belong to the study")
    study, before = get_study(name), get_study("switching")
    assert not {entry.label for entry in study.entries} & {entry.label for entry in before.entries}
    seeds = {*study.tuning_seeds, *study.evaluation_seeds}
    assert not seeds & {*before.tuning_seeds, *before.evaluation_seeds}
    assert (study.trials, len(study.evaluation_seeds)) == (20, 10)
    assert 0 < len(study.contrasts) <= 4
    assert len({str(arm.space["lr"]) for arm in study.arms}) == 1, "one range of rates"


def test_somebody_elses_study_is_run_from_its_file(tmp_path: Path) -> None:
    bench.write_study(small(), tmp_path)
    assert get_study(str(tmp_path / "study.json")) == small()
    with pytest.raises(ArgumentError, match="cannot read the study"):
        get_study(str(tmp_path / "other.json"))


def test_a_study_that_is_not_registered_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'switching'"):
        get_study("swiching")
    with pytest.raises(ArgumentError):
        bench.pack_folders(["nowhere"], "records")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": "0" * 32}, "has a spec whose key is"),
        ({"spec": {"$type": "x", "seed": 1}}, "has a spec whose key is"),
        ({"result": None}, "without a result"),
        ({"result": [1]}, "which is no result"),
        ({"status": "Done"}, "which is no status"),
        ({"seconds": float("nan")}, "which is no time in seconds"),
        ({"started": None}, "which is no text"),
        ({"code": ["abc"]}, "which is no object of texts"),
        ({"speed": 1}, "speed"),
    ],
)
def test_a_record_that_somebody_changed_is_not_taken_for_another_run(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    study = small()
    with bench.Store(tmp_path / "a") as store:
        bench.conduct(study, store, listener=Counting())
        pack(store.records(), tmp_path / "records")
    lines = lzma.decompress((tmp_path / "records").read_bytes()).decode().splitlines()
    changed = json.dumps({**json.loads(lines[3]), **change})
    (tmp_path / "records").write_bytes(lzma.compress("\n".join([*lines[:3], changed, *lines[4:]]).encode()))
    with bench.Store(tmp_path / "b") as other:
        with pytest.raises(DataError, match=said):
            other.adopt(unpack(tmp_path / "records"))
        assert other.counts() == {}


def test_curves_of_any_shape_are_shortened() -> None:
    numbers = [0.123456789012345, 2]
    found = packing._small({"seconds": 1.0, "result": {"curve": numbers, "clock": {"a": numbers}}})
    short = [found["result"]["curve"][0], 2]
    assert found["result"] == {"curve": short, "clock": {"a": short}}
    assert short[0] == pytest.approx(numbers[0], rel=1e-5)
    assert short[0] != numbers[0]
