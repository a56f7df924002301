"""A whole evaluation: which conditions are measurable, what each model scores on what is hidden, what noise scores."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from waddington._checks import check_count, check_known
from waddington._text import counted
from waddington._version import __version__
from waddington.errors import ArgumentError
from waddington.twin.data.splits import Split
from waddington.twin.evaluate.measurability import measure_conditions
from waddington.twin.evaluate.protocol.folds import Fold, folds_of
from waddington.twin.evaluate.protocol.given import GivenPredictions
from waddington.twin.evaluate.protocol.keeping import Found, Piece, describe, fingerprint, pack, run_pieces, unpack
from waddington.twin.evaluate.protocol.scores import REPLICATE, Bench, Maker, Scores, score_models
from waddington.twin.evaluate.protocol.screen import Screen
from waddington.twin.evaluate.protocol.tables import coverage_table, gene_table, score_table, summary_table
from waddington.twin.respond.base import ResponseModel
from waddington.twin.respond.registry import MODELS, fit_model

__all__ = ["Evaluation", "evaluate_screen", "measure_screen"]

REFERENCES = ("scaled additive", "mean")
"""Models that others are compared with: the first that scores in a split."""

EVERY = "every split"
"""Row of the null over all conditions of all splits."""

_NULL_FOLDS = 3
"""Folds into which conditions are dealt there: nothing is to be learned, so no fold need be large."""
_NULL_MEASURED = 3
"""Draws of labels for which it is asked what is measurable."""

_CELLS_IN = 2
"""Halvings in which cells are compared as distributions, and intervals judged."""


_CONDITIONS = (
    "perturbation", "group", "modality", "n_cells", "n_controls", "half_r", "reliability", "ceiling", "bound",
    "measurable", "reason",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What an evaluation found.

    Attributes
    ----------
    scores
        A row a condition, split, model, modality and metric: ``value``, ``low`` and ``high`` (95 % of halvings),
        ``scaled``, ``measurable``, ``support``; all columns in :data:`~.tables.SCORES`.
    summary
        A row a split, model, modality and metric, over ``conditions`` ``"all"`` and ``"measurable"``: ``value``,
        ``low`` and ``high`` (95 % over conditions), ``n``, ``scaled``, and the ``difference`` to the ``reference``
        model with its interval; all columns in :data:`~.tables.SUMMARY`.
    genes
        A row a feature, split and model: ``mse``, and ``r2`` and ``pearson`` over ``n`` conditions (NaN below three);
        all columns in :data:`~.tables.GENES`.
    conditions
        Which conditions are measurable: perturbation, group, modality, n_cells, n_controls, half_r, reliability,
        ceiling (its root: what a prediction without noise would correlate at most), bound, measurable, reason.
    coverage
        Of models that say how sure they are: columns :data:`~.covering.COVERAGE`.
    null
        The same evaluation after the labels of all cells were drawn anew: split (with a row for all together), model,
        modality, pearson, n, and n_measurable of n_conditions over all draws.
    notes
        What was left out or refused, in words.
    settings
        What it was asked.
    """

    scores: pd.DataFrame
    summary: pd.DataFrame
    genes: pd.DataFrame
    conditions: pd.DataFrame
    coverage: pd.DataFrame
    null: pd.DataFrame
    notes: tuple[str, ...]
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        table, settings = self.conditions, self.settings
        known = f"{int(table['measurable'].sum())} of {counted(len(table), 'condition')} measurable"
        judged = f"{counted(len(settings['models']), 'model')}; splits: {', '.join(settings['splits'])}"
        return f"Evaluation ({judged}; {known}; tables: scores, summary, genes, conditions, coverage, null)"

    @property
    def metrics(self) -> pd.DataFrame:
        """Averages over conditions as pictures and reports take them: see :mod:`waddington.twin.evaluate.summary`."""
        known = self.summary.rename(columns={"model": "predictor"})
        tidy = known.assign(protocol="held-out", optimizer="none", seed=self.settings["seed"])
        columns = ["protocol", "predictor", "optimizer", "seed", "modality", "split", "conditions", "metric", "value"]
        return tidy[[*columns, "n"]].copy()


def evaluate_screen(
    screen: Screen,
    *,
    models: Sequence[str] | None = None,
    predictions: Mapping[str, GivenPredictions] | None = None,
    splits: Sequence[str] | None = None,
    repeats: int = 10,
    null_repeats: int = 20,
    seed: int = 0,
    callback: Callable[[float, str], None] = lambda _, __: None,
    store: Path | None = None,
) -> Evaluation:
    """Judge models on conditions and cells that were hidden from them.

    Parameters
    ----------
    screen
        The cells.
    models
        Names of the registry; all that fit the data by default. The mean effect is judged beside them, as the lower
        end of the scale.
    predictions
        Of other people, by the name that tables show.
    splits
        Ways of hiding (:data:`~.folds.WAYS`); all that the screen allows by default.
    repeats
        Random halvings of cells and controls.
    null_repeats
        Times that labels are drawn anew and everything is judged once more.
    seed
        Of everything that is drawn.
    callback
        Called with the fraction that is done, and what is being done.
    store
        Folder in which finished pieces are kept, by default none: each split of each halving, and each draw of labels.
        Pieces of the same cells, models and settings that lie there already are not done again.

    Raises
    ------
    UnknownNameError
        For a model or a split that is not known.
    ArgumentError
        When a prediction bears the name of a model, nothing is to be judged, or a number is out of range.
    DataError
        When the screen allows none of the splits.
    """
    check_count("repeats", repeats, 1)
    check_count("null_repeats", null_repeats, 0)
    check_count("seed", seed, 0)
    given = dict(predictions or {})
    makers = _makers(screen, models, given)
    folds = folds_of(screen, splits=splits, seed=seed)
    about = {"models": list(makers), "given": {name: one.fingerprint for name, one in given.items()}}
    known = "" if store is None else fingerprint(screen, {**about, "version": __version__})
    pieces = _pieces(screen, makers, known, folds, splits, repeats=repeats, null_repeats=null_repeats, seed=seed)
    done = list(run_pieces(pieces, store, callback))
    conditions = pd.DataFrame(done[0].values["rows"], columns=list(_CONDITIONS))
    keys = zip(conditions["perturbation"], conditions["group"], conditions["modality"], strict=True)
    measurable = {
        (str(label), str(group), str(modality)): bool(found)
        for (label, group, modality), found in zip(keys, conditions["measurable"], strict=True)
    }
    scores = Scores()
    for piece, found in zip(pieces, done, strict=True):
        if piece.what == "models":
            scores.add(unpack(found))
    table = score_table(scores, measurable)
    null = _null([found.values for piece, found in zip(pieces, done, strict=True) if piece.what == "null"])
    summary = summary_table(table, references=REFERENCES, seed=seed)
    return Evaluation(
        scores=table,
        summary=summary,
        genes=gene_table(scores, screen.names),
        conditions=conditions,
        coverage=coverage_table(scores, seed=seed),
        null=null,
        notes=_notes(screen, folds, scores, given),
        settings={
            "models": list(makers), "splits": sorted({way for fold in folds for way in fold.targets.values()}),
            "repeats": repeats, "null_repeats": null_repeats, "seed": seed, "cells": len(screen.labels),
            "conditions": len(screen.conditions), "controls": screen.counts[screen.control],
        },
    )  # fmt: skip


def measure_screen(screen: Screen, folds: Sequence[Fold], *, seed: int = 0) -> pd.DataFrame:
    """Say which of the folds' conditions can be measured at all, by :func:`~..measurability.measure_conditions`."""
    tables = []
    for group in sorted({fold.group or "" for fold in folds}):
        here = screen.of_group(group) if group else screen
        labels = sorted({label for fold in folds if (fold.group or "") == group for label in fold.targets})
        split = Split(
            kind=screen.kind,
            labels=here.labels,
            control=screen.control,
            train=np.ones(len(here.labels), dtype=bool),
            split_of=dict.fromkeys(labels, "held-out cells"),
        )
        for modality, x in here.values.items():
            found = measure_conditions(x, here.names[modality], split, seed=seed)
            tables.append(found.assign(group=group, modality=modality))
    table = pd.concat(tables, ignore_index=True).rename(columns={"condition": "perturbation"})
    table["ceiling"] = np.sqrt(table["reliability"].clip(lower=0.0, upper=1.0))
    return table[list(_CONDITIONS)]


def _makers(screen: Screen, models: Sequence[str] | None, given: Mapping[str, GivenPredictions]) -> dict[str, Maker]:
    names = [name for name, row in MODELS.items() if _fits(row, screen)] if models is None else list(models)
    for name in names:
        check_known("response model", name, MODELS)
        if MODELS[name].uses_representation and screen.representation is None:
            raise ArgumentError(f"cannot evaluate the response model {name!r} without a representation of the cells")
    taken = sorted(set(given) & (set(MODELS) | {REPLICATE}))
    if taken:
        raise ArgumentError(f"cannot call predictions {taken[0]!r}: a model bears that name; accepted: another")
    if not names and not given:
        raise ArgumentError("cannot evaluate nothing: accepted is a model or a prediction")
    # The scale needs its lower end.
    if "mean" not in names:
        names.append("mean")
    makers: dict[str, Maker] = {name: lambda data, name=name: fit_model(name, data) for name in names}  # type: ignore[misc]
    return makers | {name: one.within for name, one in given.items()}


def _fits(model: type[ResponseModel], screen: Screen) -> bool:
    """Say whether a model is worth judging here: it has what it uses, and no quicker one gives the same answers."""
    if model.uses_representation and screen.representation is None:
        return False
    if model.uses_doses and not screen.dosed:
        return False
    return model.judged_as is None or screen.groups is not None


def _pieces(
    screen: Screen,
    makers: Mapping[str, Maker],
    evaluation: str,
    folds: Sequence[Fold],
    splits: Sequence[str] | None,
    *,
    repeats: int,
    null_repeats: int,
    seed: int,
) -> list[Piece]:
    """Cut an evaluation: what is measurable, each split of each halving, each draw of labels."""
    cells_in = min(_CELLS_IN, repeats)
    bench = Bench(screen, makers, repeats=repeats, seed=seed, cells_in=cells_in)

    def piece(what: str, title: str, work: Callable[[Callable[[float], None]], Found], **fields: Any) -> Piece:
        return Piece(evaluation=evaluation, what=what, title=title, work=work, seed=seed, **fields)

    def measure(_: Callable[[float], None]) -> Found:
        return Found(values={"rows": measure_screen(screen, folds, seed=seed).to_dict("records")})

    def judge(repeat: int, some: Sequence[Fold], tell: Callable[[float], None]) -> Found:
        return pack(bench.judge(repeat, some, tell))

    def permute(repeat: int, tell: Callable[[float], None]) -> Found:
        return Found(values=_permuted(screen, makers, splits, repeat, seed=seed, callback=tell))

    pieces = [piece("measure", "measuring replicates", measure, folds=describe(folds))]
    for repeat in range(repeats):
        for _, some in itertools.groupby(folds, key=lambda fold: fold.way):
            hidden = list(some)
            options = ("cells",) if repeat < cells_in else ()
            pieces.append(
                piece(
                    "models", "judging models", partial(judge, repeat, hidden), folds=describe(hidden), repeat=repeat,
                    options=options,
                )
            )  # fmt: skip
    for repeat in range(null_repeats):
        title, work = "judging them on permuted labels", partial(permute, repeat)
        pieces.append(piece("null", title, work, folds=describe(folds), repeat=repeat))
    return pieces


def _permuted(
    screen: Screen,
    makers: Mapping[str, Maker],
    splits: Sequence[str] | None,
    repeat: int,
    *,
    seed: int,
    callback: Callable[[float], None],
) -> dict[str, Any]:
    """Judge everything on labels that were drawn anew."""
    permuted = screen.permuted(np.random.default_rng([seed, 1, repeat]))
    folds = folds_of(permuted, splits=splits, seed=repeat, alone=0, n_folds=_NULL_FOLDS)
    counts = pd.DataFrame(columns=["modality", "measurable"])
    if repeat < _NULL_MEASURED:
        counts = measure_screen(permuted, folds, seed=seed)[["modality", "measurable"]]
    scores = score_models(
        permuted, folds, makers, repeats=1, seed=seed + repeat, metrics=("pearson",), callback=callback
    )
    table = score_table(scores, {})[["split", "model", "modality", "value"]]
    return {"scores": table.to_dict("list"), "counts": counts.to_dict("list")}


def _null(draws: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Sum up what was found after labels were drawn anew: nothing may be."""
    columns = ["split", "model", "modality", "pearson", "n", "n_measurable", "n_conditions"]
    if not draws:
        return pd.DataFrame(columns=columns)
    scored = pd.concat([pd.DataFrame(one["scores"]) for one in draws], ignore_index=True)
    together = pd.concat([scored, scored.assign(split=EVERY)], ignore_index=True)
    found = together.groupby(["split", "model", "modality"], sort=False)["value"].agg(pearson="mean", n="count")
    counts = pd.concat([pd.DataFrame(one["counts"]) for one in draws if one["counts"]["modality"]], ignore_index=True)
    measured = counts.groupby("modality")["measurable"].agg(n_measurable="sum", n_conditions="count")
    return found.reset_index().merge(measured, left_on="modality", right_index=True)[columns]


def _notes(
    screen: Screen, folds: Sequence[Fold], scores: Scores, given: Mapping[str, GivenPredictions]
) -> tuple[str, ...]:
    notes = [*screen.notes, *_group_notes(screen, folds)]
    if screen.too_small:
        shown = ", ".join(screen.too_small[:6]) + (", …" if len(screen.too_small) > 6 else "")
        notes.append(f"{counted(len(screen.too_small), 'condition')} with too few cells, not scored: {shown}.")
    silent: dict[tuple[int, str], list[str]] = {}
    for name, refused in scores.refused.items():
        if refused:
            first = next(iter(refused.values())).partition("; accepted")[0]
            silent.setdefault((len(refused), first.replace(f" {name!r}", "")), []).append(name)
    for (n, reason), names in silent.items():
        notes.append(f"No answer for {counted(n, 'condition')} from {', '.join(names)}: {reason}.")
    for name, one in given.items():
        unknown = [label for label in one.conditions if label not in screen.conditions]
        notes.append(
            f"What {name} was learned from is not known: whether the conditions were hidden from it cannot be checked."
        )
        notes += [f"{name}: {note}." for note in one.notes]
        if unknown:
            notes.append(f"{name} predicts {counted(len(unknown), 'condition')} that the cells don't have; not scored.")
    return tuple(notes)


def _group_notes(screen: Screen, folds: Sequence[Fold]) -> list[str]:
    """Name the groups that were not hidden, where there are groups."""
    if screen.groups is None:
        return []
    hidden = {fold.group for fold in folds}
    if hidden == {None}:
        return [
            "The split of the data was judged, so no group was hidden; the split 'held-out group' hides each in turn."
        ]
    left = [str(name) for name in np.unique(screen.groups) if name not in hidden]
    if not left:
        return []
    shown = ", ".join(left[:6]) + (", …" if len(left) > 6 else "")
    return [
        f"{counted(len(left), 'group')} with too few controls, or no condition of another group, not hidden: {shown}."
    ]
