"""From a file of cells to an evaluation of models on it: tables, pictures and one page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd

from waddington._files import write_text
from waddington._text import counted
from waddington.errors import DataError, OutputError
from waddington.twin import plots
from waddington.twin.data import io
from waddington.twin.data.modalities import TITLES
from waddington.twin.datasets import simulate
from waddington.twin.evaluate.protocol import (
    WAYS,
    Evaluation,
    evaluate_screen,
    labels_of_predictions,
    read_predictions,
    screen_of,
)
from waddington.twin.preprocess import Preprocessor
from waddington.twin.report.page import Picture, Verdict, write_report
from waddington.twin.respond.registry import DEFAULT_MODEL
from waddington.twin.run.evaluation_verdicts import verdicts_of
from waddington.twin.run.outputs import versions

__all__ = ["EvaluationResult", "evaluate_file", "write_evaluation"]

TABLES: Mapping[str, str] = {
    "scores": "one row a condition, split, model, modality and metric",
    "summary": "averages over conditions with intervals, and differences to a reference",
    "genes": "how well each feature is predicted over conditions",
    "conditions": "which conditions can be measured, and why others cannot",
    "coverage": "what share of features lies inside the models' intervals",
    "null": "the same evaluation on permuted labels",
}
"""Tables of an evaluation, each a CSV file of that name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationResult:
    """What :func:`evaluate_file` did."""

    out: Path
    """Folder of the results."""
    evaluation: Evaluation
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]
    """What a reader must know before believing it."""


def evaluate_file(
    file: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    *,
    predictions: Sequence[str | os.PathLike[str]] = (),
    models: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    group_key: str | None = None,
    n_cells: int = 2000,
    target_sum: float | None = None,
    size_factor_key: str | None = None,
    repeats: int = 10,
    null_repeats: int = 20,
    seed: int = 0,
    callback: Callable[[float, str], None] = lambda _, __: None,
    **reading: Any,
) -> EvaluationResult:
    """Read cells, judge models and other people's predictions on them, and write everything to a folder.

    Parameters
    ----------
    file
        As :func:`waddington.twin.data.io.read` takes it; simulated cells where it is None.
    out
        Folder of the results; made if it is not there. Tables and page are each replaced whole.
    predictions
        Files of AnnData (.h5ad) with predictions; rows of tables bear the name of the file.
    models, splits, repeats, null_repeats, seed, callback
        As :func:`~waddington.twin.evaluate.protocol.evaluate_screen` takes them.
    group_key
        Column of ``obs`` with donor, cell type, line or batch.
    n_cells
        Cells to simulate without a file.
    target_sum, size_factor_key
        How RNA is normalized, as :class:`~waddington.twin.preprocess.Preprocessor` takes them.
    **reading
        Further arguments of :func:`waddington.twin.data.io.read`.

    Raises
    ------
    DataError
        When the cells or the predictions cannot be used.
    OutputError
        When the folder cannot be written.
    """
    folder = Path(out).expanduser()
    given = {path.stem: _read_predicted(path) for path in map(Path, predictions)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {str(folder)!r}: {error}; accepted is a folder") from error
    callback(0.0, "reading cells")
    mdata = simulate(n_cells=n_cells, seed=seed) if file is None else io.read(file, **reading)
    train = (
        np.isin(mdata.obs["split"], ("train", "validation"))
        if "split" in mdata.obs and (mdata.obs["split"] == "test").any()
        else np.ones(mdata.n_obs, dtype=bool)
    )
    Preprocessor(target_sum=target_sum, size_factor_key=size_factor_key).fit(mdata, train).transform(mdata)
    screen = screen_of(mdata, group_key=group_key)
    found = evaluate_screen(
        screen,
        models=models,
        predictions={
            name: read_predictions(one, labels_of_predictions(one, screen), screen) for name, one in given.items()
        },
        splits=splits,
        repeats=repeats,
        null_repeats=null_repeats,
        seed=seed,
        callback=callback,
    )
    source = "simulated cells" if file is None else str(file)
    return write_evaluation(found, folder, source=source, notes=_notes(mdata))


def write_evaluation(
    found: Evaluation, out: str | os.PathLike[str], *, source: str = "", notes: Sequence[str] = ()
) -> EvaluationResult:
    """Write tables, pictures and the page of an evaluation.

    Parameters
    ----------
    found
        From :func:`waddington.twin.tl.evaluate` or :func:`evaluate_file`.
    out
        Folder, made if it is not there.
    source
        What the cells are, for the page.
    notes
        What a reader must know before believing it, beside the evaluation's own notes.
    """
    folder = Path(out).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        write_text(folder / f"{name}.csv", getattr(found, name).to_csv(index=False))
    settings = {**found.settings, "source": source, "versions": versions()}
    write_text(folder / "evaluation.json", json.dumps(settings, indent=2))
    verdicts, all_notes = tuple(verdicts_of(found)), (*notes, *found.notes)
    write_report(
        folder / "report.html",
        title="What can be predicted here",
        question=f"Which effects of perturbations can be predicted in {source or 'these cells'}, and how surely?",
        verdicts=verdicts,
        metrics=found.metrics,
        figures=_pictures(found, folder),
        data={
            "cells": found.settings["cells"],
            "controls": found.settings["controls"],
            "conditions": found.settings["conditions"],
        },
        method=_method(found),
        notes=all_notes,
        tables=_tables(found),
        config={name: value for name, value in found.settings.items() if name not in ("cells", "controls")},
        versions=versions(),
        seeds=[int(found.settings["seed"])],
    )
    return EvaluationResult(out=folder, evaluation=found, verdicts=verdicts, notes=all_notes)


def _read_predicted(path: Path) -> ad.AnnData:
    if not path.is_file():
        raise DataError(f"cannot read predictions {str(path)!r}: there is no such file; accepted is a .h5ad file")
    try:
        return ad.read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"cannot read predictions {str(path)!r}: {error}; accepted is a .h5ad file") from error


def _notes(mdata: md.MuData) -> tuple[str, ...]:
    return tuple(str(note) for note in mdata.uns.get("waddington", {}).get("notes", ()))


def _model_of(found: Evaluation) -> str:
    """Name the model that pictures are drawn of: the default one, else the first that is judged."""
    names = list(dict.fromkeys(found.summary["model"]))
    return DEFAULT_MODEL if DEFAULT_MODEL in names else str(names[0])


def _pictures(found: Evaluation, folder: Path) -> dict[str, Picture]:
    model, pictures = _model_of(found), {}
    for modality in dict.fromkeys(found.summary["modality"]):
        title = TITLES.get(str(modality), str(modality))
        forest = plots.forest(found.summary, modality=str(modality))
        pictures[f"forest-{modality}"] = Picture(
            path=forest.save(folder / f"forest_{modality}.png"),
            title=f"Models by split: {title}",
            caption="Pearson r between predicted and observed change, mean over conditions with its 95 % interval; the"
            " diamond is the replicate, one half of the cells as a prediction of the other.",
            alt=f"Pearson r of every model for {title}, one panel for each way of being held out.",
        )
    scored = found.scores[(found.scores["metric"] == "pearson") & (found.scores["model"] == model)]
    if scored["value"].notna().any():
        pictures["ceiling"] = Picture(
            path=plots.ceiling(found.scores, found.conditions, model=model).save(folder / "ceiling.png"),
            title="Each condition under its ceiling",
            caption="A dot is a condition. The dashed line is the best that a prediction without noise can reach; left"
            " of the dotted line replicates do not agree, and nothing can be said.",
            alt=f"Pearson r of {model} against the reliability of replicates, one dot a condition.",
        )
    if len(found.coverage):
        pictures["calibration"] = Picture(
            path=plots.calibration(found.coverage).save(folder / "calibration.png"),
            title="Do the intervals hold what they promise?",
            caption="Share of features whose observed change lies inside the 90 % interval; the band is 85 to 95 %.",
            alt="Coverage of intervals by model, split and support.",
        )
    ways = [way for way in found.genes["split"].unique() if way != "held-out cells"]
    for way in [*ways, "held-out cells"]:
        part = found.genes[(found.genes["model"] == model) & (found.genes["split"] == way)]
        if (part["measurable"].astype(bool) & part["pearson"].notna()).any():
            pictures["genes"] = Picture(
                path=plots.gene_ranking(found.genes, model=model, split=str(way)).save(folder / "genes.png"),
                title=f"Best and worst predicted features: {way}",
                caption="Correlation over conditions, of features whose change differs between conditions by more than "
                "noise.",
                alt=f"Features with the highest and lowest correlation for {model} under {way}.",
            )
            break
    return pictures


def _method(found: Evaluation) -> list[str]:
    repeats, permutations = found.settings["repeats"], found.settings["null_repeats"]
    ways = [f"{way}: {WAYS[way]}" for way in found.settings["splits"] if way in WAYS]
    return [
        f"Cells and controls were halved at random {counted(repeats, 'time')}. Models learned from one half of the "
        "controls; the change that they are judged by was measured from the other half, so that no control's noise "
        "stands on both sides. Genes that a condition edits are not scored.",
        "What was hidden, and how: " + "; ".join(ways) + ".",
        "The replicate predicts one half of a condition's cells by the other, each with controls of its own. A "
        "condition is measurable where replicates agree (R above 0.5), more than relabelled cells do, and where the "
        "whole table shows more than chance.",
        "Scaled scores are 0 for the mean effect of all training conditions and 1 for the replicate; a prediction "
        "without noise can pass 1. Intervals are of a bootstrap over conditions, or over groups.",
        f"Labels of all cells were permuted {counted(permutations, 'time')} and everything was judged again.",
    ]


def _tables(found: Evaluation) -> dict[str, pd.DataFrame]:
    whole = found.summary[(found.summary["conditions"] == "all") & (found.summary["metric"] == "ncse")]
    columns = ["split", "model", "modality", "value", "low", "high", "n", "reference", "difference"]
    tables = {"Noise-corrected squared error (0: perfect, 1: no change)": whole[columns].round(3)}
    if len(found.null):
        rows = found.null[found.null["split"] == "every split"].drop(columns="split")
        tables["The same on permuted labels, where nothing may be found"] = rows.round(3)
    if len(found.coverage):
        tables["Coverage of intervals"] = found.coverage.round(3)
    return tables
