from __future__ import annotations

import numpy as np
import pytest
from tests.twin.evaluate.protocol.world import GENES, make_screen

from waddington.errors import DataError


def test_what_cannot_be_judged_is_refused_by_name() -> None:
    plain = make_screen()
    spoiled = {"rna": plain.values["rna"].copy()}
    spoiled["rna"][3, 5] = np.nan
    with pytest.raises(DataError, match="NaN or infinity in 1 feature"):
        make_screen(values=spoiled)
    with pytest.raises(DataError, match=r"1 name of more than one feature, the first is 'g0'"):
        make_screen(names={"rna": np.array([*GENES[:-1], "g0"])})
    with pytest.raises(DataError, match=r"found 1 cell of 'control'"):
        make_screen(controls=1)
    with pytest.raises(DataError, match="no condition with 5 cells beside 'control'"):
        make_screen(labels=np.full(len(plain.labels), "control"))
    with pytest.raises(DataError, match="names of features; accepted"):
        make_screen(names={"rna": np.array(GENES[:-1])})


def test_small_conditions_are_counted_and_not_scored() -> None:
    labels = make_screen().labels.copy()
    labels[-3:] = "Q:knockout"
    screen = make_screen(labels=labels)
    assert screen.too_small == ("Q:knockout",)
    assert "Q:knockout" not in screen.conditions


def test_permuted_labels_are_the_same_labels_in_each_group() -> None:
    groups = np.where(np.arange(len(make_screen().labels)) % 3 == 0, "one", "two")
    screen = make_screen(groups=groups)
    other = screen.permuted(np.random.default_rng(0))
    assert (other.labels != screen.labels).any()
    for group in ("one", "two"):
        assert sorted(other.labels[groups == group]) == sorted(screen.labels[groups == group])


def test_permuted_labels_are_the_same_labels_among_training_and_test_cells() -> None:
    labels = make_screen().labels
    train = (np.arange(len(labels)) % 2 == 0) & (labels != "A:knockout")
    groups = np.where(np.arange(len(labels)) % 3 == 0, "one", "two")
    screen = make_screen(train=train, groups=groups)
    other = screen.permuted(np.random.default_rng(0))
    for part in (train, ~train, train & (groups == "one")):
        assert (other.labels[part] != screen.labels[part]).any()
        assert sorted(other.labels[part]) == sorted(screen.labels[part])
