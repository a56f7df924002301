"""The nearest training condition, and times, whose last change is held."""

from __future__ import annotations

import numpy as np
import pytest
from tests.twin.respond.test_baselines import additive_world

from waddington.errors import UnsupportedError
from waddington.twin.data.splits import split_by_time, time_of_label
from waddington.twin.respond.base import Training
from waddington.twin.respond.hierarchical import HierarchicalAdditive
from waddington.twin.respond.nearest import Nearest


def test_of_a_time_the_last_change_before_it_is_held() -> None:
    values, _ = additive_world()
    split = split_by_time(np.repeat([0.0, 1.0, 2.5, 4.0, 10.0, 24.0], 60), unit="h")
    data = Training(values=values, split=split)
    model = Nearest.fit(data.without({"time 4 h", "time 24 h"}))
    for asked, held in (("time 4 h", "time 2.5 h"), ("time 24 h", "time 10 h"), ("time 10 h", "time 10 h")):
        np.testing.assert_array_equal(model.predict(asked)["rna"], model.predict(held)["rna"])
    with pytest.raises(UnsupportedError, match="time -1 h"):
        model.predict("time -1 h")


def test_the_hierarchical_model_holds_it_too_and_is_less_sure() -> None:
    values, _ = additive_world()
    split = split_by_time(np.repeat([0.0, 1.0, 2.5, 4.0, 10.0, 24.0], 60), unit="h")
    model = HierarchicalAdditive.fit(Training(values=values, split=split).without({"time 24 h"}))
    with pytest.raises(UnsupportedError, match="time 24 h"):
        model.predict("time 24 h")
    held, asked = (model.predict(label, guess=True)["rna"] for label in ("time 10 h", "time 24 h"))
    np.testing.assert_array_equal(asked, held)
    sure, less = (model.standard_deviation(label, guess=True)["rna"] for label in ("time 10 h", "time 24 h"))
    assert (less > sure).all()


def test_labels_of_times_are_read_back() -> None:
    assert time_of_label("time 2.5 h") == 2.5
    assert time_of_label("time 10") == 10.0
    assert time_of_label("A:knockout") is None
    assert time_of_label("time long ago") is None
