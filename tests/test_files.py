from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from waddington._files import replacing, write_text
from waddington.errors import OutputError


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


def test_a_folder_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "first").touch()
    rename = os.rename

    def refuse(source: Path, target: Path) -> None:
        if ".part." in Path(source).name:
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OutputError, match="No space left"), replacing(folder) as beside:
        beside.mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "first"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*accepted: a place that can be written"):
        write_text(tmp_path / "file" / "below.txt", "x")
    with pytest.raises(OutputError, match="cannot write"):
        write_text(tmp_path / "nowhere" / "a.txt", "x")


def test_a_link_stays_a_link_whether_it_points_to_something_or_not(tmp_path: Path) -> None:
    link = tmp_path / "link.txt"
    (tmp_path / "deep").mkdir()
    link.symlink_to(tmp_path / "deep" / "real.txt")
    for text in ("first", "second"):
        write_text(link, text)
        assert link.is_symlink()
        assert (tmp_path / "deep" / "real.txt").read_text() == text
    link.unlink()
    link.symlink_to(tmp_path / "nowhere" / "real.txt")
    with pytest.raises(OutputError, match=r"cannot write .*link.txt' \(a link to .*nowhere/real.txt'\): No such file"):
        write_text(link, "x")


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="found a pipe or device"):
        write_text(tmp_path / "pipe", "x")
    assert (tmp_path / "pipe").is_fifo()


class FullDisk:
    """Takes some bytes and no more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, block: bytes) -> int:
        self.room -= len(block)
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return len(block)

    def flush(self) -> None: ...


@pytest.mark.parametrize("message", [None, "Disable slist on flush dest failure failed (file write failed: errno = 28"])
def test_a_full_disk_is_one_line(tmp_path: Path, message: str | None) -> None:
    def fill() -> None:
        with replacing(tmp_path / "weights.pt"):
            if message:
                raise RuntimeError(message)
            torch.save({"weights": torch.zeros(10**5)}, FullDisk(10**5))  # type: ignore[arg-type]

    with pytest.raises(OutputError, match=r"cannot write .*: (it could not be written whole, .* are free|No space)"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="of another kind"), replacing(tmp_path / "weights.pt"):
        raise RuntimeError("of another kind")
