from __future__ import annotations

import numpy as np
import pandas as pd
from tests.twin.respond.test_baselines import additive_world

from waddington.errors import UnsupportedError
from waddington.twin.data.splits import split_by_condition
from waddington.twin.evaluate.heldout import average, observe, replicate_scores, score
from waddington.twin.evaluate.metrics import PAPER
from waddington.twin.respond.base import Effect, mean_effect
from waddington.twin.respond.baselines import Additive, NoEffect
from waddington.twin.respond.measured import Measured

NAMES = {"rna": np.array(["A", "g1", "g2", "g3", "g4"])}


def value(scores: pd.DataFrame, metric: str, split: str) -> float:
    row = scores[(scores["metric"] == metric) & (scores["split"] == split)]
    return float(row["value"].iloc[0])


def test_truth_comes_from_test_cells_and_edited_genes_are_not_scored() -> None:
    values, design = additive_world()
    truth = observe(values, NAMES, design)
    label = "A:knockout"
    expected = mean_effect(values, design.cells(label, train=False), design.cells("control", train=False))
    np.testing.assert_array_equal(truth.effects[label]["rna"], expected["rna"])
    assert truth.scored[label]["rna"].tolist() == [False, True, True, True, True]
    assert truth.scored["B:knockout"]["rna"].all()


def test_the_right_model_wins_and_every_metric_is_there() -> None:
    values, design = additive_world()
    truth = observe(values, NAMES, design)
    good, bad = (
        average(score(truth, model))
        for model in (Additive(Measured.of(values, design)), NoEffect(Measured.of(values, design)))
    )
    assert set(good["metric"]) == set(PAPER)
    assert value(good, "pearson", "combo_seen2") > 0.99
    assert value(good, "mse", "combo_seen2") < 0.01 < value(bad, "mse", "combo_seen2")


def test_where_nothing_happens_nothing_correlates() -> None:
    """The trap of a shared control: with disjoint controls a screen without effects must score around zero."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.array(["control", *(f"{g}:knockout" for g in "ABCDEF")]), 60)
    values = {"rna": rng.standard_normal((len(labels), 400)).astype(np.float32)}
    names = {"rna": np.array([f"g{i}" for i in range(400)])}
    found = []
    for seed in range(5):
        design = split_by_condition(labels, seed=seed)
        truth = observe(values, names, design)
        found.append(value(average(score(truth, Additive(Measured.of(values, design)))), "pearson", "held-out cells"))
    assert abs(np.mean(found)) < 0.08


def test_replicates_agree_where_there_is_an_effect() -> None:
    values, design = additive_world()
    found = average(replicate_scores(values, NAMES, design))
    assert value(found, "pearson", "held-out cells") > 0.9
    once = average(replicate_scores(values, NAMES, design, repeats=1))
    assert found["n"].tolist() == once["n"].tolist(), "conditions are counted, not halvings"


def test_what_a_model_refuses_is_not_scored() -> None:
    values, design = additive_world()

    class Silent(NoEffect):
        def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
            raise UnsupportedError(label)

    assert score(observe(values, NAMES, design), Silent(Measured.of(values, design))).empty


def test_measurable_conditions_are_averaged_on_their_own_and_counted() -> None:
    values, design = additive_world()
    scores = score(observe(values, NAMES, design), Additive(Measured.of(values, design)))
    found = average(scores, frozenset({("A:knockout", "rna")})).set_index(["conditions", "split", "metric"])
    assert found.loc[("all", "held-out cells", "mse"), "n"] == 3
    row = found.loc[("measurable", "held-out cells", "mse")]
    one = scores[(scores["condition"] == "A:knockout") & (scores["metric"] == "mse")]["value"].item()
    assert (row["n"], row["value"]) == (1, one)
    assert ("measurable", "combo_seen2", "mse") not in found.index


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def test_labels_drawn_at_random_score_nothing_though_all_share_their_controls() -> None:
    """Cells of one strong axis: with one control mean on both sides every prediction would be right by chance."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.array(["control", *(f"{g}:knockout" for g in "ABCDEF")]), 40)
    names = {"rna": np.array([f"g{i}" for i in range(100)])}
    apart, shared = [], []
    for seed in range(20):
        x = rng.standard_normal((len(labels), 100)) + 3 * rng.standard_normal((len(labels), 1)) * rng.random(100)
        values = {"rna": x.astype(np.float32)}
        design = split_by_condition(rng.permutation(labels), seed=seed, test_fraction=0.5)
        model = Additive(Measured.of(values, design))
        apart.append(value(average(score(observe(values, NAMES | names, design), model)), "pearson", "held-out cells"))
        control = design.cells("control", train=True)
        shared.append(np.mean([
            pearson(model.predict(c)["rna"], mean_effect(values, design.cells(c, train=False), control)["rna"])
            for c in design.split_of
        ]))  # fmt: skip
    assert abs(np.mean(apart)) <= 0.15
    assert np.mean(shared) > 0.3, "the trap is there to fall into"
