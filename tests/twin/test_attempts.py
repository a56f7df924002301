"""What somebody tries who comes from scanpy or scvi-tools either works or is refused by a name and what is accepted."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import anndata as ad
import gymnasium
import mudata as md
import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.twin.user_cells import one_modality, simulated

from waddington import twin
from waddington.errors import ArgumentError, DataError, UnsupportedError, WaddingtonError


@pytest.fixture(scope="module")
def mdata() -> md.MuData:
    return simulated(n_cells=400)


@pytest.fixture(scope="module")
def adata(mdata: md.MuData) -> ad.AnnData:
    return one_modality(mdata)


REFUSED: dict[str, tuple[Callable[[ad.AnnData, md.MuData], object], type[WaddingtonError], str]] = {
    "an encoder that is set up": (
        lambda a, m: twin.TwinEncoder.setup_anndata(a),
        UnsupportedError,
        "waddington.twin.Twin.setup_anndata(adata)",
    ),
    "an encoder of cells": (lambda a, m: twin.TwinEncoder(a), ArgumentError, "waddington.twin.Twin(data)"),
    "an encoder fitted on cells": (
        lambda a, m: twin.TwinEncoder({"rna": 5}).fit(m),
        ArgumentError,
        "waddington.twin.tl.embed(data)",
    ),
    "an encoder fitted without counts": (
        lambda a, m: twin.TwinEncoder({"rna": 5}).fit({"rna": np.zeros((3, 5))}),
        ArgumentError,
        "without counts",
    ),
    "pseudotime of cells": (lambda a, m: twin.diffusion_pseudotime(a), ArgumentError, "waddington.twin.tl.pseudotime"),
    "a response of cells": (
        lambda a, m: twin.LatentResponse.fit(a, "perturbation"),
        ArgumentError,
        "waddington.twin.tl.predict(data)",
    ),
    "an environment of cells": (lambda a, m: twin.plan.env.CellEnv(a), ArgumentError, "waddington.twin.tl.environment"),
    "an environment without cells": (
        lambda a, m: gymnasium.make("waddington/Cell-v0"),
        ArgumentError,
        "accepted is data=",
    ),
    "a landscape of cells": (lambda a, m: twin.plots.landscape(a), ArgumentError, "waddington.twin.pl.landscape(data)"),
    "preprocessing of an AnnData": (
        lambda a, m: twin.Preprocessor().fit(a),
        ArgumentError,
        "waddington.twin.pp.preprocess(adata)",
    ),
    "embedding of raw counts": (lambda a, m: twin.tl.embed(a), DataError, "accepted is data after twin.pp.preprocess"),
    "an order without a graph": (lambda a, m: twin.tl.pseudotime(a), DataError, "scanpy's sc.pp.neighbors"),
    "a prediction from raw counts": (
        lambda a, m: twin.tl.predict(a, "Cebpa:knockout"),
        DataError,
        "accepted is data after twin.pp.preprocess",
    ),
    "a prediction without embedding": (
        lambda a, m: twin.tl.predict(a, "Cebpa:knockout", use_rep="X_twin"),
        DataError,
        "accepted is data after twin.tl.embed",
    ),
    "an environment without embedding": (lambda a, m: twin.tl.environment(a), DataError, "twin.tl.embed"),
    "an agent in nothing": (lambda a, m: twin.tl.train_agent("cells.h5ad"), ArgumentError, "str 'cells.h5ad'"),
    "a path for cells": (lambda a, m: twin.pp.preprocess("cells.h5ad"), ArgumentError, "accepted is an AnnData"),
    "a view": (lambda a, m: twin.pp.preprocess(a[:50]), ArgumentError, "data[cells].copy()"),
    "judging raw counts": (lambda a, m: twin.tl.evaluate(a), DataError, "twin.pp.preprocess"),
    "drawing without an order": (lambda a, m: twin.pl.landscape(a), DataError, "waddington.twin.tl.pseudotime writes"),
    "losses of nothing": (lambda a, m: twin.pl.losses(a), DataError, "waddington.twin.tl.embed writes it"),
    "drawing of a path": (lambda a, m: twin.pl.landscape("cells.h5ad"), ArgumentError, "cannot draw str"),
    "a MuData set up as AnnData": (lambda a, m: twin.Twin.setup_anndata(m), ArgumentError, "accepted is an AnnData"),
    "a key that is none": (
        lambda a, m: twin.Twin.setup_anndata(a, perturbation="guide"),
        ArgumentError,
        "perturbation_key",
    ),
    "a column that is not there": (
        lambda a, m: twin.Twin.setup_anndata(a, perturbation_key="guide"),
        DataError,
        "'guide'",
    ),
    "a layer that is not there": (lambda a, m: twin.Twin.setup_anndata(a, layer="umi"), DataError, "layer='umi'"),
    "a parameter that is none": (lambda a, m: twin.Twin(a, n_latent=10), ArgumentError, "n_latent"),
    "a model before training": (lambda a, m: twin.Twin(a).predict("Cebpa"), ArgumentError, "before train()"),
}


@pytest.mark.parametrize("attempt", REFUSED)
def test_an_attempt_is_refused_by_name(adata: ad.AnnData, mdata: md.MuData, attempt: str) -> None:
    act, error, words = REFUSED[attempt]
    with pytest.raises(error, match=re.escape(words)):
        act(adata, mdata)


def test_one_modality_beside_others_in_one_matrix_is_refused(mdata: md.MuData) -> None:
    mixed = ad.concat([mdata["rna"], mdata["protein"]], axis="var", merge="same")
    mixed.var["feature_types"] = ["Gene Expression"] * mdata["rna"].n_vars + ["Antibody Capture"] * 8
    with pytest.raises(DataError, match=r"mixes features of rna, protein; accepted is a MuData"):
        twin.pp.preprocess(mixed)


def test_modalities_of_different_cells_are_refused(mdata: md.MuData) -> None:
    with md.set_options(pull_on_update=False):
        uneven = md.MuData({"rna": mdata["rna"].copy(), "protein": mdata["protein"][:300].copy()})
    with pytest.raises(DataError, match="protein has 300 of its 400 cells"):
        twin.pp.preprocess(uneven)


def test_arrays_are_drawn_into_a_single_ax() -> None:
    rng = np.random.default_rng(0)
    ax = Figure().subplots()
    panels = twin.plots.landscape(rng.normal(size=(50, 2)), rng.random(50), ax=ax)
    assert dict(panels) == {"map": ax}


def test_the_twin_is_discovered() -> None:
    assert {"Twin", "datasets", "pl", "pp", "run", "tl"} <= set(dir(twin))


@pytest.mark.parametrize("order", ["import gymnasium, waddington.twin", "import waddington.twin, gymnasium"])
def test_the_environment_is_registered_and_nothing_heavy_is_loaded(order: str) -> None:
    code = f"""
import sys
import waddington
heavy = {{'torch', 'anndata', 'scanpy', 'pandas', 'matplotlib', 'stable_baselines3'}}
{order}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert 'waddington/Cell-v0' in gymnasium.registry
assert type(gymnasium.__spec__.loader).__name__ == 'SourceFileLoader'
"""
    subprocess.run([sys.executable, "-c", code], check=True)
