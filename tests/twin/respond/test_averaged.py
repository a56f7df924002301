"""The mean of response models over seeds."""

from __future__ import annotations

import numpy as np
import pytest

from waddington.errors import ArgumentError, UnsupportedError
from waddington.twin.data.splits import Split
from waddington.twin.models import FittedResponse
from waddington.twin.models.profiles import response_of
from waddington.twin.respond.averaged import AveragedResponse
from waddington.twin.respond.decoded import DecodedResponse


def fitted() -> tuple[AveragedResponse, FittedResponse]:
    rng = np.random.default_rng(0)
    labels = np.array(["control", "A:knockout", "B:knockout"] * 20)
    split = Split(kind="perturbation", labels=labels, control="control", train=np.arange(60) % 4 > 0, split_of={})
    values = {"rna": rng.normal(size=(60, 5)).astype(np.float32)}
    members = [DecodedResponse(rng.normal(size=(60, 3)).astype(np.float32), values, split) for _ in range(3)]
    averaged = AveragedResponse(members)
    return averaged, response_of(averaged, values, {"rna": list("abcde")}, split)


@pytest.mark.parametrize("label", ["A:knockout", "A:knockout+B:knockout", "control"])
def test_it_predicts_the_mean_of_its_members(label: str) -> None:
    averaged, response = fitted()
    wanted = np.mean([member.predict(label)["rna"] for member in averaged.members], axis=0)
    assert np.array_equal(averaged.predict(label)["rna"], wanted)
    loaded = FittedResponse.from_state_dict(response.state_dict()).model
    assert isinstance(loaded, AveragedResponse)
    np.testing.assert_allclose(loaded.predict(label)["rna"], wanted, rtol=1e-12)
    np.testing.assert_allclose(loaded.standard_error(label)["rna"], averaged.standard_error(label)["rna"], rtol=1e-12)
    assert loaded.support(label) == averaged.members[0].support(label)


def test_it_refuses_what_its_members_refuse() -> None:
    with pytest.raises(UnsupportedError, match="C:knockout"):
        fitted()[0].predict("C:knockout")
    with pytest.raises(ArgumentError, match="at least one"):
        AveragedResponse([])
