"""Predicted responses as a MuData: one observation a condition, the same features, mean, deviation and interval."""

from __future__ import annotations

import mudata as md
import numpy as np
import pandas as pd

from waddington.twin._keys import recorded
from waddington.twin.evaluate.heldout import Truth, observe
from waddington.twin.models.profiles import FittedResponse, predict_profiles
from waddington.twin.run.data import RunData
from waddington.twin.run.records import RunRecords

__all__ = ["predictions"]


def predictions(prepared: RunData, finished: RunRecords, response: FittedResponse) -> md.MuData:
    """Predict every scored condition from the training cells.

    Returns
    -------
    MuData
        One observation a condition and the features of each modality; ``X`` is the predicted mean profile,
        ``layers["change"]`` its difference from the training controls, ``layers["std"]``, ``["low"]`` and ``["high"]``
        how far that may be off (see :func:`~waddington.twin.models.predict_profiles`), ``layers["observed_change"]``
        what test cells show; ``obs`` holds the perturbation, the split, what the answer rests on (``support``), whether
        part of it is a guess (``flagged``) and whether training cells measured each part (``measured_support``). Each
        modality's ``obs`` says whether the condition can be measured in it (``measurable``) and how well replicates
        agree (``reliability``).
    """
    design = prepared.design
    truth: Truth = observe(prepared.inputs, prepared.names, design)
    labels = list(design.split_of)
    whole = predict_profiles(response, labels, guess=True)
    obs = whole.obs.copy()
    obs.insert(0, "split", [design.split_of[label] for label in labels])
    obs["measured_support"] = ~obs["flagged"].astype(bool)
    obs["n_test_cells"] = [len(design.cells(label, train=False)) for label in labels]
    obs.index.name = "condition"
    parts = {}
    for modality in prepared.inputs:
        part = whole[:, (whole.var["modality"] == modality).to_numpy()].copy()
        part.obs = obs.copy()
        part.var = pd.DataFrame(index=pd.Index(prepared.names[modality]))
        part.layers["change"] = part.layers.pop("effect")
        part.layers["observed_change"] = np.stack([truth.effects[label][modality] for label in labels]).astype(
            np.float32
        )
        table = finished.measurability
        agreement = table[table["modality"] == modality].set_index("condition").reindex(labels)
        part.obs["measurable"] = agreement["measurable"].to_numpy(dtype=bool)
        part.obs["reliability"] = agreement["reliability"].to_numpy(dtype=np.float64)
        part.uns.clear()
        parts[modality] = part
    with md.set_options(pull_on_update=False):
        found = md.MuData(parts)
    found.obs = obs
    about = {"kind": design.kind, "control": design.control, "prediction": dict(recorded(whole)["prediction"])}
    found.uns["waddington"] = about
    return found
