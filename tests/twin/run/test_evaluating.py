"""From a file to tables, pictures and a page."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests.twin.evaluate.protocol.world import DOUBLES, GENES, SINGLES, effects, make_screen

from waddington.errors import ArgumentError, DataError, OutputError
from waddington.jobs import locked
from waddington.twin.evaluate.protocol import TABLES, evaluate_screen
from waddington.twin.evaluate.protocol.scores import REPLICATE
from waddington.twin.run import EvaluationResult, evaluate_file, write_evaluation
from waddington.twin.run.evaluation_verdicts import verdicts_of

MODELS = ["mean", "scaled additive", "hierarchical additive"]


def cells(path: Path, scale: float = 1.5) -> Path:
    """Write a small screen as another tool would leave it: normalized values, labels of bare genes."""
    screen = make_screen(scale=scale)
    made = ad.AnnData(screen.values["rna"], var=pd.DataFrame(index=list(GENES)))
    made.obs["perturbation"] = [label.replace(":knockout", "") for label in screen.labels]
    made.obs["perturbation_mode"] = "knockout"
    made.obs["donor"] = np.where(np.arange(made.n_obs) % 2 == 0, "one", "two")
    made.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> EvaluationResult:
    folder = tmp_path_factory.mktemp("evaluation")
    true = effects()
    mine = ad.AnnData(
        np.stack([true[label] for label in DOUBLES]),
        obs=pd.DataFrame({"perturbation": ["A+B", "A+C", "B+D"]}, index=list("xyz")),
        var=pd.DataFrame(index=list(GENES)),
    )
    mine.layers["effect"] = mine.X.copy()
    mine.write_h5ad(folder / "mine.h5ad")
    return evaluate_file(
        cells(folder / "cells.h5ad"), folder / "out", models=MODELS, predictions=[folder / "mine.h5ad"],
        normalization="none", repeats=1, null_repeats=2,
    )  # fmt: skip


def test_every_table_lies_in_the_folder_as_it_was_found(result: EvaluationResult) -> None:
    for name in TABLES:
        written = pd.read_csv(result.out / f"{name}.csv", keep_default_na=False, na_values=[""])
        assert len(written) == len(getattr(result.evaluation, name)), name
    scores = pd.read_csv(result.out / "scores.csv")
    assert set(scores["perturbation"]) == {*SINGLES, *DOUBLES}
    assert scores["measurable"].dtype == bool
    assert set(scores["model"]) == {*MODELS, "mine", "replicate"}


def test_a_perfect_prediction_of_others_is_best(result: EvaluationResult) -> None:
    table = result.evaluation.summary
    rows = table[(table["metric"] == "pearson") & (table["split"] == "combo_seen2") & (table["conditions"] == "all")]
    values = rows.set_index("model")["value"]
    assert values["mine"] == values.max() > 0.93


def test_the_page_opens_with_what_can_be_predicted(result: EvaluationResult) -> None:
    page = (result.out / "report.html").read_text(encoding="utf-8")
    assert page.index("Do these cells show what the conditions do") < page.index("Is nothing found")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("data:image/png;base64") >= 3
    assert "combo_seen2 (a combination whose single perturbations were all measured alone)" in page
    assert "one seed" not in page
    assert "?." not in page
    for picture in ("forest_rna.png", "ceiling.png", "calibration.png", "genes.png"):
        assert (result.out / picture).stat().st_size > 1000


def test_verdicts_say_yes_where_effects_are_real_and_nothing_where_they_are_not(result: EvaluationResult) -> None:
    answers = {verdict.question: verdict.answer for verdict in result.verdicts}
    assert answers["Do these cells show what the conditions do to RNA?"] == "yes"
    double = next(answer for question, answer in answers.items() if "were all measured alone" in question)
    assert double in ("yes", "partly")
    nothing = evaluate_screen(make_screen(scale=0.0), models=["additive"], repeats=1, null_repeats=0)
    found = [verdict.answer for verdict in verdicts_of(nothing)]
    assert found == ["not measurable"] * len(found)


def test_a_verdict_says_how_many_answers_are_guesses_and_of_how_many_conditions(result: EvaluationResult) -> None:
    found = result.evaluation

    def sentence(scores: pd.DataFrame, summary: pd.DataFrame) -> str:
        changed = dataclasses.replace(found, scores=scores, summary=summary)
        return next(one.sentence for one in verdicts_of(changed) if "were all measured alone" in one.question)

    assert "guess" not in sentence(found.scores, found.summary)
    assert "all of them with a guessed part" in sentence(found.scores.assign(support="partial"), found.summary)
    rows = (found.summary["split"] == "combo_seen2") & (found.summary["conditions"] == "measurable")
    some = found.summary.assign(n=found.summary["n"].mask(rows & (found.summary["model"] != REPLICATE), 1))
    asked = int(found.summary.loc[rows & (found.summary["model"] == REPLICATE), "n"].max())
    assert f"over 1 of {asked} measurable conditions" in sentence(found.scores, some)


def test_of_two_conditions_nothing_is_answered(result: EvaluationResult) -> None:
    """The bootstrap of two has their own range as its interval, which excludes 0 in one of two worlds of noise."""
    found = result.evaluation
    rows = (found.summary["split"] == "combo_seen2") & (found.summary["conditions"] == "measurable")
    changed = dataclasses.replace(found, summary=found.summary.assign(n=found.summary["n"].mask(rows, 2)))
    verdict = next(one for one in verdicts_of(changed) if "were all measured alone" in one.question)
    assert verdict.answer == "undecided"
    assert verdict.sentence.endswith("over 2 measurable conditions: too few to tell.")


@pytest.mark.parametrize(("times", "said"), [(2, "With 2 permutations this may be chance"), (20, "")])
def test_what_few_permutations_show_may_be_chance(result: EvaluationResult, times: int, said: str) -> None:
    found = result.evaluation
    settings = {**found.settings, "null_repeats": times}
    loud = dataclasses.replace(found, null=found.null.assign(pearson=0.2), settings=settings)
    verdict = list(verdicts_of(loud))[-1]
    assert verdict.answer == "no"
    assert said in verdict.evidence
    assert ("chance" in verdict.evidence) == bool(said)


@pytest.mark.slow
def test_groups_are_read_from_a_column(tmp_path: Path) -> None:
    found = evaluate_file(
        cells(tmp_path / "cells.h5ad"), tmp_path / "out", models=["similarity-weighted"], group_key="donor",
        normalization="none", repeats=1, null_repeats=0,
    )  # fmt: skip
    assert set(found.evaluation.scores["group"]) == {"one", "two"}
    assert set(found.evaluation.scores["split"]) == {"held-out group"}


def test_what_cannot_be_read_is_refused_before_any_work(tmp_path: Path) -> None:
    path = cells(tmp_path / "cells.h5ad")
    with pytest.raises(DataError, match="there is no such file"):
        evaluate_file(path, tmp_path / "out", predictions=[tmp_path / "none.h5ad"])
    (tmp_path / "broken.h5ad").write_text("no")
    with pytest.raises(DataError, match=r"cannot read predictions .*broken\.h5ad"):
        evaluate_file(path, tmp_path / "out", predictions=[tmp_path / "broken.h5ad"])
    with pytest.raises(DataError, match="group_key='line'"):
        evaluate_file(path, tmp_path / "out", group_key="line", normalization="none")
    assert not (tmp_path / "out" / "report.html").exists()


def test_predictions_of_one_name_and_a_folder_of_something_else_are_refused(tmp_path: Path) -> None:
    path = cells(tmp_path / "cells.h5ad")
    files = [tmp_path / where / "mine.h5ad" for where in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        shutil.copy(path, file)
    with pytest.raises(ArgumentError, match="two predictions called 'mine'"):
        evaluate_file(path, tmp_path / "out", predictions=files)
    for name in ("report.html", "scores.csv"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text("somebody's")
        with pytest.raises(OutputError, match=f"{name} of something else"):
            evaluate_file(path, folder)
        assert (folder / name).read_text() == "somebody's"


def test_two_evaluations_do_not_write_to_one_folder(tmp_path: Path) -> None:
    path, out = cells(tmp_path / "cells.h5ad"), tmp_path / "out"
    out.mkdir()
    with locked(out), pytest.raises(OutputError, match="another evaluation is writing there"):
        evaluate_file(path, out, normalization="none")


@pytest.mark.slow
def test_an_evaluation_of_ones_own_data_is_written_the_same_way(tmp_path: Path) -> None:
    found = evaluate_screen(make_screen(), models=["additive"], splits=["combo_seen2"], repeats=1, null_repeats=0)
    written = write_evaluation(found, tmp_path / "out", source="my cells")
    assert "my cells" in (written.out / "report.html").read_text(encoding="utf-8")
    assert len(pd.read_csv(written.out / "scores.csv")) == len(found.scores)


def test_a_mean_over_fewer_conditions_is_no_rival() -> None:
    screen = make_screen()
    found = evaluate_screen(
        screen, models=["additive", "hierarchical additive"], splits=["combo_seen2"], repeats=1, null_repeats=0
    )
    table = found.summary
    rows = (table["model"] == "additive") & (table["metric"] == "pearson")
    table.loc[rows, ["value", "n"]] = [0.999, 1]
    verdict = next(one for one in verdicts_of(found) if "were all measured alone" in one.question)
    assert "additive has" not in verdict.sentence
    assert "additive 1.00 (of 1)" in verdict.evidence
