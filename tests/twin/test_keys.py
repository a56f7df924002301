"""Every function writes exactly the keys of the table, in its shapes; files read back; nobody else's are touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from tests.twin.user_cells import one_modality, simulated

from waddington import twin
from waddington.errors import DataError
from waddington.twin._keys import KEYS, Key, key_table

PLACES = ("obs", "var", "obsm", "obsp", "layers")
OPTIONS: dict[str, dict[str, Any]] = {
    "tl.embed": {"epochs": 1, "embedding_dim": 4, "joint_dim": 4},
    "tl.evaluate": {"models": ["additive"], "repeats": 1, "null_repeats": 0},
}
STEPS = ("pp.split", "pp.preprocess", "pp.neighbors", "tl.embed", "tl.pseudotime", "tl.evaluate")
WRITERS = {row.writer for row in KEYS}


def holders(data: ad.AnnData | md.MuData) -> Iterator[tuple[str, Any]]:
    """Give every object that can hold keys, with what the table calls it."""
    if isinstance(data, md.MuData):
        yield "mudata", data
        for name, part in data.mod.items():
            yield f"modality {name}", part
    else:
        yield "anndata", data


def found_keys(data: ad.AnnData | md.MuData) -> dict[tuple[str, str], Any]:
    """Give the values of all keys, by holder and name as the table writes it."""
    found: dict[tuple[str, str], Any] = {}
    for where, holder in holders(data):
        for place in PLACES:
            if isinstance(holder, ad.AnnData) or place in ("obs", "obsm", "obsp"):
                found |= {(where, f'{place}["{name}"]'): value for name, value in getattr(holder, place).items()}
        for name, value in holder.uns.get("waddington", {}).items():
            found[where, f'uns["waddington"]["{name}"]'] = value
        assert set(holder.uns) <= {"waddington", "simulation"}
        if isinstance(holder, ad.AnnData):
            found[where, "X"] = holder.X.copy()
    return found


def writers(row: Key) -> set[str]:
    """Name the functions that write a key; what runs write is asked in tests/twin/run."""
    return set(row.writer.split(", ")) - {"run"}


def row_of(where: str, name: str) -> Key:
    kinds = {"anndata": ("data", "modality", "data and modality"), "mudata": ("data", "mudata", "data and modality")}
    of = kinds.get(where, ("modality", "data and modality"))
    if where.startswith("modality") and name == 'obsm["X_twin"]':
        name, of = 'obsm["X_twin"] of a modality', ("mudata",)
    rows = [row for row in KEYS if row.name == name and row.of in of]
    assert len(rows) == 1, f"{where}: {name} is not in the table"
    return rows[0]


def check_value(row: Key, holder: Any, value: Any) -> None:
    """Hold a value against the shape and dtype of its row."""
    if row.shape.startswith("("):
        sizes = {"cells": holder.n_obs, "features": getattr(holder, "n_var", holder.n_vars)}
        sizes |= {"modalities": len(holder.mod)} if isinstance(holder, md.MuData) else {}
        words = re.findall(r"\w+", row.shape)
        assert len(value.shape) == len(words)
        assert all(size == sizes.get(word, size) for size, word in zip(value.shape, words, strict=True))
        kind = row.dtype.split(",")[0]
        assert kind == "text" or str(value.dtype) == kind, (row.name, value.dtype)
    else:
        assert isinstance(value, {"mapping": dict, "table": pd.DataFrame, "list": list}[row.shape])


def call(step: str, data: ad.AnnData | md.MuData) -> None:
    room, name = step.split(".")
    getattr(getattr(twin, room), name)(data, **OPTIONS.get(step, {}))


@pytest.mark.parametrize("kind", ["MuData", "AnnData"])
def test_exactly_the_keys_of_the_table_appear(kind: str, tmp_path: Path) -> None:
    mdata = simulated()
    del mdata.mod["rna"].layers["counts"]
    data = mdata if kind == "MuData" else one_modality(mdata)
    setup = twin.Twin.setup_mudata if kind == "MuData" else twin.Twin.setup_anndata
    before = found_keys(data)
    setup(data, perturbation_key="perturbation", mode_key="perturbation_mode")
    assert set(found_keys(data)) - set(before) == {(kind.lower(), 'uns["waddington"]["setup"]')}
    written = {'uns["waddington"]["setup"]', 'uns["waddington"]["keys"]', 'uns["waddington"]["notes"]'}
    for step in STEPS:
        before = found_keys(data)
        call(step, data)
        after = found_keys(data)
        new = {key for key in after if key not in before or (key[1] == "X" and not same(before[key], after[key]))}
        for where, name in new:
            row = row_of(where, name)
            assert writers(row) & {step, "pp", "data.io.read"}, (step, name)
            check_value(row, dict(holders(data))[where], after[where, name])
            written.add(row.name)
        for key in set(before) - new:
            place = key[1].split("[")[0]
            assert place == "uns" or same(before[key], after[key]), f"{step} changed {key}"
        wanted = {row.name for row in KEYS if writers(row) == {step} and (row.of != "mudata" or kind == "MuData")}
        missing = wanted - {row_of(*key).name for key in new}
        assert missing <= {'layers["values"]', 'obsm["X_lsi"]'}, f"{step} did not write {missing}"
    everything = {row.name for row in KEYS if writers(row) and (row.of != "mudata" or kind == "MuData")}
    assert everything - written == ({'layers["values"]'} if kind == "MuData" else {'layers["values"]', 'obsm["X_lsi"]'})
    path = tmp_path / ("cells.h5mu" if kind == "MuData" else "cells.h5ad")
    data.write(path)
    back = md.read_h5mu(path) if kind == "MuData" else ad.read_h5ad(path)
    assert set(found_keys(back)) == set(found_keys(data))
    call("tl.pseudotime", back)  # our keys are known as ours in what was read
    np.testing.assert_array_equal(back.obs["pseudotime"], data.obs["pseudotime"])


def same(one: Any, other: Any) -> bool:
    if isinstance(one, pd.Series):
        return bool(one.equals(other))
    dense = [value.toarray() if hasattr(value, "toarray") else np.asarray(value) for value in (one, other)]
    return bool(np.array_equal(dense[0], dense[1], equal_nan=dense[0].dtype.kind == "f"))


def test_values_that_are_taken_as_they_are_have_their_key() -> None:
    adata = one_modality(simulated())
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    del adata.layers["counts"], adata.uns["log1p"]
    twin.Twin.setup_anndata(adata, normalization="none")
    twin.pp.preprocess(adata)
    assert same(adata.layers["values"], adata.X)


@pytest.mark.parametrize(
    ("step", "place", "name"),
    [
        ("pp.split", "obs", "split"),
        ("pp.preprocess", "obsm", "X_pca"),
        ("pp.preprocess", "var", "highly_variable"),
        ("pp.neighbors", "obsp", "twin_connectivities"),
        ("tl.embed", "obsm", "X_twin"),
        ("tl.pseudotime", "obs", "pseudotime"),
    ],
)
def test_another_tools_key_is_refused_by_name(rna_screen: ad.AnnData, step: str, place: str, name: str) -> None:
    data = rna_screen.copy()
    for key in [key for key in data.uns["waddington"]["keys"] if key in ("X", f"{place}:{name}")]:
        del data.uns["waddington"]["keys"][key]  # as if somebody else had written it
    theirs = getattr(data, place)[name].copy()
    with pytest.raises(DataError, match=re.escape(f"cannot write {place}[{name!r}]") + ".*overwrite=True"):
        call(step, data)
    assert same(getattr(data, place)[name], theirs)
    room, function = step.split(".")
    getattr(getattr(twin, room), function)(data, overwrite=True, **OPTIONS.get(step, {}))
    call(step, data)  # now it is ours


def test_normalized_values_of_another_tool_are_refused() -> None:
    adata = one_modality(simulated())
    sc.pp.normalize_total(adata)
    with pytest.raises(DataError, match=r"cannot write X of rna: .*overwrite=True"):
        twin.pp.preprocess(adata)


@pytest.mark.parametrize("step", STEPS[:-1])
def test_a_copy_is_given_back_and_the_original_left_alone(rna_screen: ad.AnnData, step: str) -> None:
    before = set(found_keys(rna_screen))
    room, function = step.split(".")
    changed = getattr(getattr(twin, room), function)(rna_screen, copy=True, **OPTIONS.get(step, {}))
    assert changed is not rna_screen
    assert set(found_keys(changed)) == before == set(found_keys(rna_screen))


def test_the_page_holds_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")
    assert key_table() in page, "run python docs/generate.py"


def test_a_foreign_entry_in_our_place_is_refused(rna_screen: ad.AnnData) -> None:
    data = rna_screen.copy()
    data.uns["waddington"] = "mine"
    with pytest.raises(DataError, match=r"cannot write uns\['waddington'\]: found str"):
        twin.pp.neighbors(data, overwrite=True)
