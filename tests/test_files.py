from __future__ import annotations

from pathlib import Path

import pytest

from waddington._errors import OutputError
from waddington._files import replacing, write_text


def test_a_file_is_there_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "über")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "über"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_failure_leaves_what_stood_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "before")

    def fail() -> None:
        with replacing(tmp_path / "a.txt") as beside:
            beside.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (tmp_path / "a.txt").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_the_place_beside_keeps_the_suffix(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.npz") as beside:
        assert beside.suffix == ".npz"
        beside.touch()


def test_a_folder_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    for content in ("first", "second"):
        with replacing(tmp_path / "folder") as beside:
            beside.mkdir()
            (beside / content).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["second"]

    def fail() -> None:
        with replacing(tmp_path / "folder") as beside:
            beside.mkdir()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*accepted: a place that can be written"):
        write_text(tmp_path / "file" / "below.txt", "x")
    with pytest.raises(OutputError, match="cannot write"):
        write_text(tmp_path / "nowhere" / "a.txt", "x")
