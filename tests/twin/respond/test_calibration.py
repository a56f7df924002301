"""Intervals: the factor equals its float64 transcription; in a world that is as the model says, the level is met."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.twin.respond.test_baselines import additive_world

from waddington.errors import ArgumentError
from waddington.twin.data.splits import Split
from waddington.twin.respond import Training, fit_model
from waddington.twin.respond.base import Effect, MeasuredModel
from waddington.twin.respond.baselines import Additive
from waddington.twin.respond.calibration import Calibration, calibrate, coverage, expressed_features
from waddington.twin.respond.hierarchical import HierarchicalAdditive
from waddington.twin.respond.known import SUPPORT, Known
from waddington.twin.respond.left_out import HIDDEN_FOR, leave_out
from waddington.twin.respond.measured import Measured

FEATURES = 60
Z = 1.6448536269514722


class Half(MeasuredModel):
    """Every condition does half of what the others do on average, give or take .3."""

    name = "half"

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        return {modality: 0.5 * self.measured.effects(modality)[1:].mean(axis=0) for modality in self.measured.tables}

    def standard_deviation(self, label: str, *, guess: bool = False) -> Effect:
        return {modality: np.full(table.mean.shape[1], 0.3) for modality, table in self.measured.tables.items()}


def gaussian_world(
    *, size: float = 0.5, singles: int = 8, doubles: int = 24, held: int = 12, cells: int = 15, permuted: bool = False
) -> tuple[Training, dict[str, np.ndarray]]:
    """Give cells of singles and doubles that add up to a normal rest; doubles not trained on have the last labels."""
    rng = np.random.default_rng(3)
    names = [f"G{i}:knockout" for i in range(singles)]
    theta = size * rng.standard_normal((singles, FEATURES))
    pairs = [(i, j) for i in range(singles) for j in range(i)]
    chosen = [pairs[i] for i in rng.permutation(len(pairs))[:doubles]]
    truth = {"control": np.zeros(FEATURES), **dict(zip(names, theta, strict=True))}
    for i, j in chosen:
        rest = 0.4 * size * rng.standard_normal(FEATURES)
        truth["+".join(sorted((names[i], names[j])))] = theta[i] + theta[j] + rest
    labels = np.repeat(list(truth), [4 * cells, *[cells] * (len(truth) - 1)])
    x = np.stack([truth[label] for label in labels]) + rng.standard_normal((len(labels), FEATURES))
    hidden = list(truth)[len(truth) - held :]
    test = np.isin(labels, hidden)
    test |= (labels == "control") & (np.arange(len(labels)) % 2 == 0)
    if permuted:
        labels[~test] = rng.permutation(labels[~test])
    split = Split(kind="perturbation", labels=labels, control="control", train=~test, split_of={})
    return Training(values={"rna": x.astype(np.float32)}, split=split), truth


def observed_of(data: Training) -> Measured:
    """Sum up the cells that are not of training."""
    split = Split(
        kind="perturbation", labels=data.split.labels, control="control", train=~data.split.train, split_of={}
    )
    return Measured.of(data.values, split)


def covered(data: Training, calibration: Calibration, **options: Any) -> Any:
    model, measured = fit_model("hierarchical additive", data), data.measured
    return coverage(
        model,
        observed_of(data),
        control={"rna": measured.tables["rna"].mean[0]},
        spread={"rna": np.sqrt(measured.pooled_variance("rna"))},
        calibration=calibration,
        scored=expressed_features(data.values, data.split.train),
        **options,
    )


@pytest.mark.parametrize("doubles", [12, 4])
def test_the_factor_equals_its_float64_transcription(doubles: int) -> None:
    """Combinations are divided where there are 5, else all conditions; here in plain loops."""
    data, _ = gaussian_world(doubles=doubles, held=0)
    labels = data.split.labels
    known = sorted(set(labels) - {"control"})
    divided = [one for one in known if "+" in one] if doubles >= 5 else known
    scores: list[float] = []
    x = data.values["rna"].astype(np.float64)
    train = data.split.train
    parts = np.array_split(np.random.default_rng(0).permutation(np.array(divided)), 5)
    for left_out in parts:
        kept = [one for one in known if one not in left_out]
        rows = {one: x[train & (labels == one)] for one in ["control", *known]}
        base = rows["control"].mean(axis=0)
        half = 0.5 * np.mean([rows[one].mean(axis=0) - base for one in kept], axis=0)
        inside = ["control", *kept]
        total = sum(len(rows[one]) for one in inside)
        pooled = sum(len(rows[one]) * rows[one].var(axis=0, ddof=1) for one in inside) / total
        shown = {gene for one in kept for gene in one.split("+")}
        for label in left_out:
            if not set(label.split("+")) <= shown:
                continue
            for g in range(FEATURES):
                error = abs(rows[label][:, g].mean() - (base[g] + half[g]))
                scores.append(error / np.sqrt(0.3**2 + pooled[g] / len(rows[label])))
    found = calibrate(Half, data)
    assert found.why.startswith("calibrated on")
    for level in (0.5, 0.9):
        assert found.factor("rna", level) == pytest.approx(np.quantile(scores, level), rel=1e-12)


def test_the_level_is_met_where_the_world_is_as_the_model_says() -> None:
    data, truth = gaussian_world()
    calibration = calibrate(HierarchicalAdditive, data)
    assert calibration.factor("rna") == pytest.approx(Z, rel=0.1)
    table = covered(data, calibration).set_index(["support", "features"])
    rows = table.loc["added"]
    # 12 conditions of 60 features: a standard error of .011 were they independent; those of one gene are not.
    assert rows.loc["expressed", "coverage"] == pytest.approx(0.9, abs=0.035)
    assert rows.loc["expressed", "n"] == 12 * FEATURES
    assert rows.loc["changed", "coverage"] > 0.8
    model = fit_model("hierarchical additive", data)
    inside = []
    for label in observed_of(data).labels[1:]:
        half = calibration.half_width("rna", model.standard_deviation(label)["rna"])  # type: ignore[index]
        inside.append(np.abs(model.predict(label)["rna"] - truth[label]) <= half)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.04), "of the effect itself, without any cell's noise"


@pytest.mark.parametrize("world", [{"size": 0.0}, {"permuted": True}])
def test_the_level_is_met_on_noise_and_on_permuted_labels(world: dict[str, Any]) -> None:
    data, _ = gaussian_world(**world)
    calibration = calibrate(HierarchicalAdditive, data)
    assert calibration.factor("rna") == pytest.approx(Z, rel=0.1)
    if "size" in world:
        found = covered(data, calibration)
        assert found.loc[found["features"] == "expressed", "coverage"].item() == pytest.approx(0.9, abs=0.035)


def test_some_of_very_many_features_give_nearly_the_same_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = gaussian_world(held=0)
    every = calibrate(Half, data)
    monkeypatch.setattr("waddington.twin.respond.calibration.MOST_FEATURES", 30)
    some = calibrate(Half, data)
    assert some.factor("rna") != every.factor("rna")
    assert some.factor("rna") == pytest.approx(every.factor("rna"), rel=0.1)


def test_a_model_that_is_too_sure_of_itself_gets_wider_intervals() -> None:
    """Additive says its sampling error alone: an interaction is missing from it."""
    data, _ = gaussian_world(size=1.5, cells=60, singles=6, doubles=14)
    sure = calibrate(Additive, data)
    assert sure.factor("rna") > 1.2 * Z


def test_what_has_too_few_conditions_says_so_and_takes_the_normal_distributions() -> None:
    values, split = additive_world()
    found = calibrate(HierarchicalAdditive, Training(values=values, split=split))
    assert (
        found.why
        == "not calibrated: 0 conditions of 3 conditions can be predicted from the others; at least 5 are needed"
    )
    assert found.factor("rna") == pytest.approx(Z)
    assert found.factor("rna", 0.5) < found.factor("rna", 0.9)


def test_a_calibration_is_kept() -> None:
    data, _ = gaussian_world(held=0)
    found = calibrate(Half, data)
    again = Calibration.from_state_dict(found.state_dict())
    assert again.why == found.why
    for how in (None, *SUPPORT):
        assert again.factor("rna", how=how) == found.factor("rna", how=how)


@pytest.mark.parametrize("level", [0.0, 1.0, 90])
def test_a_level_outside_is_refused(level: float) -> None:
    with pytest.raises(ArgumentError, match=r"level must be a number in \(0, 1\)"):
        Calibration(quantiles={}, why="").factor("rna", level)


def test_coverage_tells_what_is_guessed_apart() -> None:
    data, _ = gaussian_world(held=12, doubles=16)
    known = data.split.train & ~np.char.startswith(data.split.labels, "G0:")
    split = Split(kind="perturbation", labels=data.split.labels, control="control", train=known, split_of={})
    less = Training(values=data.values, split=split)
    table = covered(less, Calibration(quantiles={}, why=""))
    assert set(table.loc[table["flagged"], "support"]) == {"partial", "none"}
    assert set(table.loc[~table["flagged"], "support"]) == {"added"}
    assert table["coverage"].between(0, 1).all()


def test_features_that_hardly_any_cell_shows_do_not_count() -> None:
    rng = np.random.default_rng(0)
    counts = np.zeros((100, 3), np.float32)
    counts[:50, 0], counts[:5, 1] = 1, 1
    signed = rng.normal(size=(100, 2)).astype(np.float32)
    found = expressed_features({"rna": counts, "protein": signed}, np.ones(100, dtype=bool))
    assert found["rna"].tolist() == [True, False, False]
    assert found["protein"].all()


class Unsure(Half):
    """Knows that it errs by .3 where all was measured, and thinks so of guesses, too, though they err by far more."""

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        known = self.known.support(label)
        far = 0.0 if not known.flagged else 3.0
        return {name: np.full(table.mean.shape[1], far) for name, table in self.measured.tables.items()}


def test_each_thing_that_answers_rest_on_has_a_factor_of_its_own() -> None:
    data, _ = gaussian_world(size=0.0, held=0)
    found = calibrate(Unsure, data)
    assert set(found.by_support) == set(SUPPORT) - {"interpolated"}  # no doses: see test_doses.py
    assert found.factor("rna", how="added") == pytest.approx(found.factor("rna"))
    for how in ("measured", "added", "combined"):
        assert found.factor("rna", how=how) < 2.0, how  # type: ignore[arg-type]
    for how in ("partial", "none"):
        assert found.factor("rna", how=how) > 5.0, how  # type: ignore[arg-type]
    assert found.factor("rna", how="none") == pytest.approx(
        calibrate(Unsure, data, supports={"none"}).factor("rna", how="none")
    )
    for how in SUPPORT:
        half = found.half_width("rna", np.full(3, 0.5), how=how)
        np.testing.assert_allclose(half, 0.5 * found.factor("rna", how=how))


def test_what_too_few_conditions_tell_of_has_the_general_factor() -> None:
    data, _ = gaussian_world(held=0, singles=6, doubles=14)
    few = calibrate(HierarchicalAdditive, data.without([f"G{i}:knockout" for i in range(4)]))
    assert "combined" not in few.by_support, "two single perturbations are measured alone"
    assert few.factor("rna", how="combined") == few.factor("rna")
    assert "measured (16 conditions)" in few.why


def test_no_condition_is_on_both_sides() -> None:
    data, _ = gaussian_world(held=0)
    for hidden in set(HIDDEN_FOR.values()):
        folds = list(leave_out(data, hidden))
        assert len(folds) == {"half of the cells": 1, "doses": 0}.get(hidden, 5)
        for fold in folds:
            assert fold.told
            if hidden == "half of the cells":
                learned, shown = fold.rest.measured.n, fold.observed.n
                assert (np.abs(learned - shown) <= 1).all()
                assert learned.sum() + shown.sum() == data.split.train.sum()
                continue
            known = Known.of(fold.rest.measured)
            for label, how in fold.told.items():
                assert label not in known.n_cells
                assert known.support(label).how == how
                assert HIDDEN_FOR[how] == hidden
