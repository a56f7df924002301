"""Predicted responses as a MuData: one observation a condition, the same features, mean and spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd

from waddington.twin.data.conditions import condition_columns, parse_label
from waddington.twin.evaluate.heldout import Truth, observe
from waddington.twin.respond.decoded import DecodedResponse
from waddington.twin.run.artifacts import ARRAYS, joint_latent
from waddington.twin.run.data import RunData
from waddington.twin.run.folder import RunFolder
from waddington.twin.run.records import RunRecords

__all__ = ["fit_models", "predictions"]


def fit_models(
    folder: RunFolder, prepared: RunData, finished: RunRecords, optimizer: str
) -> tuple[DecodedResponse, ...]:
    """Fit a response model on each seed's encoder of one optimizer; a diverged encoder has none."""
    folders = [folder.files_of(job) for (name, _), job in finished.encoders.items() if name == optimizer]
    return tuple(
        DecodedResponse(joint_latent(files, prepared.design.train), prepared.inputs, prepared.design)
        for files in folders
        if (files / ARRAYS).exists()
    )


def predictions(
    prepared: RunData, finished: RunRecords, models: Sequence[DecodedResponse], *, optimizer: str
) -> md.MuData:
    """Predict every scored condition with the models of each seed's encoder of one optimizer.

    Returns
    -------
    MuData
        One observation a condition and the features of each modality; ``X`` is the predicted mean profile,
        ``layers["change"]`` its difference from the training controls, ``layers["std"]`` the standard deviation over
        seeds, ``layers["observed_change"]`` what test cells show; ``obs`` holds the perturbation, the split and whether
        training cells measured each part of it (``measured_support``). Where they did not, nothing is predicted: ``X``,
        ``change`` and ``std`` are NaN. Each modality's ``obs`` says whether the condition can be measured in it
        (``measurable``) and how well replicates agree (``reliability``).
    """
    design = prepared.design
    truth: Truth = observe(prepared.inputs, prepared.names, design)
    labels = list(design.split_of)
    obs = pd.DataFrame(
        {
            "split": [design.split_of[label] for label in labels],
            "measured_support": [bool(models and models[0].supports(label)) for label in labels],
            "n_test_cells": [len(design.cells(label, train=False)) for label in labels],
            "n_seeds": len(models),
        },
        index=pd.Index(labels, name="condition"),
    )
    if design.kind == "perturbation":
        columns = [condition_columns(parse_label(label)) for label in labels]
        obs["perturbation"] = [genes for genes, _ in columns]
        obs["perturbation_mode"] = [modes for _, modes in columns]
    control = design.cells(design.control, train=True)
    parts = {}
    for modality, x in prepared.inputs.items():
        changes = np.full((len(models), len(labels), x.shape[1]), np.nan)
        for row in np.flatnonzero(obs["measured_support"]):
            changes[:, row] = [model.predict(labels[row])[modality] for model in models]
        mean = changes.mean(axis=0)
        part = ad.AnnData(
            X=(x[control].mean(axis=0, dtype=np.float64) + mean).astype(np.float32),
            obs=obs.copy(),
            var=pd.DataFrame(index=pd.Index(prepared.names[modality])),
        )
        part.layers["change"] = mean.astype(np.float32)
        part.layers["std"] = (changes.std(axis=0, ddof=1) if len(models) > 1 else np.zeros_like(mean)).astype(
            np.float32
        )
        part.layers["observed_change"] = np.stack([truth.effects[label][modality] for label in labels]).astype(
            np.float32
        )
        table = finished.measurability
        agreement = table[table["modality"] == modality].set_index("condition").reindex(labels)
        part.obs["measurable"] = agreement["measurable"].to_numpy(dtype=bool)
        part.obs["reliability"] = agreement["reliability"].to_numpy(dtype=np.float64)
        parts[modality] = part
    with md.set_options(pull_on_update=False):
        whole = md.MuData(parts)
    whole.obs = obs
    whole.uns["waddington"] = {"optimizer": optimizer, "kind": design.kind, "control": design.control}
    return whole
