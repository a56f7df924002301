"""The whole evaluator on a world whose truth is known, on noise, and on predictions of others."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests.twin.evaluate.protocol.world import DOUBLES, GENES, effects, make_screen

from waddington.errors import ArgumentError, DataError, UnknownNameError
from waddington.twin.evaluate.metrics import METRICS
from waddington.twin.evaluate.protocol import (
    GENES as GENE_COLUMNS,
)
from waddington.twin.evaluate.protocol import (
    SCORES,
    SUMMARY,
    Evaluation,
    evaluate_screen,
    labels_of_predictions,
    read_predictions,
)

FEW = ["no change", "mean", "additive", "scaled additive", "hierarchical additive"]


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return evaluate_screen(make_screen(), models=FEW, repeats=2, null_repeats=1)


def value(found: Evaluation, model: str, metric: str, split: str = "combo_seen2") -> float:
    table = found.summary[found.summary["conditions"] == "all"].set_index(["model", "metric", "split"])
    return float(table.loc[(model, metric, split), "value"])


class TestAKnownWorld:
    def test_tables_have_their_columns(self, found: Evaluation) -> None:
        assert tuple(found.scores) == SCORES
        assert tuple(found.summary) == SUMMARY
        assert tuple(found.genes) == GENE_COLUMNS
        assert set(found.scores["metric"]) == set(METRICS)

    def test_what_adds_is_predicted_by_models_that_add(self, found: Evaluation) -> None:
        for model in ("additive", "scaled additive", "hierarchical additive"):
            assert value(found, model, "pearson") > 0.9
            assert value(found, model, "ncse") < 0.15
            assert value(found, model, "discrimination") > 0.95
            assert value(found, model, "sign_accuracy") > 0.9
        assert value(found, "mean", "pearson") < 0.7

    def test_no_change_scores_what_the_scales_say(self, found: Evaluation) -> None:
        assert value(found, "no change", "ncse") == pytest.approx(1.0)
        assert value(found, "no change", "discrimination") == pytest.approx(0.5)
        assert value(found, "no change", "sign_accuracy") == pytest.approx(0.5)

    def test_the_scale_runs_from_the_mean_to_the_replicate(self, found: Evaluation) -> None:
        scaled = found.summary[found.summary["metric"] == "pearson"].set_index("model")["scaled"]
        np.testing.assert_allclose(scaled["mean"], 0.0, atol=1e-12)
        np.testing.assert_allclose(scaled["replicate"], 1.0)

    def test_measurable_is_one_answer_a_condition(self, found: Evaluation) -> None:
        answers = found.scores.groupby(["perturbation", "modality"])["measurable"].nunique()
        assert (answers == 1).all()
        assert found.conditions["measurable"].all()

    def test_permuted_labels_show_nothing(self, found: Evaluation) -> None:
        whole = found.null[found.null["split"] == "every split"]
        assert (whole["n_measurable"] == 0).all()
        assert (whole["pearson"].dropna().abs() < 0.25).all()  # 18 conditions of 24 features

    def test_a_difference_is_paired_with_the_reference(self, found: Evaluation) -> None:
        rows = found.summary[(found.summary["metric"] == "pearson") & (found.summary["conditions"] == "all")]
        row = rows.set_index(["split", "model"]).loc[("combo_seen2", "additive")]
        assert row["reference"] == "scaled additive"
        both = [value(found, model, "pearson") for model in ("additive", "scaled additive")]
        assert row["difference"] == pytest.approx(both[0] - both[1])
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]

    def test_intervals_are_said_to_cover_what_they_cover(self, found: Evaluation) -> None:
        table = found.coverage
        assert set(table["level"]) == {0.9}
        assert set(table["model"]) == {"hierarchical additive"}
        rows = table.set_index(["split", "interval", "features"])
        for features in ("expressed", "changed"):
            assert 0.8 < rows.loc[("combo_seen2", "normal", features), "coverage"] <= 1.0
        counted = table[(table["interval"] == "conformal") & (table["features"] == "expressed")]
        numbers = counted.set_index("split")["n"]
        assert (numbers["unseen_single"], numbers["held-out cells"]) == (6, 9)
        assert (counted["low"] <= counted["coverage"]).all()
        assert (counted["coverage"] <= counted["high"]).all()
        assert (table["width"] > 0).all()

    def test_each_gene_is_judged_over_conditions(self, found: Evaluation) -> None:
        rows = found.genes[(found.genes["model"] == "additive") & (found.genes["split"] == "held-out cells")]
        assert len(rows) == len(GENES)
        assert (rows["n"] == 9).all()
        assert rows.loc[rows["measurable"], "pearson"].median() > 0.8

    def test_it_says_what_it_holds(self, found: Evaluation) -> None:
        assert repr(found).startswith("Evaluation (5 models; splits: ")
        assert "9 of 9 conditions measurable; tables: scores, summary," in repr(found)

    def test_the_same_seed_gives_the_same_tables(self) -> None:
        one, again = (
            evaluate_screen(make_screen(), models=["additive"], splits=["combo_seen2"], repeats=1, null_repeats=1)
            for _ in range(2)
        )
        pd.testing.assert_frame_equal(again.scores, one.scores)
        pd.testing.assert_frame_equal(again.summary, one.summary)


def test_a_screen_without_effect_is_not_measurable_and_scores_nothing() -> None:
    found = evaluate_screen(make_screen(scale=0.0), models=["additive", "mean"], repeats=2, null_repeats=0)
    assert not found.scores["measurable"].any()
    assert abs(value(found, "additive", "pearson")) < 0.35


def predictions(rows: dict[str, np.ndarray], **obs: list[str]) -> ad.AnnData:
    made = ad.AnnData(
        np.stack(list(rows.values())), obs=pd.DataFrame(obs, index=list(rows)), var=pd.DataFrame(index=list(GENES))
    )
    return made


class TestPredictionsOfOthers:
    def test_a_perfect_one_wins_in_every_convention(self) -> None:
        screen, true = make_screen(), effects()
        profiles = {"control": np.full(24, 10.0), **{label: 10.0 + true[label] for label in DOUBLES}}
        gears = ["ctrl", "A+B", "A+C", "B+D"]
        conventions = {
            "canonical": predictions(profiles),
            "gears": predictions(dict(zip("wxyz", profiles.values(), strict=True)), condition=gears),
            "shifted": predictions(
                dict(zip("wxyz", [x + 3.0 for x in profiles.values()], strict=True)), perturbation=gears
            ),
        }
        given = {
            name: read_predictions(one, labels_of_predictions(one, screen), screen) for name, one in conventions.items()
        }
        found = evaluate_screen(
            screen, models=["additive"], predictions=given, splits=["combo_seen2"], repeats=1, null_repeats=0
        )
        assert value(found, "canonical", "pearson") > 0.93
        for name in ("gears", "shifted"):
            assert value(found, name, "pearson") == pytest.approx(value(found, "canonical", "pearson"))
        assert any("cannot be checked" in note for note in found.notes)

    def test_predicted_cells_are_averaged(self) -> None:
        screen, true = make_screen(), effects()
        rng = np.random.default_rng(0)
        labels = np.repeat(["non-targeting", "A"], 40)
        cells = 10.0 + np.where(labels[:, None] == "A", true["A:knockout"], 0.0) + rng.normal(size=(80, 24))
        made = ad.AnnData(cells, obs=pd.DataFrame({"target_gene": labels}, index=[f"c{i}" for i in range(80)]))
        made.var_names = list(GENES)
        one = read_predictions(made, labels_of_predictions(made, screen), screen)
        np.testing.assert_allclose(one.predict("A:knockout")["rna"], true["A:knockout"], atol=1.2)

    def test_features_may_come_in_any_order(self) -> None:
        screen, true = make_screen(), effects()
        made = predictions({"A:knockout": true["A:knockout"]})
        made.layers["effect"] = made.X.copy()
        made = made[:, ::-1].copy()
        one = read_predictions(made, labels_of_predictions(made, screen), screen)
        np.testing.assert_allclose(one.predict("A:knockout")["rna"], true["A:knockout"])

    def test_doses_are_read_from_labels_or_from_a_column(self) -> None:
        drugs = {"A:knockout": "X@1:drug", "B:knockout": "X@10:drug"}
        screen = make_screen(labels=np.array([drugs.get(label, label) for label in make_screen().labels]))
        rows = {name: np.zeros(24) for name in "wxyz"}
        for obs in (
            {"perturbation": ["ctrl", "X@1", "X@10", "C"]},
            {"perturbation": ["ctrl", "X", "X", "C"], "dose": ["", "1 uM", "10uM", ""]},
        ):
            found = labels_of_predictions(predictions(rows, **obs), screen)
            assert found.tolist() == ["control", "X@1:drug", "X@10:drug", "C:knockout"]

    def test_one_dose_of_a_drug_is_read_also_of_cells_of_one_name(self) -> None:
        screen = make_screen(labels=np.where(make_screen().labels == "A:knockout", "X@10:drug", make_screen().labels))
        cells = predictions({"w": np.zeros(24), "x": np.zeros(24)}, perturbation=["X", "X"], dose=["10", "10"])
        cells.obs_names = ["cell", "cell"]
        assert set(labels_of_predictions(cells, screen)) == {"X@10:drug"}
        cells.obs["dose"] = "10 nM"
        assert set(labels_of_predictions(cells, replace(screen, dose_unit="NM"))) == {"X@10:drug"}
        with pytest.raises(DataError, match="in nM, those of the cells in uM"):
            labels_of_predictions(cells, replace(screen, dose_unit="uM"))
        cells.obs["dose"] = "high"
        with pytest.raises(DataError, match="cannot read column 'dose' as doses: found 'high'"):
            labels_of_predictions(cells, screen)
        del cells.obs["dose"]
        with pytest.raises(DataError, match="with its dose in the label"):
            read_predictions(cells, labels_of_predictions(cells, screen), screen)

    def test_conditions_that_the_cells_lack_are_said(self) -> None:
        screen, true = make_screen(), effects()
        made = predictions({DOUBLES[0]: 10.0 + true[DOUBLES[0]], "Q:knockout": np.full(24, 10.0)})
        notes = read_predictions(made, labels_of_predictions(made, screen), screen).notes
        assert notes == ("the cells have none of 1 condition that it predicts, left out: Q:knockout",)

    def test_parts_of_a_combination_may_come_in_any_order(self) -> None:
        made = predictions({"control": np.zeros(24), "B:knockout+A:knockout": np.ones(24)})
        assert labels_of_predictions(made, make_screen()).tolist() == ["control", "A:knockout+B:knockout"]

    @pytest.mark.parametrize(
        ("change", "layer", "expected"),
        [
            (lambda x: x, None, []),
            (lambda x: x - 10.0, "effect", []),
            (lambda x: np.exp(x / 2), None, ["of another size than the cells"]),
            (lambda x: x, "effect", ["of another size than the cells"]),
        ],
        ids=["profiles", "effects", "profiles that are counts", "effects that are profiles"],
    )
    def test_values_of_another_size_than_the_cells_are_said(self, change, layer, expected) -> None:
        screen, true = make_screen(), effects()
        made = predictions({label: change(10.0 + true[label]) for label in DOUBLES})
        if layer is not None:
            made.layers[layer] = made.X.copy()
        notes = read_predictions(made, labels_of_predictions(made, screen), screen).notes
        assert len(notes) == len(expected)
        assert all(text in note for text, note in zip(expected, notes, strict=True))

    def test_rows_of_one_condition_are_counted(self) -> None:
        screen, true = make_screen(), effects()
        made = predictions({"x": 10.0 + true["A:knockout"], "y": 10.0 + true["A:knockout"]}, perturbation=["A", "A"])
        one = read_predictions(made, labels_of_predictions(made, screen), screen)
        found = evaluate_screen(
            screen, models=[], predictions={"theirs": one}, splits=["unseen_single"], repeats=1, null_repeats=0
        )
        assert "theirs: its 2 rows were averaged to 1 condition." in found.notes

    def test_what_does_not_fit_is_refused_by_name(self) -> None:
        screen, true = make_screen(), effects()
        made = predictions({"A:knockout": true["A:knockout"]})
        labels = labels_of_predictions(made, screen)
        with pytest.raises(DataError, match="1 of 24 features are missing, the first is 'g0'"):
            read_predictions(made[:, 1:].copy(), labels, screen)
        with pytest.raises(DataError, match="accepted: at least one of its conditions"):
            read_predictions(made, np.array(["Q:knockout"]), screen)
        spoiled = made.copy()
        spoiled.X[0, 0] = np.inf
        with pytest.raises(DataError, match="NaN or infinity"):
            read_predictions(spoiled, labels, screen)
        empty = ad.AnnData(obs=made.obs, var=made.var)
        with pytest.raises(DataError, match="found neither X nor layers"):
            read_predictions(empty, labels, screen)
        nameless = predictions({"cell": true["A:knockout"]})
        with pytest.raises(DataError, match="cannot tell what is predicted"):
            labels_of_predictions(nameless, screen)
        activated = predictions({"x": true["A:knockout"]}, perturbation=["A"], perturbation_mode=["activation"])
        assert labels_of_predictions(activated, screen).tolist() == ["A:activation"], "a mode that is said is meant"
        both = make_screen(
            labels=np.where(screen.labels == "B:knockout", "A:activation", screen.labels).astype(np.str_)
        )
        with pytest.raises(DataError, match="A:activation and A:knockout"):
            labels_of_predictions(predictions({"x": true["A:knockout"]}, perturbation=["A"]), both)


def test_groups_that_were_not_hidden_are_named() -> None:
    labels = make_screen().labels
    groups = np.array(["one", "two", "three"])[np.arange(len(labels)) % 3]
    groups[(labels == "control") & (groups == "three")] = "one"
    asked = {"models": ["additive"], "repeats": 1, "null_repeats": 0}
    found = evaluate_screen(make_screen(groups=groups), **asked)
    assert any("1 group with too few controls" in note and note.endswith("hidden: three.") for note in found.notes)
    train = np.arange(len(labels)) % 2 == 0
    found = evaluate_screen(make_screen(groups=groups, train=train), **asked)
    assert any("so no group was hidden" in note for note in found.notes)


def test_asking_for_nothing_or_for_what_is_unknown_is_refused() -> None:
    screen = make_screen()
    with pytest.raises(UnknownNameError, match="'additve'"):
        evaluate_screen(screen, models=["additve"])
    with pytest.raises(ArgumentError, match="seed=-1"):
        evaluate_screen(screen, seed=-1)
    with pytest.raises(ArgumentError, match="cannot evaluate nothing"):
        evaluate_screen(screen, models=[])
    with pytest.raises(ArgumentError, match="'latent additive' without a representation"):
        evaluate_screen(screen, models=["latent additive"])
    one = read_predictions(
        made := predictions({"A:knockout": effects()["A:knockout"]}), labels_of_predictions(made, screen), screen
    )
    with pytest.raises(ArgumentError, match="a model bears that name"):
        evaluate_screen(screen, models=["mean"], predictions={"additive": one})
