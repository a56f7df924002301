"""What a group does is foretold from groups that are alike at rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from waddington.errors import UnsupportedError
from waddington.twin.data.splits import Split
from waddington.twin.respond import SimilarityWeighted, Training

FEATURES = 20
LABEL = "IFNB1:cytokine"


def training(places: np.ndarray, *, size: int = 30, seed: int = 0) -> Training:
    """Give groups whose rest and response both follow one number."""
    rng = np.random.default_rng(seed)
    rest, response = rng.standard_normal((2, FEATURES))
    groups = np.repeat([f"g{i}" for i in range(len(places))], 2 * size)
    labels = np.tile(np.repeat(["control", LABEL], size), len(places))
    place = np.repeat(places, 2 * size)[:, None]
    x = (
        place * rest
        + (labels == LABEL)[:, None] * place * response
        + 0.3 * rng.standard_normal((len(labels), FEATURES))
    )
    split = Split(kind="perturbation", labels=labels, control="control", train=np.ones(len(labels), bool), split_of={})
    return Training(values={"rna": x}, split=split, groups=groups)


def test_groups_that_are_alike_count_more() -> None:
    data = training(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
    model = SimilarityWeighted.fit(data)
    for group, own in data.by_group.items():
        wanted = own.effects("rna")[1]
        near = model.predict(LABEL, start={"rna": own.tables["rna"].mean[0]})["rna"]
        alike = model.predict(LABEL)["rna"]
        assert np.linalg.norm(near - wanted) < np.linalg.norm(alike - wanted) or group == "g2"


def test_without_a_start_all_count_alike() -> None:
    data = training(np.array([0.5, 1.5]))
    found = SimilarityWeighted.fit(data).predict(LABEL)["rna"]
    np.testing.assert_allclose(found, data.measured.effects("rna")[1], atol=0.15)


def test_it_is_as_sharp_as_groups_foretell_each_other() -> None:
    assert SimilarityWeighted.fit(training(np.repeat([-2.0, 0.0, 2.0], 3))).sharpness == {"rna": 8.0}
    assert SimilarityWeighted.fit(training(np.array([0.0, 1.0, 2.0]))).sharpness == {"rna": 2.0}
    rng = np.random.default_rng(0)
    same = training(np.ones(8))
    noise = {"rna": same.values["rna"] + np.repeat(rng.standard_normal((8, FEATURES)), 60, axis=0)}
    assert SimilarityWeighted.fit(replace(same, values=noise)).sharpness == {"rna": 2.0}


def test_groups_of_few_cells_do_not_count() -> None:
    with pytest.raises(UnsupportedError, match="no group shows it in 10 cells"):
        SimilarityWeighted.fit(training(np.array([1.0, 2.0]), size=9)).predict(LABEL)


def test_a_control_does_not_change() -> None:
    assert not SimilarityWeighted.fit(training(np.array([1.0, 2.0]))).predict("control")["rna"].any()
