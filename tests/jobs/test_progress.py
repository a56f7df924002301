from __future__ import annotations

from tests.jobs.toys import Square

from waddington.jobs import Event, Progress

JOBS = [Square(x=float(x)) for x in range(4)]


def test_counts_and_time_left_follow_from_the_pace_of_what_runs_now() -> None:
    now, events = [0.0], list[Event]()
    progress = Progress(4, events.append, clock=lambda: now[0])
    progress.tell("queued", JOBS[0])
    progress.tell("finished", JOBS[0], is_recorded=True)
    assert (events[-1].done, events[-1].total, events[-1].seconds_left) == (1, 4, None), "a record says no pace"
    progress.tell("started", JOBS[1])
    now[0] = 10.0
    progress.tell("progress", JOBS[1], 0.5)
    assert events[-1].seconds_left == 50.0  # half a job in 10 s, two and a half are left
    now[0] = 20.0
    progress.tell("finished", JOBS[1])
    progress.tell("failed", JOBS[2])
    assert (events[-1].done, events[-1].fraction, events[-1].seconds_left) == (3, 1.0, 10.0)
    progress.tell("finished", JOBS[3])
    assert (events[-1].done, events[-1].seconds_left) == (4, 0.0)
    assert [event.what for event in events if event.ended] == ["finished", "finished", "failed", "finished"]
