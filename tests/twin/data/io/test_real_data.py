"""Public data sets are read with no option but what no program could know."""

from __future__ import annotations

from pathlib import Path

import pytest

from waddington.errors import DataError
from waddington.twin.data.conditions import conditions_of
from waddington.twin.data.io import describe, read

pytestmark = pytest.mark.data


def test_scicar_has_time_and_the_papers_split(data_dir: Path) -> None:
    mdata = read(rna=data_dir / "scicar_a549" / "rna.h5ad", atac=data_dir / "scicar_a549" / "atac_tf.h5ad")
    found = describe(mdata)
    assert [(one.modality, one.n_features) for one in found.modalities] == [("rna", 2613), ("atac", 815)]
    assert found.labels["time"] == {"0": 473, "1": 694, "3": 707}
    assert found.labels["split"] == {"train": 1534, "test": 340}
    assert found.modalities[1].n_empty_cells == 12


def test_citeseq_has_its_proteins_in_obsm(data_dir: Path) -> None:
    mdata = read(data_dir / "pbmc_citeseq_10x" / "pbmc5k_200cells.h5ad")
    assert {name: part.shape for name, part in mdata.mod.items()} == {"rna": (200, 16581), "protein": (200, 29)}


def test_snareseq_is_paired(data_dir: Path) -> None:
    folder = data_dir / "snareseq_mouse_cortex"
    mdata = read(rna=folder / "rna.h5ad", atac=folder / "atac.h5ad")
    assert {name: part.shape for name, part in mdata.mod.items()} == {"rna": (10309, 1677), "atac": (10309, 25734)}
    assert mdata.obs["cell_type"].value_counts().index[0] == "L2/3"


def test_norman_is_activation_with_doubles(data_dir: Path) -> None:
    mdata = read(data_dir / "perturbseq_norman19" / "norman19_subset.h5ad")
    labels = conditions_of(mdata)
    assert labels.nunique() == 34
    assert (labels == "KLF1:activation+SET:activation").sum() == 100


def test_papalexi_needs_the_name_of_its_column(data_dir: Path) -> None:
    mdata = read(data_dir / "papalexi_thp1" / "rna_299genes.h5ad", perturbation_key="target_top")
    assert conditions_of(mdata).nunique() == 26


def test_kang_is_a_cytokine(data_dir: Path) -> None:
    path = data_dir / "kang2018_ifnb" / "kang_2000cells.h5ad"
    mdata = read(path, perturbation_key="stim", perturbation_mode="cytokine")
    assert dict(conditions_of(mdata).value_counts()) == {"control": 1000, "stim:cytokine": 1000}


def test_larry_is_normalized_and_refused(data_dir: Path) -> None:
    with pytest.raises(DataError, match="224,057 of 225,001 values to be no integers"):
        read(data_dir / "larry_weinreb" / "larry_781cells.h5ad")
