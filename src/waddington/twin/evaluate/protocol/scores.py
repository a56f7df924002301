"""The loop: halve, hide, fit, predict, score; over random halvings, folds and models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn import config_context

from waddington.errors import ArgumentError, DataError, UnsupportedError
from waddington.twin.evaluate.metrics import CLASSIFICATION, METRICS, Pair, Sample
from waddington.twin.evaluate.protocol.cells import MOST_CELLS, Distances
from waddington.twin.evaluate.protocol.covering import count_covered
from waddington.twin.evaluate.protocol.folds import Fold
from waddington.twin.evaluate.protocol.genes import GeneSums
from waddington.twin.evaluate.protocol.halves import draw_halves
from waddington.twin.evaluate.protocol.screen import Screen
from waddington.twin.evaluate.protocol.truth import Moments, Observed, moments_of, observe_effect
from waddington.twin.respond.base import Effect, ResponseModel, Training
from waddington.twin.respond.calibration import calibrate, expressed_features

__all__ = ["REPLICATE", "Bench", "Key", "Maker", "Scores", "score_models"]

Array = npt.NDArray[np.float64]

Maker = Callable[[Training], ResponseModel]
"""Fits a model."""

REPLICATE = "replicate"
"""The row of one half of the experiment, taken as a prediction of the other."""

SLOW = CLASSIFICATION
"""Metrics that are not computed in every halving: they take longer than all others together."""


class Key(NamedTuple):
    """What one score is of."""

    perturbation: str
    group: str
    split: str
    model: str
    modality: str


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Everything that was measured.

    Attributes
    ----------
    metrics
        Names of the metrics.
    values
        One row a halving: each metric, then numerators and denominators of those that are quotients.
    coverage
        Of models that say how sure they are, what :func:`~.covering.count_covered` gives, once a halving.
    support
        What each answer rests on.
    genes
        Sums over conditions for each feature, by group, way, model and modality.
    refused
        Conditions that a model refused, by model and reason.
    """

    metrics: tuple[str, ...] = tuple(METRICS)
    values: dict[Key, list[Array]] = field(default_factory=dict)
    coverage: dict[Key, list[Array]] = field(default_factory=dict)
    support: dict[Key, str] = field(default_factory=dict)
    genes: dict[tuple[str, str, str], GeneSums] = field(default_factory=dict)
    refused: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, other: Scores) -> None:
        """Add what was measured in other halvings, or on other folds."""
        for mine, others in ((self.values, other.values), (self.coverage, other.coverage)):
            for key, rows in others.items():
                mine.setdefault(key, []).extend(rows)
        self.support.update(other.support)
        for kind, sums in other.genes.items():
            self.genes.setdefault(kind, GeneSums.empty(sums.table.shape[1])).merge(sums)
        for name, why in other.refused.items():
            self.refused.setdefault(name, {}).update(why)


def score_models(
    screen: Screen,
    folds: Sequence[Fold],
    models: Mapping[str, Maker],
    *,
    repeats: int,
    seed: int,
    cells_in: int = 0,
    metrics: Sequence[str] = tuple(METRICS),
    callback: Callable[[float], None] = lambda _: None,
) -> Scores:
    """Score models on what is hidden from them.

    Parameters
    ----------
    screen, folds
        The cells, and what is hidden.
    models
        How each is fitted, by name.
    repeats
        Random halvings.
    seed
        Of the halvings.
    cells_in
        Halvings, the first ones, in which predicted and observed cells are compared as distributions, the slow metrics
        (:data:`SLOW`) are computed and intervals judged, too.
    metrics
        Names of those that are computed.
    callback
        Called with the fraction that is done.
    """
    bench = Bench(screen, models, repeats=repeats, seed=seed, cells_in=cells_in, metrics=metrics)
    scores = Scores(metrics=tuple(metrics))
    for repeat in range(repeats):
        scores.add(
            bench.judge(repeat, folds, lambda done, repeat=repeat: callback((repeat + done) / repeats))  # type: ignore[misc]
        )
    return scores


class Bench:
    """Judges models in one halving after another; what they share is computed once.

    Parameters
    ----------
    screen, models, repeats, seed, cells_in, metrics
        As in :func:`score_models`.
    """

    def __init__(
        self,
        screen: Screen,
        models: Mapping[str, Maker],
        *,
        repeats: int,
        seed: int,
        cells_in: int = 0,
        metrics: Sequence[str] = tuple(METRICS),
    ) -> None:
        rng = np.random.default_rng(seed)
        self._screen, self._models, self._names = screen, models, tuple(metrics)
        self._drawn, self._seed, self._cells_in = [draw_halves(screen, rng) for _ in range(repeats)], seed, cells_in
        self._repeat = -1
        self._edited = {name: np.isin(names, sorted(screen.all_edited)) for name, names in screen.names.items()}
        pooled = _pooled_variance(screen)
        self._sd = {name: np.sqrt(variance) for name, variance in pooled.items()}
        self._expressed = expressed_features(screen.values, np.ones(len(screen.labels), dtype=bool))
        self._whole: dict[tuple[str, str | None], Moments] = {}
        self._keep = {
            label: {name: ~np.isin(names, screen.edited(label)) for name, names in screen.names.items()}
            for label in screen.conditions
        }

    def judge(self, repeat: int, folds: Sequence[Fold], callback: Callable[[float], None] = lambda _: None) -> Scores:
        """Judge all models, and the replicate, on some folds of one halving."""
        if self._repeat != repeat:
            self._begin(repeat)
        self._scores = Scores(metrics=self._names)
        # The metrics are called thousands of times on what is known to be finite.
        with config_context(assume_finite=True, skip_parameter_validation=True):
            for done, fold in enumerate(folds):
                # Where the data say what is learned from, no halving changes it: models are judged once.
                if repeat == 0 or not fold.given:
                    training = self._training(fold)
                    for name, make in self._models.items():
                        self._judge(fold, name, make, training)
                self._judge_replicate(fold)
                callback((done + 1) / len(folds))
        return self._scores

    @cached_property
    def _between(self) -> Distances:
        return Distances(self._screen, seed=self._seed)

    def _begin(self, repeat: int) -> None:
        """Start on a halving."""
        self._repeat, self._halves = repeat, self._drawn[repeat]
        self._distances = self._between if repeat < self._cells_in else None
        skipped = SLOW if repeat > 0 and repeat >= self._cells_in else ()
        self._metrics = [None if name in skipped else METRICS[name] for name in self._names]
        self._trainings: dict[tuple[bool, str | None], Training] = {}
        self._both: dict[tuple[str, str | None, bool], tuple[dict[str, Observed], dict[str, Observed]]] = {}
        self._observed: dict[tuple[str, bool, str | None], dict[str, Observed]] = {}
        self._candidates: dict[tuple[bool, str | None], tuple[dict[str, int], dict[str, Array]]] = {}

    def _training(self, fold: Fold) -> Training:
        """Give what models learn from in a fold; cells are summed up once."""
        kind = (fold.half_of_cells, fold.group)
        if kind not in self._trainings:
            self._trainings[kind] = self._screen.training(self._halves.train(fold))
            _ = self._trainings[kind].measured
        return self._trainings[kind].without(fold.left_out) if fold.left_out else self._trainings[kind]

    def _judge(self, fold: Fold, name: str, make: Maker, training: Training) -> None:
        """Fit one model and score it on the fold's conditions."""
        refused = self._scores.refused.setdefault(name, {})
        try:
            model = make(training)
        except (DataError, UnsupportedError, ArgumentError) as error:
            refused.update(dict.fromkeys(fold.targets, str(error)))
            return
        resting = moments_of(self._screen, self._halves.control(fold, first=True))
        sure: dict[str, tuple[Effect, Effect]] = {}
        for label, way in fold.targets.items():
            try:
                effect = model.predict(label, guess=True, start=dict(resting.mean))
                deviation = model.standard_deviation(label, guess=True)
                support = model.support(label).how
            except UnsupportedError as error:
                refused[label] = str(error)
                continue
            moved = None
            if self._distances is not None:
                moved = model.predict_cells(label, self._resting(fold), guess=True)
            self._score(fold, label, way, name, effect, moved, self._observe(fold, label))
            for modality in effect:
                self._scores.support[self._key(fold, label, way, name, modality)] = support
            if deviation is not None and self._distances is not None:
                sure[label] = (effect, deviation)
        if sure:
            self._cover(fold, name, model, training, sure)

    def _judge_replicate(self, fold: Fold) -> None:
        """Score one half of each condition's cells as a prediction of the other, each with its own controls."""
        for label, way in fold.targets.items():
            second, first = self._halved(fold, label)
            predicted = {name: observed.effect for name, observed in first.items()}
            rows = self._halves.half_of(fold, label, first=True)
            cells = {name: x[rows] for name, x in self._screen.values.items()}
            self._score(fold, label, way, REPLICATE, predicted, cells, second)

    def _resting(self, fold: Fold) -> dict[str, npt.NDArray[np.floating]]:
        """Give the unperturbed cells that predictions as distributions start from."""
        rows = self._halves.control(fold, first=True)
        rows = np.random.default_rng(0).permutation(rows)[:MOST_CELLS]
        return {name: x[rows] for name, x in self._screen.values.items()}

    def _score(
        self,
        fold: Fold,
        label: str,
        way: str,
        name: str,
        effect: Effect,
        cells: Mapping[str, npt.NDArray[np.floating]] | None,
        truth: Mapping[str, Observed],
    ) -> None:
        rows, candidates = self._others(fold)
        for modality, observed in truth.items():
            keep = self._keep[label][modality]
            distance = np.nan
            if self._distances is not None and cells is not None:
                observed_cells = (
                    self._halves.half_of(fold, label, first=False)
                    if name == REPLICATE
                    else self._halves.target(fold, label)
                )
                distance = self._distances.between(modality, cells[modality], observed_cells)
            sample = Sample(
                noise=float(observed.noise[keep].sum()),
                changed=observed.changed[keep],
                sd=self._sd[modality][keep],
                candidates=candidates[modality][:, keep],
                own=rows[label],
                distance=distance,
            )
            predicted = effect[modality]
            pair = Pair(predicted[keep], observed.effect[keep], predicted[keep], sample)
            values = [np.nan if metric is None else metric.value(pair) for metric in self._metrics]
            parts = [part for metric in self._metrics if metric and metric.parts for part in metric.parts(pair)]
            key = self._key(fold, label, way, name, modality)
            self._scores.values.setdefault(key, []).append(np.array([*values, *parts]))
            self._scores.genes.setdefault((way, name, modality), GeneSums.empty(len(predicted))).add(
                label if fold.group is None else f"{label} in {fold.group}", predicted, observed, keep
            )

    def _cover(
        self,
        fold: Fold,
        name: str,
        model: ResponseModel,
        training: Training,
        sure: Mapping[str, tuple[Effect, Effect]],
    ) -> None:
        """Count features inside the interval, in one half of the cells; the other half says which of them changed.

        Were the same cells to say both, features would count as changed for the noise that puts them outside. Noise is
        sized by all cells: where few show a feature, a mean that is low by chance has a low variance, too. Conditions
        that are left out of training say nothing of another group, so there intervals are not calibrated.
        """
        supports = {label: model.support(label).how for label in sure}
        calibration = None
        if fold.group is None:
            calibration = calibrate(type(model), training, supports=set(supports.values()))
        for label, (effect, deviation) in sure.items():
            judged = [self._halves.half_of(fold, one, first=False) for one in (label, self._screen.control)]
            for modality, predicted in effect.items():
                judging, choosing = (half[modality] for half in self._halved(fold, label))
                counted = self._keep[label][modality] & self._expressed[modality]
                found = count_covered(
                    judging.effect - predicted,
                    deviation[modality],
                    np.square(self._sd[modality]) * sum(1.0 / len(rows) for rows in judged),
                    modality=modality,
                    how=supports[label],
                    unit=self._sd[modality],
                    counts=(counted, counted & choosing.changed),
                    calibration=calibration,
                )
                key = self._key(fold, label, fold.targets[label], name, modality)
                self._scores.coverage.setdefault(key, []).append(found)

    def _observe(self, fold: Fold, label: str) -> dict[str, Observed]:
        known = (label, fold.half_of_cells, fold.group)
        if known not in self._observed:
            target = self._target(fold, label)
            control = moments_of(self._screen, self._halves.control(fold, first=False))
            self._observed[known] = {name: observe_effect(target, control, name) for name in self._screen.values}
        return self._observed[known]

    def _halved(self, fold: Fold, label: str) -> tuple[dict[str, Observed], dict[str, Observed]]:
        """Give what the second and the first half of a condition's cells show, each with controls of its own."""
        known = (label, fold.group, fold.given)
        if known not in self._both:
            control, found = self._screen.control, []
            for first in (False, True):
                target, resting = (
                    moments_of(self._screen, self._halves.half_of(fold, one, first=first)) for one in (label, control)
                )
                found.append({name: observe_effect(target, resting, name) for name in self._screen.values})
            self._both[known] = (found[0], found[1])
        return self._both[known]

    def _target(self, fold: Fold, label: str) -> Moments:
        """Sum up the cells that show the truth; where that is all of them, once for all halvings."""
        if fold.half_of_cells:
            return moments_of(self._screen, self._halves.target(fold, label))
        if (label, fold.group) not in self._whole:
            self._whole[label, fold.group] = moments_of(self._screen, self._halves.target(fold, label))
        return self._whole[label, fold.group]

    def _others(self, fold: Fold) -> tuple[dict[str, int], dict[str, Array]]:
        """Give the effects that a prediction could be of, without the genes that any condition edits."""
        kind = (fold.half_of_cells, fold.group)
        if kind not in self._candidates:
            few = fold.group or fold.half_of_cells or fold.given
            labels = list(fold.targets) if few else list(self._screen.conditions)
            found = {
                name: np.stack([self._observe(fold, label)[name].effect for label in labels]) * ~self._edited[name]
                for name in self._screen.values
            }
            self._candidates[kind] = ({label: row for row, label in enumerate(labels)}, found)
        return self._candidates[kind]

    def _key(self, fold: Fold, label: str, way: str, name: str, modality: str) -> Key:
        return Key(label, fold.group or "", way, name, modality)


def _pooled_variance(screen: Screen) -> dict[str, Array]:
    """Give the variance of cells about the mean of their condition, (features,), by modality."""
    whole = screen.training(np.ones(len(screen.labels), dtype=bool)).measured
    return {modality: whole.pooled_variance(modality) for modality in screen.values}
