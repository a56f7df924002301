"""What `run` promises, in this process; test_executors.py asks the same of every executor."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.toys import Broken, Leaves, NoResult, Seeded, Square, Sum

from waddington.errors import ArgumentError, OutputError, UnsupportedError
from waddington.jobs import Event, Store, run, waiting

JOBS = [Square(x=float(x)) for x in range(4)]


def runs(folder: Path) -> int:
    return len(list(folder.glob("ran-*")))


def test_a_job_runs_once_whoever_asks_for_it(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        records = run([*JOBS[:2], JOBS[0]], store)
        assert [record.result["y"] for record in records if record.result] == [0.0, 1.0, 0.0]
        records = run(JOBS, store)
    with Store(tmp_path) as store:
        assert run(JOBS, store) == records
    assert runs(tmp_path) == 4


def test_a_fresh_record_equals_one_that_was_read(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert run(JOBS[:1], store) == run(JOBS[:1], store)
        assert run(JOBS[:1], store)[0].result == {"y": 0.0, "list": [1, 2]}


def test_needs_run_first_and_hand_their_results_on(tmp_path: Path) -> None:
    whole = Sum(parts=(Sum(parts=tuple(JOBS[1:3])), JOBS[3]))
    with Store(tmp_path) as store:
        assert run([whole, JOBS[3]], store)[0].result == {"y": 14.0}
        assert store.counts() == {"done": 5}
    assert runs(tmp_path) == 3


def test_a_job_reads_only_what_it_needs(tmp_path: Path) -> None:
    from waddington.jobs import Context

    with pytest.raises(ArgumentError, match="cannot give the result of 'Square"):
        Context(tmp_path, "key").result(JOBS[0])


def test_the_first_error_stops_the_run_and_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    work = [JOBS[0], Broken(x=7.0), JOBS[1]]
    with Store(tmp_path) as store:
        with pytest.raises(RuntimeError, match="job 7 is broken"):
            run(work, store)
        record = store.get(work[1])
        assert record is not None
        assert (record.status, record.error) == ("failed", "RuntimeError: job 7 is broken")
        assert store.get(JOBS[1]) is None
        (tmp_path / "broken").unlink()
        assert [record.status for record in run(work, store)] == ["done"] * 3, "what failed runs again"


def test_failures_can_stay_in_the_table(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    bad = Broken(x=7.0)
    work = [bad, Sum(parts=(bad,)), JOBS[1], NoResult()]
    with Store(tmp_path) as store:
        records = run(work, store, on_failure="record")
        assert [record.status for record in records] == ["failed", "failed", "done", "failed"]
        assert "not run: it needs 'Broken" in str(records[1].error)
        assert "found numpy.ndarray" in str(records[3].error)
        (tmp_path / "broken").unlink()
        assert run(work, store, on_failure="record", retry_failed=False) == records
        assert [record.status for record in run(work[:3], store)] == ["done"] * 3


def test_what_another_process_runs_is_left_to_it_and_awaited(tmp_path: Path) -> None:
    with Store(tmp_path) as theirs, Store(tmp_path) as mine:
        claim = theirs.claim(JOBS[0])
        assert claim is not None
        asked = threading.Event()

        def listen(event: Event) -> None:
            if event.job == JOBS[1] and event.ended:
                asked.set()

        found: list[object] = []
        waiter = threading.Thread(target=lambda: found.extend(run(JOBS[:2], mine, listen=listen)))
        waiter.start()
        assert asked.wait(timeout=120)
        assert waiter.is_alive()
        record = theirs.finish(claim, {"y": 0.0}, started=0.0, seconds=0.0)
        waiter.join(timeout=120)
        assert found[0] == record
    assert runs(tmp_path) == 1


def test_what_failed_in_another_process_stops_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path) as theirs, Store(tmp_path) as mine:
        claim = theirs.claim(JOBS[0])
        assert claim is not None
        pause = lambda seconds: theirs.fail(claim, "ValueError: no", started=0.0, seconds=0.0)  # noqa: E731
        monkeypatch.setattr("waddington.jobs.schedule.time.sleep", pause)
        with pytest.raises(UnsupportedError, match="failed in another process: ValueError: no"):
            run(JOBS[:1], mine)


def test_events_say_what_happened_in_order(tmp_path: Path) -> None:
    events: list[Event] = []
    with Store(tmp_path) as store:
        run(JOBS[:1], store)
        run(JOBS[:2], store, listen=events.append)
    assert [(event.what, event.job.key, event.done, event.is_recorded) for event in events] == [
        ("queued", JOBS[0].key, 0, False),
        ("queued", JOBS[1].key, 0, False),
        ("finished", JOBS[0].key, 1, True),
        ("started", JOBS[1].key, 1, False),
        ("progress", JOBS[1].key, 1, False),
        ("finished", JOBS[1].key, 2, False),
    ]


def test_an_unknown_way_with_failures_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path) as store, pytest.raises(ArgumentError, match="on_failure='raise'"):
        run([], store, on_failure="raise")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "said"),
    [("exit", "SystemExit: 0"), ("cancelled", "CancelledError: late"), ("silence", "SilentError: (its")],
)
def test_a_job_that_leaves_in_any_way_ends_itself_and_not_the_study(tmp_path: Path, how: str, said: str) -> None:
    with Store(tmp_path) as store:
        records = run([Leaves(how=how), JOBS[0]], store, on_failure="record")
    assert [record.status for record in records] == ["failed", "done"]
    assert said in str(records[0].error)


def test_a_seed_that_is_no_number_is_recorded_as_the_spec_says_it(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert run([Seeded(seed=Path("a") / "b")], store)[0].seeds == {"seed": {"$path": "a/b"}}


def test_a_record_that_cannot_be_written_leaves_no_claim_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path) as store:
        whole = store._transaction

        def full(fails: Callable[[int], bool]) -> None:
            calls = iter(range(9))

            def transaction() -> Any:
                if fails(next(calls)):
                    raise OutputError("disk full")
                return whole()

            monkeypatch.setattr(store, "_transaction", transaction)

        for fails in (lambda call: call == 1, lambda call: call >= 1):  # the record; that, and giving back
            full(fails)
            with pytest.raises(OutputError, match="disk full"):
                run(JOBS[:1], store)
        monkeypatch.setattr(store, "_transaction", whole)
        assert run(JOBS[:1], store)[0].status == "done", "the store must not wait for itself"


def test_a_lock_stops_no_study_however_long_it_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is for whoever has nothing to lose: here a result is in hand, and is written when the lock is free."""
    for name, seconds in {"_LIMIT_S": 0.0, "_SILENT_S": 0.0, "_AGAIN_S": 0.0, "_ASK_S": 0.01}.items():
        monkeypatch.setattr(waiting, name, seconds)
    locks: list[sqlite3.Connection] = []
    said: list[str] = []

    def listen(event: Event) -> None:
        if event.what == "started" and event.job == JOBS[1]:
            locks.append(sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None))
            locks[0].execute("BEGIN EXCLUSIVE")

    def note(text: str) -> None:
        said.append(text)
        if len(said) == 3:
            locks[0].close()

    with Store(tmp_path, note=note) as store:
        records = run(JOBS, store, listen=listen)
        assert [record.status for record in records] == ["done"] * len(JOBS)
        assert {record.attempts for record in records} == {1}
        assert store.counts() == {"done": len(JOBS)}
    assert "waiting as long as it is, and nothing is lost" in said[0]
    assert "still locked" in said[1]
    assert "is free again" in said[3]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"jobs": JOBS[0]}, "cannot use jobs: found of type Square; accepted: a list of jobs"),
        ({"jobs": [Square]}, "cannot use jobs: found Square"),
        ({"jobs": "abc"}, "cannot use jobs: found of type str"),
        ({"store": "results"}, "cannot use store: found of type str; accepted: a Store"),
        ({"executor": 2}, "cannot use executor: found of type int"),
    ],
)
def test_what_is_no_job_store_or_executor_is_refused_by_name(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with Store(tmp_path) as store, pytest.raises(ArgumentError, match=said):
        run(**{"jobs": JOBS, "store": store, **given})
    assert runs(tmp_path) == 0
