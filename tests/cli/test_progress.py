"""What a run says of its progress where no terminal redraws bars."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from waddington.cli._progress import LineListener, ProgressListener, make_listener
from waddington.jobs import Event
from waddington.twin.run.encoder_jobs import EncoderJob


def event(seed: int, fraction: float, seconds_left: float | None = None) -> Event:
    """Say how far a job is."""
    job = EncoderJob(run_id="", optimizer="Adam", lr=0.1, seed=seed)
    what = "finished" if fraction == 1.0 else "progress"
    return Event(what=what, job=job, fraction=fraction, done=0, total=4, seconds_left=seconds_left)


def test_a_pipe_gets_lines_and_a_terminal_bars() -> None:
    assert isinstance(make_listener(Console(file=io.StringIO(), force_terminal=False)), LineListener)
    assert isinstance(make_listener(Console(file=io.StringIO(), force_terminal=True, _environ={})), ProgressListener)
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(make_listener(dumb), LineListener)


def test_lines_say_what_began_how_far_it_is_and_what_ended() -> None:
    stream, now = io.StringIO(), [0.0]
    with LineListener(stream, pause=30.0, clock=lambda: now[0]) as listener:
        listener.stage("Preparing cells", 2)
        listener.advance()
        listener.stage("Training encoders", 4)
        for seconds, fraction in ((10.0, 0.2), (31.0, 1.0), (40.0, 1.0)):
            now[0] = seconds
            listener.advance(event(0, fraction))
        now[0] = 75.0
        listener.advance(event(1, 0.5, seconds_left=124.6))
        listener.note("a \x1b[31mlabel")
    assert stream.getvalue().splitlines() == [
        "Preparing cells: started, 0 of 2",
        "Preparing cells: finished, 2 of 2 in 0:00:00",
        "Training encoders: started, 0 of 4",
        "Training encoders: 1 of 4, 25% after 0:00:31",
        "Training encoders: 1 of 4, 38% after 0:01:15, about 0:02:05 left",
        "note: a ␛[31mlabel",
        "Training encoders: finished, 4 of 4 in 0:01:15",
    ]


def test_a_stage_that_failed_is_not_said_to_have_ended() -> None:
    stream = io.StringIO()

    def fail() -> None:
        with LineListener(stream) as listener:
            listener.stage("Reading cells", 1)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert stream.getvalue() == "Reading cells: started, 0 of 1\n"
