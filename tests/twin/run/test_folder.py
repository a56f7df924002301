from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from waddington.errors import ArgumentError, DataError, OutputError
from waddington.twin.datasets import simulate
from waddington.twin.run import RunConfig, run
from waddington.twin.run.folder import RunFolder, fingerprint

CONFIG = RunConfig.of("smoke")


def test_a_folder_with_a_run_is_refused_without_resume(tmp_path: Path) -> None:
    RunFolder(tmp_path / "out").claim(CONFIG, "data")
    with pytest.raises(OutputError, match="already holds work; accepted: another folder, or resume=True"):
        RunFolder(tmp_path / "out")
    RunFolder(tmp_path / "out", resume=True).claim(CONFIG, "data")


def test_a_run_of_other_settings_is_refused_and_kept(tmp_path: Path) -> None:
    RunFolder(tmp_path).claim(CONFIG, "data")
    before = (tmp_path / "work" / "config.json").read_text()
    with pytest.raises(OutputError, match="seeds was 1, is 5"):
        RunFolder(tmp_path, resume=True).claim(dataclasses.replace(CONFIG, seeds=5), "data")
    with pytest.raises(OutputError, match="data was 'data', is 'other'"):
        RunFolder(tmp_path, resume=True).claim(CONFIG, "other")
    assert (tmp_path / "work" / "config.json").read_text() == before


def test_where_it_runs_may_change_on_resuming(tmp_path: Path) -> None:
    RunFolder(tmp_path).claim(CONFIG, "data")
    RunFolder(tmp_path, resume=True).claim(dataclasses.replace(CONFIG, workers=7), "data")


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("keep me")
    with pytest.raises(OutputError, match="cannot write to output folder"):
        RunFolder(tmp_path / "file")
    with pytest.raises(OutputError, match="cannot write to output folder"):
        RunFolder(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "keep me"


def test_a_name_that_is_too_long_and_links_in_a_ring_are_no_folders(tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    for name in ("x" * 300, "ring"):
        with pytest.raises(OutputError, match="cannot write to output folder"):
            RunFolder(tmp_path / name)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.locked(), pytest.raises(OutputError, match="another run is writing there"), folder.locked():
        pass
    with folder.locked():
        pass


def test_a_folder_that_nothing_came_of_is_taken_away(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "new").locked():
        pass
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").mkdir()
    with RunFolder(tmp_path / "mine").locked():
        pass
    assert (tmp_path / "mine").exists()


def test_the_fingerprint_sees_counts_and_labels() -> None:
    first, again, other = (simulate(n_cells=60, n_truth_cells=8, seed=seed) for seed in (0, 0, 1))
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
    again.obs["perturbation"] = "control"
    assert fingerprint(again) != fingerprint(first)


def test_a_link_to_a_folder_that_is_yet_to_be_made(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "results")
    RunFolder(tmp_path / "link")
    assert (tmp_path / "disk" / "results").is_dir()
    assert (tmp_path / "link").is_symlink()


def test_an_empty_folder_has_nothing_to_resume(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "out", resume=True).is_empty
    RunFolder(tmp_path / "out", resume=True).claim(CONFIG, "data")
    assert not RunFolder(tmp_path / "out", resume=True).is_empty


def test_resuming_where_nothing_is_is_said(tmp_path: Path) -> None:
    (tmp_path / "damaged.h5ad").write_text("no cells")
    with pytest.warns(UserWarning, match="nothing to resume in .*out"), pytest.raises(DataError):
        run(tmp_path / "damaged.h5ad", out=tmp_path / "out", resume=True)


def test_a_run_refused_while_its_cells_are_prepared_leaves_its_folder_free(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ArgumentError, match="nothing here has that name"):
            run(out=tmp_path, preset="smoke", root="nowhere")
    assert not list(tmp_path.iterdir())


def test_what_was_in_a_folder_before_is_not_forgotten(tmp_path: Path) -> None:
    RunFolder(tmp_path).claim(CONFIG, "data")
    RunFolder(tmp_path, resume=True).forget()
    RunFolder(tmp_path, resume=True).claim(CONFIG, "data")
    assert (tmp_path / "work" / "config.json").exists()
