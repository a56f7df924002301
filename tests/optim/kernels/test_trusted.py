"""The folder of kernels: where it is, whose files are loaded, and what a step does where it is of no use."""

from __future__ import annotations

import os
import stat
import warnings

import pytest
import torch

from waddington.errors import UnsupportedError
from waddington.optim import AMGT
from waddington.optim.engine.dispatch import COMPILE_FROM
from waddington.optim.kernels import cache, trusted

pytestmark = pytest.mark.usefixtures("fresh_process")
other_user = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def step(compile="auto"):
    param = torch.zeros(COMPILE_FROM, requires_grad=True)
    param.grad = torch.ones(COMPILE_FROM)
    optimizer = AMGT([param], compile=compile)
    optimizer.step()
    return param.detach(), optimizer.execution()[0]


def check_that_it_is_eager_and_says(reason, *, warned=True):
    """Check "auto" and True alike; give what was said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        param, record = step()
    assert (record.path == "compiled", reason in record.reason) == (False, True), record
    assert [reason in str(entry.message) for entry in caught] == [True] * warned
    assert torch.equal(param, step(False)[0])
    with pytest.raises(UnsupportedError) as error:
        step(True)
    assert reason in str(error.value)
    return record.reason


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Give a folder that has been chosen for kernels, and is not there yet."""
    monkeypatch.setenv("WADDINGTON_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def filled(folder, kernels, monkeypatch):
    """Give a folder with the kernels of the tests' step."""
    with monkeypatch.context() as patch:
        patch.setenv("WADDINGTON_CACHE", str(kernels))
        step(True)
    folder.mkdir()
    for path in kernels.glob("*.so"):
        (folder / path.name).write_bytes(path.read_bytes())
    cache.forget()
    return folder


def files_of(folder):
    return [path for path in folder.iterdir() if path.suffix == ".so"]


# -- where it is --


@pytest.mark.parametrize("chosen", [".", "below/it", "~", "~/below"])
def test_a_folder_may_be_relative_and_stays_when_the_process_goes_elsewhere(chosen, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WADDINGTON_CACHE", chosen)
    monkeypatch.chdir(tmp_path)
    trusted._from_here.cache_clear()
    here = tmp_path / chosen.replace("~", ".")
    try:
        assert trusted.cache_folder() == here
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert trusted.cache_folder() == here
    finally:
        trusted._from_here.cache_clear()


def test_kernels_are_found_in_the_folder_that_the_process_is_in(filled, monkeypatch):
    monkeypatch.chdir(filled)
    monkeypatch.setenv("WADDINGTON_CACHE", ".")
    made = len(cache.kernels_made)
    trusted._from_here.cache_clear()
    try:
        assert step()[1].path == "compiled"
    finally:
        trusted._from_here.cache_clear()
    assert len(cache.kernels_made) == made


def test_a_folder_that_is_made_is_this_users_alone(folder):
    before = os.umask(0)
    try:
        trusted.make_folder(folder / "deeper")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "deeper")] == [0o700, 0o700]


# -- what cannot be used --


def nobody_has_a_home(folder, monkeypatch):
    monkeypatch.setenv("WADDINGTON_CACHE", "~nosuchuser/kernels")
    return "no home folder is known"


def below_a_file(folder, monkeypatch):
    folder.write_text("no folder")
    return "cache"


def too_long(folder, monkeypatch):
    monkeypatch.setenv("WADDINGTON_CACHE", str(folder / ("x" * 5000)))
    return "File name too long"


def another_users_folder(folder, monkeypatch):
    folder.mkdir()
    os.chown(folder, 54321, 54321)
    return f"{folder}: it belongs to the user 54321"


def everybodys_folder(folder, monkeypatch):
    folder.mkdir()
    folder.chmod(0o777)
    return f"{folder}: everybody may write to it"


def below_everybodys_folder(folder, monkeypatch):
    everybodys_folder(folder, monkeypatch)
    monkeypatch.setenv("WADDINGTON_CACHE", str(folder / "mine"))
    return f"{folder}: everybody may write to it"


def a_groups_folder(folder, monkeypatch):
    folder.mkdir()
    os.chown(folder, -1, 54321)
    folder.chmod(0o775)
    return f"{folder}: the group 54321 may write to it"


@pytest.mark.parametrize(
    "place",
    [
        nobody_has_a_home,
        below_a_file,
        too_long,
        everybodys_folder,
        below_everybodys_folder,
        pytest.param(another_users_folder, marks=other_user),
        pytest.param(a_groups_folder, marks=other_user),
    ],
    ids=lambda place: place.__name__,
)
def test_a_folder_of_no_use_is_named_and_the_step_is_eager(place, folder, monkeypatch):
    reason = check_that_it_is_eager_and_says(place(folder, monkeypatch))
    assert "WADDINGTON_CACHE, and compile=False" in reason
    assert len(reason) < 500


def a_folder(path):
    path.unlink()
    path.mkdir()
    return "it is no file"


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)
    return "it is no file"


def a_link(path):
    path.rename(path.with_suffix(".kept"))
    path.symlink_to(path.with_suffix(".kept"))
    return "symbolic links"


def writable(path):
    path.chmod(0o666)
    return "everybody may write to it"


def another_users(path):
    os.chown(path, 54321, 54321)
    return "it belongs to the user 54321"


@pytest.mark.parametrize(
    "replace",
    [a_folder, a_pipe, a_link, writable, pytest.param(another_users, marks=other_user)],
    ids=lambda replace: replace.__name__,
)
def test_what_is_no_kernel_of_this_users_is_not_loaded(replace, filled):
    reasons = {replace(path) for path in files_of(filled)}
    reason = check_that_it_is_eager_and_says(reasons.pop())
    assert f"{filled}/" in reason


def test_a_folder_that_may_be_reached_by_a_link_is_used(filled, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(filled)
    monkeypatch.setenv("WADDINGTON_CACHE", str(tmp_path / "link"))
    made = len(cache.kernels_made)
    assert step()[1].path == "compiled"
    assert len(cache.kernels_made) == made


def test_a_file_that_cannot_be_run_from_where_it_lies_is_not_made_anew(filled, monkeypatch):
    def refuse(path):
        raise OSError(f"{path}: failed to map segment from shared object")

    monkeypatch.setattr("waddington.optim.kernels.cpu.ctypes.CDLL", refuse)
    made = len(cache.kernels_made)
    check_that_it_is_eager_and_says("failed to map segment")
    assert len(cache.kernels_made) == made


def test_a_full_disk_is_no_reason_to_raise(folder, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr("waddington.optim.kernels.cpu.os.replace", full)
    check_that_it_is_eager_and_says(f"{folder}: No space left on device")
    assert files_of(folder) == []


# -- compilers --


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (" ", "CC=' ' is no command"),
        ('gcc "-O2', "No closing quotation"),
        ("/nonexistent/gcc", "no C compiler was found (looked for /nonexistent/gcc"),
    ],
    ids=["blank", "unbalanced", "missing"],
)
def test_a_compiler_that_cannot_be_named_is_no_reason_to_raise(command, reason, folder, monkeypatch):
    monkeypatch.setenv("CC", command)
    check_that_it_is_eager_and_says(reason, warned=False)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("#!/bin/sh\nexit 0\n", "it wrote nothing"),
        ("#!/bin/sh\nexit 1\n", "no reason given"),
        (
            "#!/bin/sh\necho 'ld: failed: no space' >&2\necho 'collect2: error: ld' >&2\nexit 1\n",
            "ld: failed: no space",
        ),
        ("neither script nor program", "cannot be run"),
    ],
    ids=["silent", "failing", "linker", "no program"],
)
def test_a_compiler_that_fails_is_no_reason_to_raise(script, reason, folder, monkeypatch, tmp_path):
    compiler = tmp_path / "compiler"
    compiler.write_text(script)
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    check_that_it_is_eager_and_says(reason)


def test_another_compiler_makes_kernels_of_its_own(filled, tmp_path, monkeypatch):
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\nexec cc "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    before = set(files_of(filled))
    assert step()[1].path == "compiled"
    (new,) = set(files_of(filled)) - before
    assert [path.name.partition("-")[0] for path in before].count(new.name.partition("-")[0]) == 1
