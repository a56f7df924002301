"""The report's prose: what was asked, how it was done, what to know before believing it; all of it from records."""

from __future__ import annotations

from waddington.twin.pipeline.config import RunConfig
from waddington.twin.pipeline.outputs import Chosen
from waddington.twin.pipeline.prepare import Prepared
from waddington.twin.pipeline.stages import Finished

__all__ = ["data_facts", "method", "notes", "question"]

_MEASURED = {
    "perturbation": "what a perturbation does to cells",
    "time": "how cells change with observed time",
    "pseudotime": "how cells change along their own order",
}


_LABELS = {"perturbation": "perturbations", "time": "observed times", "pseudotime": "quarters of pseudotime"}


def question(config: RunConfig, prepared: Prepared) -> str:
    """Say what the run was asked."""
    return (
        f"Can a twin of these cells predict {_MEASURED[prepared.design.kind]}, on cells and conditions it never saw, "
        f"and which of {', '.join(config.optimizer)} trains it best?"
    )


def data_facts(prepared: Prepared) -> dict[str, object]:
    """Count what was learnt from and judged on."""
    design = prepared.design
    ways: dict[str, int] = {}
    for way in design.split_of.values():
        ways[way] = ways.get(way, 0) + 1
    return {
        "cells": len(design.train),
        "training cells": int(design.train.sum()),
        "test cells": int((~design.train).sum()),
        "features": {name: x.shape[1] for name, x in prepared.inputs.items()},
        "change is measured from": design.control,
        "labels are": {
            "perturbation": "perturbations",
            "time": "observed times",
            "pseudotime": "quarters of pseudotime",
        }[design.kind],
        "conditions scored": ways,
    }


def method(config: RunConfig, prepared: Prepared, chosen: Chosen) -> list[str]:
    """Describe what was done, in paragraphs."""
    tuned = (
        f"Every optimizer was tuned over the same rates ({', '.join(f'{lr:g}' for lr in config.lr_grid)}) on seed "
        f"{config.tuning_seed}, which is not evaluated: encoders by validation loss after {config.tune_epochs} "
        "epochs, agents by return in the training world."
        if config.lr_grid
        else f"Rates were not tuned: lr is {config.lr:g}, alpha_max (of the switching ones) is {config.alpha_max:g}."
    )
    paragraphs = [
        "Normalization, feature selection, components and encoders were fitted on training cells only. Truth is the "
        "mean change of test cells against test controls; predictions come from training cells and training "
        "controls, so no control is shared by the two sides. Genes that a condition edits itself are not scored.",
        tuned + f" All of them use eps {config.eps:g}, the same initial weights and the same order of data for a seed.",
    ]
    if "held-out" in config.protocols:
        paragraphs.append(
            "Held-out protocol. Encoders are graph-attention networks trained by masked reconstruction; a ridge "
            "regression reads changes of their joint embedding out as changes of features, and the same head reads the "
            "untrained encoder, principal components and random projections. Agents are PPO policies in a world learnt "
            f"from training cells, standing on the encoder that {config.reference_optimizer} trained, the same for all "
            "of them. They are told which change test cells show and asked to bring it about, so their rows measure "
            "control, not prediction; where they lead cells is read out by the same head."
        )
    if "paper" in config.protocols:
        paragraphs.append(
            "Paper protocol, as published: untrained embeddings, row number as pseudotime, another cell as the target, "
            "random knock-outs and over-expressions. The rows 'as published' compare the final state with the original "
            "cell and rank by hard calls; the rows 'against the target' compare it with the cell that was asked for."
        )
    agent = f" and agent {chosen.agent.key} (greatest return in training)" if chosen.agent else ""
    paragraphs.append(
        f"The weights in final_model.pt are those of encoder {chosen.encoder.key} (least validation loss){agent}: of "
        "the optimizer that is best in the mean over seeds, its best seed. Verdicts and predictions are of the same "
        "optimizer."
    )
    return paragraphs


def notes(config: RunConfig, prepared: Prepared, finished: Finished) -> list[str]:
    """Say what a reader must know before believing the numbers."""
    said = list(prepared.notes)
    if config.file is None and not (config.rna or config.atac or config.protein):
        said.append(
            "The cells are simulated: what holds here is a property of the simulator until real cells confirm it."
        )
    if prepared.design.kind != "perturbation":
        said.append(
            "The data measured no perturbation, so agents push the embedding directly; their moves are not edits of "
            "genes."
        )
    if prepared.design.kind == "pseudotime":
        said.append(
            "Neither perturbation nor time was measured: the conditions are stages of an order computed from the same "
            "cells, so agreement is to be expected, and only its size beside the baselines says anything."
        )
    if config.seeds < 3:
        said.append(f"{config.seeds} seed{'s' if config.seeds > 1 else ''}: too few to tell contestants apart.")
    at_edge = finished.tuned["lr"].isin([*config.lr_grid[:1], *config.lr_grid[-1:]])
    edge = finished.tuned[finished.tuned["chosen"] & at_edge]
    if len(edge):
        listed = ", ".join(f"{row.optimizer} ({row.kind}, {row.protocol}: {row.lr:g})" for row in edge.itertuples())
        said.append(f"These chosen rates lie on the edge of the grid, and a wider one may serve better: {listed}.")
    diverged = [
        unit.key for unit, record in finished.records.items() if unit.kind != "baseline" and record["objective"] is None
    ]
    if diverged:
        said.append(f"Training diverged and has no score: {', '.join(diverged)}.")
    return said
