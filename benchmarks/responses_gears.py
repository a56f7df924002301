"""GEARS beside our default, on the K562 slice: doubles both of whose singles were measured, each held out in turn.

    python -m pip install cell-gears        # in an environment of its own, beside waddington
    OMP_NUM_THREADS=1 python benchmarks/responses_gears.py [--halves 1] [--epochs 6] [--json FILE]

Run by hand; about two minutes a model and a halving on one core, five models a halving. Reads the data set below the
folder WADDINGTON_DATA. Both learn from the same cells: of the controls one half, the other measures effects. GEARS has
its published settings (hidden size 64, Adam at 1e-3 halved every epoch, batches of 32) but six epochs for twenty, by
which the halved rates have come to 98 % of all that they ever sum to; two training doubles choose its epoch. **Its
graph of Gene Ontology is a download, and no network was at hand**: sets of genes with a common regulator in CollecTRI
stand for it, or no graph (``--graph none``). That graph serves genes that were never perturbed; here all were.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
import torch

import responses_measured
from measuring import say, write
from responses_scoring import Observed, answer, scored, shown, summary
from waddington.twin.data.conditions import conditions_of
from waddington.twin.respond import MODELS, HierarchicalAdditive, Measured

RIVALS = ("no change", "mean", "additive", "scaled additive")
OURS = HierarchicalAdditive.name


def regulators() -> dict[str, set[str]]:
    """Give the regulators of each gene in CollecTRI."""
    table = pd.read_csv(Path(os.environ["WADDINGTON_DATA"]) / "grn_priors" / "collectri_human.csv.gz")
    source, target = table.columns[:2]
    return {str(gene): set(map(str, part)) for gene, part in table.groupby(target)[source]}


def gears_name(label: str) -> str:
    """Spell a condition as GEARS does."""
    genes = [part.partition(":")[0] for part in label.split("+")]
    return "ctrl" if label == "control" else "+".join(genes if len(genes) > 1 else [*genes, "ctrl"])


def fitted(adata: ad.AnnData, folder: Path, options: argparse.Namespace) -> Any:
    """Train GEARS on these cells."""
    from gears import GEARS, PertData  # type: ignore[import-not-found]

    genes = {gene for name in adata.obs["condition"].unique() for gene in name.split("+")} - {"ctrl"}
    known = regulators() if options.graph == "collectri" else {}
    sets = {str(gene): {gene} | known.get(str(gene), set()) for gene in genes | set(adata.var["gene_name"])}
    with (folder / "gene2go_all.pkl").open("wb") as file:
        pickle.dump(sets, file)
    data = PertData(str(folder), default_pert_graph=False)
    data.new_data_process("k562", adata=adata.copy())
    rest = sorted(set(adata.obs["condition"]))
    doubles = [name for name in rest if "ctrl" not in name]
    chosen = [str(name) for name in np.random.default_rng(options.seed).choice(doubles, 2, replace=False)]
    parts = {"train": [name for name in rest if name not in chosen], "val": chosen, "test": chosen}
    with (folder / "split.pkl").open("wb") as file:
        pickle.dump(parts, file)
    data.prepare_split(split="custom", seed=options.seed, split_dict_path=str(folder / "split.pkl"))
    data.get_dataloader(batch_size=32, test_batch_size=128)
    torch.manual_seed(options.seed)
    data.adata.X, sparse = data.adata.X.toarray(), data.adata.X  # it indexes by a Series, which scipy now refuses
    model = GEARS(data, device="cpu")
    data.adata.X = sparse
    model.model_initialize(hidden_size=64)
    del model.dataloader["test_loader"]  # the test is ours
    model.train(epochs=options.epochs, lr=1e-3)
    return model


def effect(model: Any, label: str, controls: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Give the predicted change of the mean, (genes,): from the same 300 controls that GEARS draws and starts from."""
    genes = [part.partition(":")[0] for part in label.split("+")]
    np.random.seed(0)  # noqa: NPY002  (GEARS draws from numpy's own generator)
    profile = model.predict([genes])["_".join(genes)]
    drawn = np.random.RandomState(0).randint(0, len(controls), 300)
    return np.asarray(profile, dtype=np.float64) - controls[drawn].mean(axis=0, dtype=np.float64)


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Score all models, each held-out double a row."""
    adata = responses_measured.read("perturbseq_norman19/norman19_subset.h5ad")
    x = responses_measured.dense(adata.X)
    labels = conditions_of(adata, default_mode="activation").to_numpy().astype(np.str_)
    names = {"rna": adata.var_names.to_numpy().astype(np.str_)}
    conditions = sorted(set(labels.tolist()) - {"control"})
    targets = [one for one in conditions if "+" in one and set(one.split("+")) <= set(conditions)]
    rows: list[dict[str, Any]] = []
    for half, _, second in responses_measured.halves(labels, options.halves):
        train = np.ones(len(labels), dtype=np.bool_)
        train[second] = False
        whole = Measured.of({"rna": x}, responses_measured.split_of(labels, train), names=names)
        cells = ad.AnnData(
            sp.csr_matrix(x[train]),
            obs=pd.DataFrame(
                {"condition": [gears_name(one) for one in labels[train]], "cell_type": "K562"},
                index=adata.obs_names[train],
            ),
            var=pd.DataFrame({"gene_name": names["rna"]}, index=names["rna"]),
        )
        for label in targets:
            say(f"half {half + 1} of {options.halves}: {label}")
            rest = whole.without({label})
            effects = {name: answer(MODELS[name](rest), label, x.shape[1]) for name in (*RIVALS, OURS)}  # type: ignore[call-arg]
            with tempfile.TemporaryDirectory() as folder, _elsewhere(folder):
                model = fitted(cells[cells.obs["condition"] != gears_name(label)], Path(folder), options)
            effects["GEARS"] = effect(model, label, x[train & (labels == "control")])
            observed = Observed.of(label, x[labels == label], x[second])
            rows += scored(observed, effects, split="both seen", screen="K562", half=half)
            done = pd.DataFrame(rows)
            last = done[(done["condition"] == label) & (done["half"] == half)].set_index("model")["r"]
            say(f"r: GEARS {last['GEARS']:.3f}, {OURS} {last[OURS]:.3f}")
    return pd.DataFrame(rows)


class _elsewhere(contextlib.AbstractContextManager[None]):
    """Work in another folder and keep GEARS's own words from the screen: it writes to where it stands."""

    def __init__(self, folder: str) -> None:
        self.folder, self.before = folder, Path.cwd()

    def __enter__(self) -> None:
        (Path(self.folder) / "data").mkdir()
        os.chdir(self.folder)
        self.quiet = contextlib.ExitStack()
        self.quiet.enter_context(contextlib.redirect_stdout(io.StringIO()))
        self.quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))

    def __exit__(self, *_: object) -> None:
        self.quiet.close()
        os.chdir(self.before)


def main() -> None:
    """Read options, run, and show one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--halves", type=int, default=1, help="halvings of the controls")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--graph", choices=("collectri", "none"), default="collectri")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    frame = run(options)
    table = summary(frame, against="scaled additive", of=OURS)
    print(shown(table, title="K562, both singles seen, beside GEARS", against="scaled additive", of=OURS))
    if options.json:
        write(options.json, {"scores": table.assign(split="both seen").to_dict("records")})


if __name__ == "__main__":
    main()
