"""Do links between peaks, or proteins, and genes find what is known? Against permuted links, and the neighbour's gene.

    OMP_NUM_THREADS=1 python benchmarks/links.py [--cells simulator,snare] [--seeds 3] [--epochs 20] [--json FILE]

Known are, in the simulator, the gene of each promoter and enhancer and the gene that codes for each protein; in
SNARE-seq (below the folder WADDINGTON_DATA) the gene that each region lies near, a prior and no truth. Scores are of
all pairs of features that models see: correlation over cells, over neighbourhoods (the default of `twin.tl.links`),
over the cells that a trained encoder attends to, and of its joint read-out; z is how a score stands out among those of
its feature and gene. AUROC and AUPRC are of known pairs against all others; "permuted" shuffles which gene a feature is
known for. "neighbour" asks among pairs of one place alone: the known gene against the gene next to it on the
chromosome, where places are known. Then, what `twin.tl.links` calls links, at a false discovery rate of 5 %: among all
pairs, and among candidates of which half are known and half permuted.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from embeddings_cells import Cells, available, load
from embeddings_made import encoder_of, parts_of
from measuring import say, threading, write
from waddington import twin
from waddington.twin.embed.reading import attention_weights, joint_loadings
from waddington.twin.links import averaging, implied_correlation, places, smoothed_correlation, stand_out
from waddington.twin.preprocess.cells import ModelCells

SIZES = {"simulator": 1500, "snare": 3000}
Row = dict[str, Any]


def known_genes(cells: Cells, given: ModelCells, other: str) -> np.ndarray:
    """Give the known gene of each feature, its place among the genes that models see or -1."""
    genes = pd.Index(given.names["rna"])
    if cells.name == "simulator":
        return genes.get_indexer(pd.Index(cells.mdata[other].var.loc[given.names[other], "gene"]))
    near = sp.csc_matrix(sp.load_npz(_data() / "snareseq_mouse_cortex/gene_by_region_link.npz"))
    column = cells.mdata["atac"].var_names.get_indexer(given.names["atac"])
    gene = np.asarray(near[:, column].argmax(axis=0)).ravel()  # a region is near one gene
    return genes.get_indexer(cells.mdata["rna"].var_names[gene])


def scores_of(cells: Cells, given: ModelCells, other: str, *, seed: int, epochs: int) -> dict[str, np.ndarray]:
    """Score all pairs in every way."""
    depth = [np.log1p(np.asarray(given.counts[name].sum(axis=1)).ravel()) for name in ("rna", other)]
    covariates, x, y = np.column_stack(depth), given.inputs[other], given.inputs["rna"]
    everyone = np.ones(len(y), dtype=bool)
    encoder = encoder_of(given, everyone, seed=seed, epochs=epochs)
    embedding = encoder.embed(given.inputs, given.representations)["joint"]
    near = {
        "neighbourhoods": averaging(given.representations["rna"], n_neighbors=10),
        "attention": attention_weights(encoder, given.inputs, given.representations),
    }
    found = {"cells": smoothed_correlation(x, y, covariates=covariates)}
    for name, averages in near.items():
        found[name] = smoothed_correlation(x, y, averages=averages, covariates=covariates)
    found["read-out"] = implied_correlation(joint_loadings(encoder, other), joint_loadings(encoder, "rna"), embedding)
    return found | {f"{name}, z": stand_out(score) for name, score in found.items()}


def judged(scores: np.ndarray, gene: np.ndarray, beside: np.ndarray, *, seed: int) -> Row:
    """Say how known pairs rank among all, how permuted ones do, and how known ones do against the neighbouring gene."""
    rng = np.random.default_rng((seed, 41))
    row = np.flatnonzero(gene >= 0)
    truth, shuffled = np.zeros(scores.shape, dtype=bool), np.zeros(scores.shape, dtype=bool)
    truth[row, gene[row]] = True
    shuffled[row, rng.permutation(gene[row])] = True
    pairs = row[beside[row] >= 0]
    ahead = scores[pairs, gene[pairs]] > scores[pairs, beside[pairs]]
    return {
        "AUROC": roc_auc_score(truth.ravel(), scores.ravel()),
        "AUROC, permuted": roc_auc_score(shuffled.ravel(), scores.ravel()),
        "AUPRC": average_precision_score(truth.ravel(), scores.ravel()),
        "AUPRC, permuted": average_precision_score(shuffled.ravel(), scores.ravel()),
        "above the neighbour's": float(ahead.mean()) if len(pairs) else np.nan,
        "pairs": int(truth.sum()),
    }


def neighbouring(cells: Cells, given: ModelCells, other: str, gene: np.ndarray) -> np.ndarray:
    """Give for each feature the gene, not its own, whose known features lie nearest; -1 where no place is known."""
    found = np.full(len(gene), -1)
    if other != "atac":
        return found
    where = places(pd.DataFrame(index=given.names[other])).reindex(given.names[other])
    middle = ((where["start"] + where["end"]) / 2).to_numpy()
    for chromosome in where["chromosome"].dropna().unique():
        here = np.flatnonzero((where["chromosome"] == chromosome).to_numpy() & (gene >= 0))
        for one in here:
            rest = here[gene[here] != gene[one]]
            if len(rest):
                found[one] = gene[rest[np.argmin(np.abs(middle[rest] - middle[one]))]]
    return found


def called(cells: Cells, given: ModelCells, other: str, gene: np.ndarray, *, seed: int) -> list[Row]:
    """Count what `twin.tl.links` calls links."""
    rng = np.random.default_rng((seed, 42))
    row = np.flatnonzero(gene >= 0)
    features, genes = given.names[other], given.names["rna"]
    known = pd.DataFrame({"feature": features[row], "gene": genes[gene[row]], "known": True})
    permuted = pd.DataFrame({"feature": features[row], "gene": genes[rng.permutation(gene[row])], "known": False})
    both = pd.concat([known, permuted]).drop_duplicates(["feature", "gene"])
    every = pd.DataFrame({"feature": np.repeat(features, len(genes)), "gene": np.tile(genes, len(features))})
    rows = []
    for name, candidates in (("all pairs", every), ("known and permuted", both)):
        found = twin.tl.links(cells.mdata, modality=other, candidates=candidates, seed=seed)
        true = found.merge(known[["feature", "gene"]], on=["feature", "gene"])
        rows.append({"candidates": name, "tested": found.attrs["tested"], "links": len(found), "known": len(true)})
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default=",".join(SIZES), help="data sets, separated by commas")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(threading())
    scores: list[Row] = []
    links: list[Row] = []
    for name in options.cells.split(","):
        if not available(name):
            say(f"{name}: no folder WADDINGTON_DATA, left out")
            continue
        for seed in range(options.seeds):
            say(f"{name}, seed {seed}")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                warnings.simplefilter("ignore", FutureWarning)
                cells = load(name, seed, limit=SIZES[name])
                for other in [one for one in cells.mdata.mod if one != "rna"]:
                    where = {"cells": name, "pair": f"{other} - gene", "seed": seed}
                    given = parts_of(cells, ["rna", other])
                    gene = known_genes(cells, given, other)
                    beside = neighbouring(cells, given, other, gene)
                    for score, values in scores_of(cells, given, other, seed=seed, epochs=options.epochs).items():
                        scores.append({**where, "score": score, **judged(values, gene, beside, seed=seed)})
                    links += [{**where, **row} for row in called(cells, given, other, gene, seed=seed)]
    tables = [
        pd.DataFrame(rows).groupby(["cells", "pair", by], sort=False).mean(numeric_only=True).drop(columns="seed")
        for rows, by in ((scores, "score"), (links, "candidates"))
    ]
    for table in tables:
        print(table.round(4).to_string())
    if options.json is not None:
        records = [table.reset_index().to_dict("records") for table in tables]
        write(options.json, {"scores": records[0], "links": records[1], "seeds": options.seeds})


def _data() -> Path:
    return Path(os.environ["WADDINGTON_DATA"])


if __name__ == "__main__":
    main()
