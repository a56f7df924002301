"""The record of a training."""

from __future__ import annotations

from waddington.twin.embed import History


def test_it_shows_where_the_training_ended() -> None:
    history = History()
    assert repr(history) == "History(epochs=0)"
    history.append(train={"own/rna": 1.0, "total": 2.5}, validation={}, seconds=0.1)
    assert repr(history) == "History(epochs=1, train=2.5)"
    history.append(train={"total": 2.0}, validation={"total": 2.25}, seconds=0.1)
    assert repr(history) == "History(epochs=2, train=2, validation=2.25)"
