"""The report's prose: what was asked, how it was done, what to know before believing it; all of it from records."""

from __future__ import annotations

import numpy as np
import pandas as pd

from waddington._text import counted
from waddington.twin.data.modalities import in_words
from waddington.twin.data.splits import SPLITS
from waddington.twin.evaluate.measurability import CIRCULAR
from waddington.twin.run.choice import Chosen
from waddington.twin.run.config import RunConfig
from waddington.twin.run.data import RunData
from waddington.twin.run.encoder_jobs import BaselineJob
from waddington.twin.run.records import RunRecords

__all__ = ["data_facts", "method", "notes", "question", "tables"]

_LOW_COUNTS = 500
"""Median total of a cell below which a reader is told how few counts there are."""

_NAMED = 12
"""Conditions that a note names."""

_LISTED = 200
"""Rows of the report's table of conditions; ``measurability.csv`` has all of them."""

_MEASURED = {
    "perturbation": "what a perturbation does to cells",
    "time": "how cells change with observed time",
    "pseudotime": "how cells change along their own order",
}


_LABELS = {"perturbation": "perturbations", "time": "observed times", "pseudotime": "quarters of pseudotime"}


_CIRCULAR = (
    "Neither perturbation nor time was measured: the conditions are stages of an order computed from the same cells. "
    "Cells were sorted by what is then measured, so replicates agree by construction, in noise as well, and no verdict "
    "is given; tables compare predictors on the same circular ground."
)


def tables(finished: RunRecords) -> dict[str, pd.DataFrame]:
    """Give the report's further tables by caption: which conditions can be measured, and the rates that were tried."""
    measured = finished.measurability.sort_values(["modality", "half_r"], ascending=[True, False], kind="stable")
    rest = f" (the first {_LISTED} of {len(measured)}; all are in measurability.csv)" if len(measured) > _LISTED else ""
    found = {f"Which conditions can be measured: agreement of replicates{rest}": measured.head(_LISTED)}
    if len(finished.tuned):
        found["Learning rates that were tried"] = finished.tuned
    return found


def _unmeasurable(finished: RunRecords) -> list[str]:
    """Count and name, by modality, the conditions that take no part in verdicts."""
    said = []
    for modality, part in finished.measurability.groupby("modality", sort=False):
        if (part["reason"] == CIRCULAR).all():
            continue
        left_out = part[~part["measurable"].astype(bool)]
        if len(left_out):
            names = ", ".join(f"{row.condition} ({row.reason})" for row in left_out.head(_NAMED).itertuples())
            more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
            said.append(
                f"Not measurable in {in_words(str(modality))}: {len(left_out)} of {counted(len(part), 'condition')}, "
                "left out of "
                f"verdicts: {names}{more}."
            )
    return said


def _low_counts(prepared: RunData) -> list[str]:
    """Say where cells have so few counts that little can be measured on them."""
    counted = {name: x for name, x in prepared.counts.items() if name not in prepared.as_given}
    totals = {name: float(np.median(np.asarray(x.sum(axis=1)))) for name, x in counted.items()}
    return [
        f"Low counts: half of the cells have fewer than {total:.0f} counts on the features of {in_words(name)}."
        for name, total in totals.items()
        if total < _LOW_COUNTS
    ]


def question(config: RunConfig, prepared: RunData) -> str:
    """Say what the run was asked."""
    return (
        f"Can a twin of these cells predict {_MEASURED[prepared.design.kind]}, on cells and conditions it never saw, "
        f"and which of {', '.join(config.optimizer)} trains it best?"
    )


def data_facts(prepared: RunData, finished: RunRecords) -> dict[str, object]:
    """Count what was learnt from and judged on."""
    design = prepared.design
    ways: dict[str, int] = {}
    for way in design.split_of.values():
        ways[way] = ways.get(way, 0) + 1
    return {
        "cells": len(design.train),
        "training cells": int(design.train.sum()),
        "test cells": int((~design.train).sum()),
        **{f"features of {in_words(name)}": x.shape[1] for name, x in prepared.inputs.items()},
        "change is measured from": design.control,
        "labels are": {
            "perturbation": "perturbations",
            "time": "observed times",
            "pseudotime": "quarters of pseudotime",
        }[design.kind],
        **{f"conditions scored, {way}": count for way, count in ways.items()},
        **{
            f"conditions measurable in {in_words(str(modality))}": f"{int(part['measurable'].sum())} of {len(part)}"
            for modality, part in finished.measurability.groupby("modality", sort=False)
        },
    }


def method(config: RunConfig, prepared: RunData, chosen: Chosen) -> list[str]:
    """Describe what was done, in paragraphs."""
    tuned = (
        f"Every optimizer was tuned over the same rates ({', '.join(f'{lr:g}' for lr in config.lr_grid)})"
        f"{_besides(config)} on seed {config.tuning_seed}, which is not evaluated: encoders by validation loss after "
        f"{config.encoder.tune_epochs} epochs, agents by return in the training world."
        if config.lr_grid
        else f"Rates were not tuned: {', '.join(f'{name}: {config.rate(name):g}' for name in config.optimizer)}."
    )
    paragraphs = [
        "Normalization, feature selection, components and encoders were fitted on training cells only. Truth is the "
        "mean change of test cells against test controls; predictions come from training cells and training "
        "controls, so no control is shared by the two sides. Genes that a condition edits itself are not scored.",
        "A condition is measurable where two random halves of its cells, each with its own half of the controls, agree "
        "on its change: R = 2r / (1 + r) above 0.5 for the mean r of 20 halvings, r above the 95 % quantile of 40 "
        "relabellings, and the strongest r of the table beyond what relabelling the whole table gives (60 times, level "
        "0.001). Verdicts, tables and pictures are of measurable conditions; only where there is none do tables and "
        "pictures show all, and verdicts nothing.",
        tuned + f" All of them use eps {config.eps:g}, the same initial weights and the same order of data for a seed.",
    ]
    if "held-out" in config.protocols and prepared.design.kind != "pseudotime":
        paragraphs.append(
            "What can be predicted is judged of models that learn from the features alone, on the same test cells; the "
            "hierarchical additive model makes predictions.h5mu and is the response of model/. Scores by condition are "
            "in scores.csv, averages with intervals over conditions in summary.csv, and what permuted labels score in "
            "null.csv."
        )
    if "held-out" in config.protocols:
        paragraphs.append(
            "Held-out protocol. Encoders are graph-attention networks trained by masked reconstruction; a ridge "
            "regression reads changes of their joint embedding out as changes of features, and the same head reads the "
            "untrained encoder, principal components and random projections. Agents are PPO policies in a world learnt "
            f"from training cells, standing on the encoder that {config.encoder.reference_optimizer} trained, the same "
            "for all of them. They are told which change test cells show and asked to bring it about, so their rows "
            "measure control, not prediction; where they lead cells is read out by the same head."
        )
        ways = [way for way in SPLITS if way in prepared.design.split_of.values()]
        paragraphs.append(f"Held out are: {'; '.join(f'{way}, {SPLITS[way]}' for way in ways)}.")
    if "paper" in config.protocols:
        paragraphs.append(
            "Paper protocol, as published: untrained embeddings, row number as pseudotime, another cell as the target, "
            "random knock-outs and over-expressions. The rows 'as published' compare the final state with the original "
            "cell and rank by hard calls; the rows 'against the target' compare it with the cell that was asked for."
        )
    agent = f" and agent {chosen.agent.label} (greatest return in training)" if chosen.agent else ""
    again = (
        " The agent was trained once more in the space of this encoder; no figure comes from that training."
        if chosen.agent
        and chosen.agent.encoder is not None
        and chosen.encoder.optimizer != config.encoder.reference_optimizer
        else ""
    )
    paragraphs.append(
        f"The model in model/ is encoder {chosen.encoder.label} (least validation loss){agent}: of the optimizer that "
        f"is best in the mean over seeds, its best seed; final_model.pt holds its weights.{again} Verdicts are "
        "of the same optimizer. The cells with what was found of each are in cells.h5mu."
    )
    return paragraphs


def _besides(config: RunConfig) -> str:
    """Say what else than the rate was tuned."""
    grids = {"β2": config.beta2_grid, "p": config.p_grid}
    said = [f"{name} ({', '.join(f'{value:g}' for value in grid)})" for name, grid in grids.items() if grid]
    if not said:
        return ""
    return f", and those that have it over {' and '.join(said)}, with as many trials for each of them,"


def notes(config: RunConfig, prepared: RunData, finished: RunRecords) -> list[str]:
    """Say what a reader must know before believing the numbers, what matters most first.

    First what can be measured at all, then circular conditions, the order of cells, how labels were read, low counts,
    and last the run's own limits.
    """
    said = _unmeasurable(finished)
    if prepared.design.kind == "pseudotime":
        said.append(_CIRCULAR)
    said += [*prepared.notes, *_low_counts(prepared)]
    if config.read.simulated:
        said.append(
            "The cells are simulated: what holds here is a property of the simulator until real cells confirm it."
        )
    if prepared.design.kind != "perturbation":
        said.append(
            "The data measured no perturbation, so agents push the embedding directly; their moves are not edits of "
            "genes."
        )
    if config.seeds < 3:
        said.append(f"{counted(config.seeds, 'seed')}: too few to tell contestants apart.")
    at_edge = finished.tuned["lr"].isin([*config.lr_grid[:1], *config.lr_grid[-1:]])
    edge = finished.tuned[finished.tuned["chosen"] & at_edge]
    if len(edge):
        listed = ", ".join(f"{row.optimizer} ({row.kind}, {row.protocol}: {row.lr:g})" for row in edge.itertuples())
        said.append(f"These chosen rates lie on the edge of the grid, and a wider one may serve better: {listed}.")
    diverged = [
        job.label
        for job, result in finished.records.items()
        if not isinstance(job, BaselineJob) and result["objective"] is None
    ]
    if diverged:
        said.append(f"Training diverged and has no score: {', '.join(diverged)}.")
    return said
