"""Pictures and tables of an evaluation, with the words that stand beside them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from waddington._text import counted
from waddington.twin import plots
from waddington.twin.data.modalities import TITLES
from waddington.twin.evaluate.protocol import Evaluation
from waddington.twin.evaluate.protocol.evaluation import EVERY
from waddington.twin.evaluate.summary import headline
from waddington.twin.report.page import Picture
from waddington.twin.respond.registry import DEFAULT_MODEL

__all__ = ["evaluation_pictures", "evaluation_tables"]

_SUPPORTS = (
    "cells of that condition (measured), parts measured alone (added), parts seen in combinations (combined), doses on "
    "both sides (interpolated), a guess for some parts (partial) or for all (none)"
)


def evaluation_pictures(found: Evaluation, folder: Path) -> dict[str, Picture]:
    """Draw an evaluation: models by split, conditions under their ceiling, intervals, best and worst features."""
    model, pictures = _model_of(found), {}
    for modality in dict.fromkeys(found.summary["modality"]):
        title = TITLES.get(str(modality), str(modality))
        forest = plots.forest(found.summary, modality=str(modality))
        pictures[f"forest-{modality}"] = Picture(
            path=forest.save(folder / f"forest_{modality}.png"),
            title=f"Models by split: {title}",
            caption="Pearson r between predicted and observed change, mean over n measurable conditions (all where none"
            " can be measured) with its 95 % interval; the diamond is the replicate, one half of the cells as a"
            " prediction of the other. A hollow dot is a mean over fewer conditions than others answered; a model"
            " without a dot has no answer.",
            alt=f"Pearson r of every model for {title}, one panel for each way of being held out.",
        )
    scored = found.scores[(found.scores["metric"] == "pearson") & (found.scores["model"] == model)]
    if scored["value"].notna().any():
        pictures["ceiling"] = Picture(
            path=plots.ceiling(found.scores, found.conditions, model=model).save(folder / "ceiling.png"),
            title="Each condition under its ceiling",
            caption="A dot is a condition; a hollow one is a guess, a grey one cannot be measured. The dashed line is"
            " what the right prediction reaches on average, so single dots may lie above it. Left of the dotted line"
            " replicates do not agree, and nothing can be said; −0.2 stands for anything below.",
            alt=f"Pearson r of {model} against the reliability of replicates, one dot a condition.",
        )
    if len(found.coverage):
        pictures["calibration"] = Picture(
            path=plots.calibration(found.coverage).save(folder / "calibration.png"),
            title="Whether intervals hold what they promise",
            caption="Share of features whose observed change lies inside the 90 % interval; the band is 85 to 95 %, n"
            " counts conditions. Dark: intervals as wide as conditions left out of training ask for, with the 95 %"
            " interval of the share; light: 1.645 of the model's own standard deviations. An answer rests on:"
            f" {_SUPPORTS}.",
            alt="Coverage of intervals by model, split and support.",
        )
    for way in (
        *("combo_seen2", "held-out dose", "held-out group", "unseen time", "combo_seen1", "combo_seen0"),
        "held-out cells",
    ):
        part = found.genes[(found.genes["model"] == model) & (found.genes["split"] == way)]
        known = part["measurable"].astype(bool) & part["pearson"].notna()
        if known.any():
            pictures["genes"] = Picture(
                path=plots.gene_ranking(found.genes, model=model, split=str(way)).save(folder / "genes.png"),
                title=f"Best and worst predicted features: {way}",
                caption=f"Correlation over conditions, of the {int(known.sum())} of {counted(len(part), 'feature')} "
                "whose change differs between conditions by more than noise.",
                alt=f"Features with the highest and lowest correlation for {model} under {way}.",
            )
            break
    return pictures


def evaluation_tables(found: Evaluation) -> dict[str, pd.DataFrame]:
    """Give the tables that a page shows, by caption."""
    whole = headline(found.summary)
    columns = ["split", "model", "modality", "conditions", "value", "low", "high", "n", "reference", "difference"]
    caption = "Noise-corrected squared error (0: perfect, 1: no change), mean of n conditions with its 95 % interval"
    tables = {caption: whole.loc[whole["metric"] == "ncse", columns].round(3)}
    if len(found.null):
        rows = found.null[found.null["split"] == EVERY].drop(columns="split")
        tables["The same on permuted labels, where nothing may be found"] = rows.round(3)
    if len(found.coverage):
        caption = (
            "Coverage: share of expressed and of changed features inside their intervals, as the model says (normal) "
            "and calibrated (conformal), with its 95 % interval over n conditions; width in standard deviations"
        )
        tables[caption] = found.coverage.round(3)
    return tables


def _model_of(found: Evaluation) -> str:
    """Name the model that pictures are drawn of: the default one, else the first that is judged."""
    names = list(dict.fromkeys(found.summary["model"]))
    return DEFAULT_MODEL if DEFAULT_MODEL in names else str(names[0])
