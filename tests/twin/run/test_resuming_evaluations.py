"""An evaluation that is killed goes on where it was, and ends with the tables of one that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.twin.evaluate.protocol.world import make_screen
from tests.twin.run.test_evaluating import cells

from waddington.errors import OutputError, UnknownNameError
from waddington.jobs import Store
from waddington.twin.evaluate.protocol import TABLES, Evaluation, evaluate_screen, folds_of, write_tables
from waddington.twin.evaluate.protocol.keeping import pack, unpack
from waddington.twin.evaluate.protocol.scores import Bench
from waddington.twin.run import evaluate_file

ASKED: dict[str, Any] = {
    "models": ["hierarchical additive"], "splits": ["combo_seen2", "held-out cells"], "repeats": 2, "null_repeats": 1,
}  # fmt: skip


def kill_after(monkeypatch: pytest.MonkeyPatch, pieces: int) -> list[int]:
    """Kill whatever judges after so many pieces; give the list of those that were judged."""
    judged: list[int] = []
    judge = Bench.judge

    def dying(self: Bench, repeat: int, *rest: Any) -> Any:
        if len(judged) == pieces:
            raise KeyboardInterrupt
        judged.append(repeat)
        return judge(self, repeat, *rest)

    monkeypatch.setattr(Bench, "judge", dying)
    return judged


def tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{name}.csv").read_bytes() for name in TABLES}


def test_killed_in_the_middle_it_ends_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluated(store: str, **more: Any) -> dict[str, bytes]:
        write_tables(evaluate_screen(make_screen(), store=tmp_path / store, **ASKED, **more), tmp_path)
        return tables(tmp_path)

    whole = evaluated("whole")
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            evaluated("killed")
    told: list[float] = []
    judged = kill_after(monkeypatch, 100)
    assert evaluated("killed", callback=lambda done, _: told.append(done)) == whole
    assert len(judged) == 4 + 1 - 3, "two splits of two halvings and a draw of labels, less what was kept"
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def test_one_that_was_refused_leaves_its_folder_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, asked = cells(tmp_path / "cells.h5ad"), {**ASKED, "normalization": "none"}
    with pytest.raises(UnknownNameError, match="gears"):
        evaluate_file(path, tmp_path / "out", **{**asked, "models": ["gears"]})
    kill_after(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        evaluate_file(path, tmp_path / "out", **asked)


def test_one_that_was_begun_goes_on_only_where_it_is_asked_to_and_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, asked = cells(tmp_path / "cells.h5ad"), {**ASKED, "normalization": "none"}
    other = cells(tmp_path / "other.h5ad", scale=1.4)
    kill_after(monkeypatch, 0)
    for resume in (False, True):
        with pytest.raises(KeyboardInterrupt):
            evaluate_file(path, tmp_path / "out", resume=resume, **asked)
    with pytest.raises(OutputError, match=r"begun there and has not ended.*resume=True"):
        evaluate_file(path, tmp_path / "out", **asked)
    with pytest.raises(OutputError, match=r"other settings .*repeats was 2, is 3"):
        evaluate_file(path, tmp_path / "out", resume=True, **{**asked, "repeats": 3})
    with pytest.raises(OutputError, match=r"other settings .*cells was"):
        evaluate_file(other, tmp_path / "out", resume=True, **asked)
    (tmp_path / "out" / "work" / "begun.json").write_text('{"models":')
    with pytest.raises(OutputError, match=r"'begun.json' of its folder 'work', .*cannot be read"):
        evaluate_file(path, tmp_path / "out", resume=True, **asked)


@pytest.mark.slow
def test_the_folder_of_one_that_was_killed_ends_as_that_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, asked = cells(tmp_path / "cells.h5ad"), {**ASKED, "normalization": "none"}
    whole = evaluate_file(path, tmp_path / "whole", **asked)
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            evaluate_file(path, tmp_path / "killed", **asked)
    assert not (tmp_path / "killed" / "scores.csv").exists()
    judged = kill_after(monkeypatch, 100)
    again = evaluate_file(path, tmp_path / "killed", resume=True, **asked)
    assert tables(again.out) == tables(whole.out)
    evaluate_file(path, tmp_path / "killed", resume=True, **asked)
    assert len(judged) == 2, "one that has ended is only written again"
    evaluate_file(path, tmp_path / "killed", **asked)
    assert len(judged) == 2 + 5, "or done anew, where nobody asks for what is there"


def test_pieces_that_were_lost_or_damaged_are_done_again(tmp_path: Path) -> None:
    few: dict[str, Any] = {"models": ["additive"], "splits": ["combo_seen2"], "repeats": 2, "null_repeats": 0}
    whole = evaluate_screen(make_screen(), store=tmp_path, **few)
    first, second = sorted(tmp_path.rglob("arrays.npz"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:100])
    assert evaluate_screen(make_screen(), store=tmp_path, **few).scores.equals(whole.scores)
    assert len([path for path in tmp_path.rglob("arrays.npz") if path.stat().st_size > 100]) == 2


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out" / "work").mkdir(parents=True)
    with pytest.raises(OutputError, match="folder 'work' of something else"):
        evaluate_file(cells(tmp_path / "cells.h5ad"), tmp_path / "out", normalization="none")


def test_pieces_of_another_screen_or_of_other_settings_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few: dict[str, Any] = {"models": ["additive"], "splits": ["combo_seen2"], "repeats": 2, "null_repeats": 0}
    judged = kill_after(monkeypatch, 100)

    def evaluated(scale: float = 1.5, **changed: Any) -> tuple[int, Evaluation]:
        before = len(judged)
        found = evaluate_screen(make_screen(scale=scale), store=tmp_path, **{**few, **changed})
        return len(judged) - before, found

    n, first = evaluated()
    assert n == 2
    n, again = evaluated()
    assert n == 0
    assert again.scores.equals(first.scores)
    assert first.scores.equals(evaluate_screen(make_screen(), **few).scores), "kept or not, digits are the same"
    for changed in ({"scale": 1.4}, {"models": ["scaled additive"]}, {"seed": 1}, {"splits": ["unseen_single"]}):
        assert evaluated(**changed)[0] == 2, changed  # type: ignore[arg-type]
    n, longer = evaluated(repeats=3)
    assert n == 1, "halvings that were judged stay what they are"
    assert (longer.scores["repeats"] >= 2).all()
    with Store(tmp_path) as store:
        assert set(store.recorded().values()) == {"done"}


def test_scores_that_were_kept_are_those_that_were_measured() -> None:
    bench = Bench(make_screen(), {}, repeats=1, seed=0)
    scores = bench.judge(0, folds_of(make_screen(), splits=["combo_seen2", "unseen_single"]))
    scores.refused["none"] = {"A:knockout": "why"}
    again = unpack(pack(scores))
    assert list(again.values) == list(scores.values)
    for key, rows in scores.values.items():
        np.testing.assert_array_equal(again.values[key], rows)
    for kind, sums in scores.genes.items():
        np.testing.assert_array_equal(again.genes[kind].table, sums.table)
        np.testing.assert_array_equal(again.genes[kind].n_conditions, sums.n_conditions)
    assert again.refused == scores.refused
