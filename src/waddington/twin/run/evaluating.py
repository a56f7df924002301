"""From a file of cells to an evaluation of models on it: tables, pictures and one page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np

from waddington._files import write_text
from waddington._text import counted
from waddington._version import __version__
from waddington.errors import ArgumentError, DataError
from waddington.jobs import locked
from waddington.twin.data import io
from waddington.twin.data.modalities import TITLES
from waddington.twin.datasets import simulate
from waddington.twin.evaluate.protocol import (
    WAYS,
    Evaluation,
    evaluate_screen,
    fingerprint,
    predictions_of,
    screen_of,
    write_tables,
)
from waddington.twin.preprocess import Preprocessor
from waddington.twin.report.page import Verdict, write_report
from waddington.twin.run.evaluation_folder import ABOUT, begin_work, claim_folder, end_work
from waddington.twin.run.evaluation_pictures import evaluation_pictures, evaluation_tables
from waddington.twin.run.evaluation_verdicts import verdicts_of
from waddington.twin.run.outputs import versions

__all__ = ["EvaluationResult", "evaluate_file", "write_evaluation"]


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
    resume: bool = False,
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
    resume
        Go on with an evaluation that was begun in `out` and stopped: what it has finished lies in ``out/work``.
    **reading
        Further arguments of :func:`waddington.twin.data.io.read`.

    Raises
    ------
    DataError
        When the cells or the predictions cannot be used.
    ArgumentError
        When two predictions have one name.
    OutputError
        When the folder cannot be written, holds the report or a table of something else, or another evaluation is
        writing there; when one that was begun there has not ended, or is to go on with other settings or cells.
    """
    folder = Path(out).expanduser()
    claim_folder(folder)
    given: dict[str, ad.AnnData] = {}
    for path in map(Path, predictions):
        if path.stem in given:
            raise ArgumentError(
                f"cannot tell two predictions called {path.stem!r} apart: accepted are files of different names"
            )
        given[path.stem] = _read_predicted(path)
    with locked(folder, what="evaluation"):
        callback(0.0, "reading cells")
        mdata = simulate(n_cells=n_cells, seed=seed) if file is None else io.read(file, **reading)
        train = (
            np.isin(mdata.obs["split"], ("train", "validation"))
            if "split" in mdata.obs and (mdata.obs["split"] == "test").any()
            else np.ones(mdata.n_obs, dtype=bool)
        )
        Preprocessor(target_sum=target_sum, size_factor_key=size_factor_key).fit(mdata, train).transform(mdata)
        screen = screen_of(mdata, group_key=group_key)
        predicted = predictions_of(given, screen)
        settings = {
            "models": models, "splits": splits, "group_key": group_key, "repeats": repeats,
            "null_repeats": null_repeats, "seed": seed, "version": __version__,
            "cells": fingerprint(screen, {}), "predictions": {name: one.fingerprint for name, one in predicted.items()},
        }  # fmt: skip
        work = begin_work(folder, settings, resume=resume)
        found = evaluate_screen(
            screen,
            models=models,
            predictions=predicted,
            splits=splits,
            repeats=repeats,
            null_repeats=null_repeats,
            seed=seed,
            callback=callback,
            store=work,
        )
        source = "simulated cells" if file is None else str(file)
        result = write_evaluation(found, folder, source=source, notes=_notes(mdata))
        end_work(work)
        return result


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
    claim_folder(folder)
    settings = {**found.settings, "source": source, "versions": versions()}
    write_text(folder / ABOUT, json.dumps(settings, indent=2))  # first: it says whose the rest is
    write_tables(found, folder)
    verdicts, all_notes = tuple(verdicts_of(found)), (*notes, *found.notes)
    write_report(
        folder / "report.html",
        title="What can be predicted here",
        question=f"Which effects of perturbations can be predicted in {source or 'these cells'}, and how surely? "
        "Below, r is the Pearson correlation of predicted and observed change over features (1: perfect, 0: nothing), "
        "with its 95 % interval in brackets.",
        verdicts=verdicts,
        metrics=found.metrics,
        figures=evaluation_pictures(found, folder),
        data={
            "cells": found.settings["cells"],
            "controls": found.settings["controls"],
            "conditions": found.settings["conditions"],
            **{
                f"features judged, {TITLES.get(str(modality), str(modality))}": int(names.nunique())
                for modality, names in found.genes.groupby("modality", sort=False)["gene"]
            },
        },
        method=_method(found),
        notes=all_notes,
        tables=evaluation_tables(found),
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
        "Noise-corrected error is squared error over squared change, both less sampling noise: 0 is perfect, 1 is no "
        "change. Discrimination is the share of other conditions that are less like the prediction than the right one "
        "(0.5: chance), sign accuracy the share of changed features whose direction is right (0.5: no call). AUPRC and "
        "overlap of changed features ask whether those predicted to change most are those that do. E-distance compares "
        "predicted with observed cells. Accuracy, precision, recall, F1 and AUPRC ask of every feature whether it "
        "rises: where few do, no change is right about most.",
        "Scaled scores are 0 for the mean effect of all training conditions and 1 for the replicate; a prediction "
        "without noise can pass 1. Intervals are of a bootstrap over conditions, or over groups.",
        f"Labels of all cells were permuted {counted(permutations, 'time')} and everything was judged again.",
    ]
