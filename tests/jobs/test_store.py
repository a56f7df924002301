from __future__ import annotations

import csv
import json
import math
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.jobs.toys import Square, Sum

from waddington.errors import ArgumentError, OutputError
from waddington.jobs import Claim, Store, waiting
from waddington.jobs import store as store_module

JOB = Square(x=2.0, seed=5)


class Clock:
    """Tells the seconds it was set to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with Store(tmp_path, clock=clock) as store:
        yield store


def claimed(store: Store, job: Square = JOB, **options: bool) -> Claim:
    claim = store.claim(job, **options)
    assert claim is not None
    return claim


def on_another_machine(store: Store, path: Path) -> None:
    """Make every claim one of a machine whose processes cannot be seen from here."""
    with sqlite3.connect(path / "jobs.sqlite") as database:
        database.execute("UPDATE jobs SET host='elsewhere'")
    database.close()


def test_a_record_says_what_ran_where_when_and_by_which_code(store: Store) -> None:
    record = store.finish(claimed(store), {"y": 4.0}, started=0.0, seconds=1.5)
    assert record is not None
    assert record == store.get(JOB) == store.records()[0]
    assert (record.key, record.spec, record.status, record.result) == (JOB.key, JOB.spec, "done", {"y": 4.0})
    assert (record.seeds, record.started, record.seconds, record.attempts) == (
        {"seed": 5},
        "1970-01-01T00:00:00.000+00:00",
        1.5,
        1,
    )
    assert {"job", "waddington", "python"} == set(record.code) - {"commit"}
    assert {"host", "system", "processor"} == set(record.machine)


def test_a_failure_is_a_record_and_may_be_tried_again(store: Store) -> None:
    record = store.fail(claimed(store), "ValueError: no", started=0.0, seconds=0.0)
    assert record is not None
    assert (record.status, record.error, record.result) == ("failed", "ValueError: no", None)
    assert store.claim(JOB) is None
    again = claimed(store, retry_failed=True)
    assert store.get(JOB) is None, "the old failure does not stand while it runs again"
    found = store.finish(again, {"y": 4.0}, started=0.0, seconds=0.0)
    assert found is not None
    assert found.attempts == 2
    assert store.claim(JOB, retry_failed=True) is None


def test_numbers_that_are_none_come_back(store: Store) -> None:
    store.finish(claimed(store), {"loss": math.inf, "other": [math.nan]}, started=0.0, seconds=0.0)
    record = store.get(JOB)
    assert record is not None
    assert record.result is not None
    assert record.result["loss"] == math.inf
    assert math.isnan(record.result["other"][0])


@pytest.mark.parametrize("result", [{"a": object()}, [1, 2], {"a": {1, 2}}])
def test_a_result_that_json_cannot_hold_is_refused(store: Store, result: object) -> None:
    with pytest.raises(ArgumentError, match="cannot keep the result of 'Square"):
        store.finish(claimed(store), result, started=0.0, seconds=0.0)  # type: ignore[arg-type]


def test_a_live_claim_is_not_taken_and_one_that_ran_out_is(store: Store, tmp_path: Path, clock: Clock) -> None:
    with Store(tmp_path, clock=clock, lease_s=100.0) as other:
        claim = claimed(other)
        on_another_machine(other, tmp_path)
        clock.now += 99.0
        assert store.claim(JOB) is None
        assert other.renew() == 1
        clock.now += 99.0
        assert store.claim(JOB) is None, "it was renewed"
        clock.now += 1.0
        mine = claimed(store)
        assert mine.attempts == 2
        assert other.finish(claim, {"y": 0.0}, started=0.0, seconds=0.0) is None, "the claim was lost"
        assert other.renew() == 0
        assert store.finish(mine, {"y": 4.0}, started=0.0, seconds=0.0) is not None
        assert other.finish(claim, {"y": 0.0}, started=0.0, seconds=0.0) is None
        assert [record.result for record in other.records()] == [{"y": 4.0}]


def test_a_claim_of_an_owner_that_lives_here_is_not_taken_however_late_it_is(
    store: Store, tmp_path: Path, clock: Clock
) -> None:
    """On this machine a process is known to live: a busy machine's late renewal costs nobody the claim."""
    with Store(tmp_path, clock=clock, lease_s=100.0) as other:
        claim = claimed(other)
        clock.now += 1e6
        assert store.claim(JOB) is None
        assert other.finish(claim, {"y": 4.0}, started=0.0, seconds=0.0) is not None


def test_a_thread_renews_leases(tmp_path: Path) -> None:
    renewed, renew = threading.Event(), Store.renew

    class Watched(Store):
        def renew(self) -> int:
            found = renew(self)
            if found:
                renewed.set()
            return found

    with Watched(tmp_path, lease_s=0.05) as store:
        claimed(store)
        assert renewed.wait(timeout=120)


def test_closing_gives_claims_back(store: Store, tmp_path: Path) -> None:
    with Store(tmp_path) as other:
        claimed(other)
        assert store.counts() == {"claimed": 1}
        assert store.claim(JOB) is None
    assert claimed(store).attempts == 2
    assert not [path for path in (tmp_path / "owners").iterdir() if other._owner.token in path.name]


def test_several_studies_share_a_store_and_find_each_others_records(store: Store, tmp_path: Path) -> None:
    store.finish(claimed(store), {"y": 4.0}, started=0.0, seconds=0.0)
    with Store(tmp_path) as other:
        assert other.claim(Square(x=2.0, seed=5)) is None
        assert other.get(Square(x=2.0, seed=5)) == store.get(JOB)


def test_records_are_chosen_by_kind_and_exported(store: Store, tmp_path: Path) -> None:
    store.finish(claimed(store), {"y": 4.0, "curve": [1, 2]}, started=0.0, seconds=0.0)
    both = Sum(parts=(JOB,))
    claim = store.claim(both)
    assert claim is not None
    store.fail(claim, "ValueError: a, b", started=1.0, seconds=0.0)
    assert [record.label for record in store.records(both.spec["$type"])] == [both.label]
    rows = store.rows()
    assert [row["status"] for row in rows] == ["done", "failed"]
    assert (rows[0]["spec.x"], rows[0]["result.y"], rows[0]["result.curve"]) == (2.0, 4.0, "[1, 2]")
    store.write_csv(tmp_path / "records.csv")
    with (tmp_path / "records.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert (read[0]["result.y"], read[1]["error"], read[1]["result.y"]) == ("4.0", "ValueError: a, b", "")
    json.dumps(rows)


def test_files_of_a_job_are_listed_without_what_was_left_half_written(store: Store) -> None:
    folder = store.files_of(JOB)
    (folder / "sub").mkdir(parents=True)
    for name in ("weights.pt", "sub/a.npz", ".12.part.weights.pt"):
        (folder / name).touch()
    record = store.finish(claimed(store), {}, started=0.0, seconds=0.0)
    assert record is not None
    assert record.files == ("sub/a.npz", "weights.pt")


def test_what_is_no_store_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("keep me")
    with pytest.raises(OutputError, match=r"cannot keep jobs in .*file"):
        Store(tmp_path / "file")
    (tmp_path / "jobs.sqlite").write_text("not a database, but long enough to be read as one" * 30)
    with pytest.raises(OutputError, match=r"cannot use the store .*jobs.sqlite.*file is not a database"):
        Store(tmp_path)
    assert (tmp_path / "jobs.sqlite").read_text().startswith("not a database")


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    database = sqlite3.connect(tmp_path / "jobs.sqlite")
    database.execute("PRAGMA user_version=7")
    database.close()
    with pytest.raises(OutputError, match="its format is 7; accepted: 1"):
        Store(tmp_path)


def test_a_journal_for_network_folders(tmp_path: Path) -> None:
    with Store(tmp_path, journal="delete") as store:
        store.finish(claimed(store), {"y": 4.0}, started=0.0, seconds=0.0)
        assert not (tmp_path / "jobs.sqlite-wal").exists()
    with pytest.raises(ArgumentError, match="journal='memory'"):
        Store(tmp_path, journal="memory")


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_what_a_full_disk_refused_can_be_written_later(tmp_path: Path, journal: str) -> None:
    with Store(tmp_path, journal=journal) as store:
        claim = claimed(store)
        pages = store._local.connection.execute("PRAGMA page_count").fetchone()[0]
        store._local.connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(OutputError, match="database or disk is full"):
            store.finish(claim, {"y": "4" * 100_000}, started=0.0, seconds=0.0)
        store._local.connection.execute("PRAGMA max_page_count=1000000")
        assert store.finish(claim, {"y": "4" * 100_000}, started=0.0, seconds=0.0) is not None


def test_what_could_not_be_committed_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waddington.jobs.waiting._LIMIT_S", 0.0)
    with Store(tmp_path, journal="delete") as store:
        claim = claimed(store)
        reader = sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM jobs").fetchall()  # whoever reads keeps others from committing
        with pytest.raises(OutputError, match="database is locked"):
            store.finish(claim, {"y": 4.0}, started=0.0, seconds=0.0)
        reader.close()
        assert store.finish(claim, {"y": 4.0}, started=0.0, seconds=0.0) is not None


def test_two_keys_that_json_writes_alike_are_refused(store: Store) -> None:
    with pytest.raises(ArgumentError, match="found two keys that read '1'"):
        store.finish(claimed(store), {"y": {1: 2.0, "1": 3.0}}, started=0.0, seconds=0.0)


@pytest.mark.parametrize("lease_s", [0.0, math.inf, 1e12])
def test_a_lease_that_no_thread_can_wait_for_is_refused(tmp_path: Path, lease_s: float) -> None:
    with pytest.raises(ArgumentError, match="lease_s"):
        Store(tmp_path, lease_s=lease_s)


# --- a file that another process has locked ---


class Lock:
    """Another's exclusive lock of a store's file; let go of as soon as the store says that it waits."""

    def __init__(self, folder: Path, *, ends: bool = True) -> None:
        self.heard: list[str] = []
        self._ends = ends
        self._other = sqlite3.connect(folder / "jobs.sqlite", isolation_level=None)
        self._other.execute("BEGIN EXCLUSIVE")

    def note(self, text: str) -> None:
        self.heard.append(text)
        if self._ends:
            self.free()

    def free(self) -> None:
        self._other.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait is said at once, and again at once."""
    monkeypatch.setattr(waiting, "_SILENT_S", 0.0)
    monkeypatch.setattr(waiting, "_AGAIN_S", 0.0)
    monkeypatch.setattr(waiting, "_ASK_S", 0.01)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_lock_is_said_with_the_path_and_waited_for(tmp_path: Path, journal: str) -> None:
    told: list[str] = []
    lock: Lock | None = None

    def note(text: str) -> None:
        told.append(text)
        assert lock is not None
        lock.note(text)

    with Store(tmp_path, journal=journal, note=note) as store:  # type: ignore[arg-type]
        claim = claimed(store)
        lock = Lock(tmp_path)
        assert store.finish(claim, {"y": 4.0}, started=0.0, seconds=0.0) is not None, "nothing is lost"
    assert told[0].startswith(f"the store '{tmp_path / 'jobs.sqlite'}' is locked by another process, for 0 s now")
    assert "waiting for at most 120 s, and nothing is lost" in told[0]
    assert told[-1].startswith(f"the store '{tmp_path / 'jobs.sqlite'}' is free again after")


@pytest.mark.usefixtures("hasty")
def test_a_wait_that_nobody_listens_to_warns() -> None:
    database, locked = sqlite3.connect(":memory:"), sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
    answers = iter([locked, database.execute("SELECT 1")])

    def attempt() -> sqlite3.Cursor:
        answer = next(answers)
        if isinstance(answer, sqlite3.Error):
            raise answer
        return answer

    with pytest.warns(UserWarning, match="store 'a.sqlite' is (locked by another process|free again)"):
        assert waiting.Patience(Path("a.sqlite")).wait(attempt).fetchone() == (1,)
    database.close()


def test_a_lock_that_stays_is_refused_in_one_line_and_closing_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_LIMIT_S", 0.0)
    monkeypatch.setattr(store_module, "_BRIEF_S", 0.0)
    with Store(tmp_path) as store:
        claimed(store)
        lock = Lock(tmp_path, ends=False)
        with pytest.raises(OutputError, match=r"jobs.sqlite.*another process keeps it locked \(database is locked\)"):
            store.claim(Square(x=3.0, seed=1))
    lock.free()
    with Store(tmp_path) as other:
        assert claimed(other).attempts == 2, "the claim that could not be given back was given up by its owner's end"


def test_whoever_only_reads_waits_for_no_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_LIMIT_S", 0.0)
    with Store(tmp_path) as store:
        store.finish(claimed(store), {"y": 4.0}, started=0.0, seconds=0.0)
    lock = Lock(tmp_path, ends=False)
    with Store(tmp_path) as reading:
        assert [record.result for record in reading.records()] == [{"y": 4.0}]
    lock.free()
