"""The measured data sets of `responses.py`, read from the folder WADDINGTON_DATA, and what is held out of each.

Controls are halved at random, many times: one half is trained on, effects of held-out cells are measured from the
other, so that no control cell is on both sides.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd

from measuring import say
from responses_scoring import Observed, answer, covered, scored, scored_profile
from waddington.twin.data.conditions import conditions_of
from waddington.twin.data.splits import Split
from waddington.twin.evaluate.measurability import measure_conditions
from waddington.twin.respond import (
    MODELS,
    DenoisedMean,
    HierarchicalAdditive,
    Measured,
    ResponseModel,
    SimilarityWeighted,
    Training,
)

Array = npt.NDArray[np.float64]
Make = Callable[[Measured], dict[str, ResponseModel]]

EXPRESSED = 0.05
"""Share of cells in which a gene is detected, above which it counts as expressed."""
OURS = HierarchicalAdditive.name


def read(name: str) -> ad.AnnData:
    """Read one file below WADDINGTON_DATA."""
    folder = os.environ.get("WADDINGTON_DATA")
    if not folder or not (Path(folder) / name).is_file():
        sys.exit(f"cannot read {name}: set WADDINGTON_DATA to the folder that holds it (now {folder!r})")
    return ad.read_h5ad(Path(folder) / name)


def dense(matrix: Any) -> npt.NDArray[np.float32]:
    """Give an array."""
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float32)


def log_profiles(counts: Any, target: float | None = None) -> npt.NDArray[np.float32]:
    """Scale to the median total, or to `target`, and take logarithms."""
    x = dense(counts)
    depth = x.sum(axis=1, keepdims=True)
    return np.log1p(x * (np.median(depth) if target is None else target) / np.maximum(depth, 1.0)).astype(np.float32)


def split_of(labels: npt.NDArray[np.str_], train: npt.NDArray[np.bool_]) -> Split:
    """Mark training cells; "control" is the control."""
    return Split(kind="perturbation", labels=labels, control="control", train=train, split_of={})


def halves(
    labels: npt.NDArray[np.str_], n: int, *, among: npt.NDArray[np.bool_] | None = None
) -> Iterator[tuple[int, npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Halve the controls, again and again."""
    controls = np.flatnonzero((labels == "control") & (True if among is None else among))
    rng = np.random.default_rng(0)
    for number in range(n):
        drawn = rng.permutation(controls)
        yield number, drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]


def k562(n_halves: int, make: Make) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Leave conditions of the K562 slice out: effects, profiles with all controls, coverage."""
    adata = read("perturbseq_norman19/norman19_subset.h5ad")
    x, labels = dense(adata.X), conditions_of(adata, default_mode="activation").to_numpy().astype(np.str_)
    names = {"rna": adata.var_names.to_numpy().astype(np.str_)}
    conditions = sorted(set(labels) - {"control"})
    singles = {label for label in conditions if "+" not in label}
    ways = {0: "none seen", 1: "one seen", 2: "both seen"}
    left: dict[str, tuple[str, set[str]]] = {}
    for label in conditions:
        if label in singles:
            gone = {one for one in conditions if label in one.split("+")}
            left[label] = ("unseen single", gone)
        else:
            left[label] = (ways[len(singles & set(label.split("+")))], {label})
    cells = {label: x[labels == label] for label in conditions}
    detected = (x > 0).mean(axis=0) > EXPRESSED
    rows: list[dict[str, Any]] = []
    inside: list[dict[str, Any]] = []
    for half, _, second in halves(labels, n_halves):
        say(f"K562, half {half + 1} of {n_halves}")
        train = np.ones(len(labels), dtype=np.bool_)
        train[second] = False
        whole = Measured.of({"rna": x}, split_of(labels, train), names=names)
        for label, (way, gone) in left.items():
            if way == "unseen single" and half >= max(n_halves // 6, 1):
                continue
            models = make(whole.without(gone))
            observed = Observed.of(label, cells[label], x[second])
            effects = {name: answer(model, label, x.shape[1]) for name, model in models.items()}
            rows += scored(observed, effects, split=way, screen="K562", half=half)
            ours = models[OURS]
            assert isinstance(ours, HierarchicalAdditive)
            changed = np.abs(observed.effect) > 3.0 * np.sqrt(observed.noise)
            groups = {"all": np.ones(x.shape[1], dtype=np.bool_), "expressed": detected, "changed": changed}
            inside += covered(ours, observed, whole.pooled_variance("rna"), groups, split=way)
    profiles = _profiles(x, labels, left, names, make)
    return pd.DataFrame(rows), profiles, pd.DataFrame(inside)


def _profiles(
    x: npt.NDArray[np.float32],
    labels: npt.NDArray[np.str_],
    left: dict[str, tuple[str, set[str]]],
    names: dict[str, npt.NDArray[np.str_]],
    make: Make,
) -> pd.DataFrame:
    """Predict profiles, with all controls on the side of training."""
    whole = Measured.of({"rna": x}, split_of(labels, np.ones(len(labels), dtype=np.bool_)), names=names)
    rows: list[dict[str, Any]] = []
    for label, (way, gone) in left.items():
        if way != "both seen":
            continue
        models = make(whole.without(gone))
        observed = Observed.of(label, x[labels == label], x[labels == "control"])
        profiles = {name: observed.control + answer(model, label, x.shape[1]) for name, model in models.items()}
        for name, model in models.items():
            if isinstance(model, HierarchicalAdditive):
                profiles[name] = model.unperturbed["rna"] + answer(model, label, x.shape[1])
        rows += scored_profile(observed, profiles, split="both seen, profiles", screen="K562")
    return pd.DataFrame(rows)


def papalexi(n_halves: int) -> pd.DataFrame:
    """Leave one knocked-out gene out."""
    adata = read("papalexi_thp1/rna_299genes.h5ad")
    adata = adata[adata.obs["grna_top_frac"].to_numpy() > 0.8].copy()
    target = adata.obs["target_top"].astype(str).to_numpy()
    labels = np.array(["control" if one == "non-targeting" else f"{one}:knockout" for one in target])
    x, genes = log_profiles(adata.X), adata.var_names.to_numpy().astype(np.str_)
    conditions = sorted(set(labels.tolist()) - {"control"})
    everything = Split(
        kind="perturbation",
        labels=labels,
        control="control",
        train=np.ones(len(labels), dtype=np.bool_),
        split_of=dict.fromkeys(conditions, "unseen_single"),
    )
    verdicts = measure_conditions(x, genes, everything).set_index("condition")["measurable"]
    say(f"measurable: {int(verdicts.sum())} of {len(verdicts)}")
    rows: list[dict[str, Any]] = []
    for half, _, second in halves(labels, n_halves):
        train = np.ones(len(labels), dtype=np.bool_)
        train[second] = False
        whole = Measured.of({"rna": x}, split_of(labels, train), names={"rna": genes})
        for label in conditions:
            rest = whole.without({label})
            models: dict[str, ResponseModel] = {
                name: MODELS[name](rest)  # type: ignore[call-arg]
                for name in ("no change", "mean", "denoised mean", OURS)
            }
            keep = genes != label.partition(":")[0]
            observed = Observed.of(label, x[labels == label], x[second], keep)
            effects = {name: answer(model, label, x.shape[1]) for name, model in models.items()}
            for split in ("all targets", *(("measurable targets",) if verdicts[label] else ())):
                rows += scored(observed, effects, split=f"Papalexi, {split}", screen="Papalexi", half=half)
    return pd.DataFrame(rows)


def kang(n_halves: int) -> pd.DataFrame:
    """Leave one cell type, or one donor, of the stimulated cells out."""
    adata = read("kang2018_ifnb/kang_celltypes_1556cells.h5ad")
    x = log_profiles(adata.X, 1e4)
    labels = np.where(adata.obs["stim"].astype(str) == "stim", "IFNB1:cytokine", "control").astype(np.str_)
    types, donors = (adata.obs[key].astype(str).to_numpy() for key in ("cell_type", "donor"))
    both = np.array([f"{donor}, {kind}" for donor, kind in zip(donors, types, strict=True)])
    rows = transferred(x, labels, types, "Kang, cell type held out", n_halves=n_halves)
    for donor in sorted(set(donors.tolist())):
        rows += transferred(
            x, labels, both, "Kang, donor held out", n_halves=n_halves, held=donors == donor, screen=f"donor {donor}"
        )
    return pd.DataFrame(rows)


def protein(n_halves: int) -> pd.DataFrame:
    """Leave one technology's stimulated cells out, and predict each cell type's from the other's."""
    adata = read("asap_cite_pbmc_adt/adt_4batches.h5ad")
    x = log_profiles(adata.X)
    technology, arm = (
        np.array([one.split("_")[at] for one in adata.obs["assay_condition"].astype(str)]) for at in (0, 1)
    )
    labels = np.where(arm == "stim", "CD3+CD28:cytokine", "control").astype(np.str_)
    types = adata.obs["coarse_cluster"].astype(str).to_numpy()
    rows: list[dict[str, Any]] = []
    for held in ("CITE", "ASAP"):
        rows += transferred(
            x, labels, types, f"{held} predicted from the other", n_halves=n_halves, held=technology == held,
            screen=held,
        )  # fmt: skip
    return pd.DataFrame(rows)


def transferred(
    x: npt.NDArray[np.float32],
    labels: npt.NDArray[np.str_],
    groups: npt.NDArray[np.str_],
    split: str,
    *,
    n_halves: int,
    held: npt.NDArray[np.bool_] | None = None,
    screen: str = "all",
) -> list[dict[str, Any]]:
    """Predict what a group does from the groups that are trained on.

    Without `held`, each group in turn is left out; with it, those cells are, and each group among them is predicted.
    """
    (label,) = set(labels.tolist()) - {"control"}
    rows: list[dict[str, Any]] = []
    for group in sorted(set(groups.tolist())):
        out = groups == group if held is None else held
        target = out & (groups == group)
        if not (target & (labels == label)).any():
            continue
        split_ = split_of(labels, ~out)
        data = Training(values={"rna": x}, split=split_, groups=groups)
        weighted = SimilarityWeighted.fit(data)
        matched, pooled = data.measured, Measured.of({"rna": x}, split_)
        cells = x[target & (labels == label)]
        effects = {
            "no change": np.zeros(x.shape[1]),
            "mean shift of all cells": pooled.effects("rna")[1],
            "matched mean shift": matched.effects("rna")[1],
            "denoised mean shift": DenoisedMean(matched).predict(label)["rna"],
            "weights all alike": weighted.predict(label)["rna"],
        }
        if group in data.by_group:
            same = data.by_group[group]
            effects["same group's shift"] = same.effects("rna")[1]
            effects["same group's, denoised"] = DenoisedMean(same).predict(label)["rna"]
        for half, first, second in halves(labels, n_halves, among=target):
            start = {"rna": x[first].mean(axis=0, dtype=np.float64)}
            effects["similarity-weighted"] = weighted.predict(label, start=start)["rna"]
            observed = Observed.of(f"{screen}, {group}", cells, x[second])
            rows += scored(observed, dict(effects), split=split, screen=screen, half=half)
    return rows
