from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from waddington.analysis import Curves, Eigenvalues, GradientNoise, GroupNorms, Landscape
from waddington.analysis.records import Saved
from waddington.errors import ArgumentError, DataError, OutputError

RESULTS = [
    Landscape(
        axes=(np.arange(3.0), np.arange(2.0)),
        loss=np.array([[1.0, np.inf], [np.nan, 2.0], [3.0, 4.0]]),
        center_loss=0.5,
        names=("a", "b/c"),
        shares=np.array([0.9, 0.1]),
        paths={"Adam": np.ones((4, 2)), "my/run": np.zeros((2, 2))},
        distances={"Adam": np.ones(4)},
    ),
    Landscape((np.arange(3.0),), np.arange(3.0), 0.5, ("line",)),
    Eigenvalues(np.array([2.0]), np.array([]), np.array([1e-9]), 12, True, 3.0, False),
    GradientNoise(1.0, 2.0, 3, 4),
    GroupNorms(("group 0", "größer"), np.ones(2), np.zeros(2), np.array([3, 4])),
    Curves(np.arange(3), {"x": np.ones(3)}),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_what_is_saved_is_loaded(result: Saved, tmp_path: Path) -> None:
    loaded = type(result).load(result.save(tmp_path / "result.npz"))
    for field in fields(result):
        saved, read = getattr(result, field.name), getattr(loaded, field.name)
        assert type(saved) is type(read)
        if isinstance(saved, dict):
            assert saved.keys() == read.keys()
            saved, read = tuple(saved.values()), tuple(read.values())
        if isinstance(saved, tuple) and saved and isinstance(saved[0], np.ndarray):
            for one, other in zip(saved, read, strict=True):
                np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_array_equal(saved, read)


def test_no_pickle_is_written_or_read(tmp_path: Path) -> None:
    path = tmp_path / "evil.npz"
    np.savez(path, kind="Curves", steps=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="allow_pickle"):
        Curves.load(path)


def test_what_cannot_be_read_or_written_says_why(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="accepted is a name that ends in"):
        RESULTS[3].save(tmp_path / "result.csv")
    with pytest.raises(OutputError, match="No such file or directory"):
        RESULTS[3].save(tmp_path / "nowhere" / "result.npz")
    with pytest.raises(DataError, match="No such file"):
        Curves.load(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError, match="accepted: a file that Curves saved"):
        Curves.load(tmp_path / "text.npz")
    RESULTS[3].save(tmp_path / "noise.npz")
    with pytest.raises(DataError, match="it holds GradientNoise; accepted: a file that Curves saved"):
        Curves.load(tmp_path / "noise.npz")
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(DataError, match="it holds nothing of this package"):
        Curves.load(tmp_path / "other.npz")


def test_a_damaged_file_is_refused_wherever_the_damage_is(tmp_path: Path) -> None:
    path = tmp_path / "result.npz"
    whole = RESULTS[0].save(path).read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            Landscape.load(path)
        except DataError:
            continue
    for end in range(0, len(whole), 97):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match="accepted: a file that Landscape saved"):
            Landscape.load(path)
    np.save(tmp_path / "array.npy", np.ones(3))
    with pytest.raises(DataError, match=r"it is no .npz file"):
        Curves.load(tmp_path / "array.npy")
    np.savez(path, kind="GradientNoise", variance=1.0)
    with pytest.raises(DataError, match="it lacks squared_norm, batches, batch_size"):
        GradientNoise.load(path)


def test_names_that_look_like_files_keep_their_own_arrays(tmp_path: Path) -> None:
    figures = {name: np.full(3, at) for at, name in enumerate(("a", "a.npy", "a.npy.npy", "", "../x", "größer ∂"))}
    loaded = Curves.load(Curves(np.arange(3), figures).save(tmp_path / "result.npz"))
    assert {name: part[0] for name, part in loaded.figures.items()} == {name: p[0] for name, p in figures.items()}
