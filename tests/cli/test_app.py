"""The command line as its users meet it: one clear line and exit code 2 for what cannot be used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import anndata as ad
import h5py
import mudata as md
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from waddington.cli._app import run_app
from waddington.twin.data import io
from waddington.twin.datasets import simulate


def invoke(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_app([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, " ".join(captured.out.split()), " ".join(captured.err.split())


@pytest.fixture(scope="module")
def cells() -> md.MuData:
    return simulate(n_cells=120, n_genes=30, n_peaks=20, n_proteins=5, n_truth_cells=8, seed=0)


def rna(cells: md.MuData) -> ad.AnnData:
    part: ad.AnnData = cells.mod["rna"].copy()
    for column in ("perturbation", "perturbation_mode"):
        part.obs[column] = cells.obs[column].to_numpy()
    return part


def damaged(cells: md.MuData, what: str) -> ad.AnnData:
    """Give the RNA of the cells with one thing wrong in its counts or names."""
    part = rna(cells)
    counts = part.layers["counts"].toarray()
    if what == "nan":
        counts[3, 4] = np.nan
    elif what == "infinite":
        counts[3, 4] = np.inf
    elif what == "negative":
        counts[3, 4] = -2
    elif what == "normalized":
        counts = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    elif what == "duplicate barcodes":
        part.obs_names = ["same", "same", *part.obs_names[2:]]
    elif what == "duplicate features":
        part.var_names = ["same", "same", *part.var_names[2:]]
    elif what == "no features":
        part, counts = part[:, :0].copy(), counts[:, :0]
    elif what == "one cell":
        part, counts = part[:1].copy(), counts[:1]
    part.X = sparse.csr_matrix(counts.astype(np.float32))
    part.layers["counts"] = part.X.copy()
    return part


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nan", "NaN"),
        ("infinite", "inf"),
        ("negative", "negative"),
        ("normalized", "normalized"),
        ("duplicate barcodes", "same"),
        ("duplicate features", "same"),
        ("no features", "feature"),
        ("one cell", "1 cell"),
    ],
)
@pytest.mark.filterwarnings("ignore:(Observation|Variable) names are not unique:UserWarning")
def test_bad_tables(capsys: pytest.CaptureFixture[str], cells: md.MuData, tmp_path: Path, what: str, said: str) -> None:
    path = tmp_path / "bad.h5ad"
    damaged(cells, what).write_h5ad(path)
    code, _, err = invoke(capsys, "run", path, "--out", tmp_path / "out")
    assert code == 2
    assert err.removeprefix("Reading cells: started, 0 of 1 ").startswith("error:")
    assert said.lower() in err.lower()
    assert "accept" in err
    assert not (tmp_path / "out").exists()


def make_missing(path: Path) -> None:
    """Leave nothing there."""


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


def make_text(path: Path) -> None:
    path.write_text("barcode,gene,count\n" * 100)


def make_truncated(path: Path) -> None:
    io.write(simulate(n_cells=60, n_truth_cells=8, seed=0), path)
    path.write_bytes(path.read_bytes()[:20_000])


def make_foreign(path: Path) -> None:
    with h5py.File(path, "w") as handle:
        handle["numbers"] = np.arange(3)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (make_missing, "does not exist"),
        (make_empty, "empty"),
        (make_text, "HDF5"),
        (make_truncated, "truncated"),
        (make_foreign, "accept"),
    ],
)
def test_bad_files(capsys: pytest.CaptureFixture[str], tmp_path: Path, make: object, said: str) -> None:
    path = tmp_path / "cells.h5mu"
    make(path)  # type: ignore[operator]
    code, _, err = invoke(capsys, "run", path, "--out", tmp_path / "out")
    assert code == 2
    assert said in err
    assert "accept" in err
    assert not (tmp_path / "out").exists()


def test_modalities_without_a_shared_cell(capsys: pytest.CaptureFixture[str], cells: md.MuData, tmp_path: Path) -> None:
    atac = cells.mod["atac"].copy()
    atac.obs_names = [f"other{i}" for i in range(atac.n_obs)]
    rna(cells).write_h5ad(tmp_path / "rna.h5ad")
    atac.write_h5ad(tmp_path / "atac.h5ad")
    code, _, err = invoke(
        capsys, "run", "--rna", tmp_path / "rna.h5ad", "--atac", tmp_path / "atac.h5ad", "--out", tmp_path / "out"
    )
    assert code == 2
    assert "share" in err


@pytest.mark.parametrize("flag", ["--perturbation-key", "--time-key", "--split-key"])
def test_a_column_that_does_not_exist(
    capsys: pytest.CaptureFixture[str], cells: md.MuData, tmp_path: Path, flag: str
) -> None:
    rna(cells).write_h5ad(tmp_path / "cells.h5ad")
    code, _, err = invoke(capsys, "run", tmp_path / "cells.h5ad", flag, "nonsense", "--out", tmp_path / "out")
    assert code == 2
    assert "'nonsense'" in err
    assert "'perturbation_mode'" in err, "the columns that do exist are listed"


def test_an_unknown_optimizer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = invoke(capsys, "run", "--optimizer", "ASGDAdm", "--out", tmp_path / "out")
    assert code == 2
    assert "Did you mean 'ASGDAdam'" in err
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    code, _, err = invoke(capsys, "run", "--out", tmp_path / "file" / "below")
    assert code == 2
    assert "a folder that can be written" in err
    assert (tmp_path / "file").read_text() == "mine"


def test_an_output_folder_that_holds_another_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("kept")
    code, _, err = invoke(capsys, "run", "--out", tmp_path)
    assert code == 2
    assert "--resume" in err
    assert (tmp_path / "metrics.csv").read_text() == "kept"


def test_a_setting_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert invoke(capsys, "run", "--set", "horizon", "--out", tmp_path / "a")[0] == 2
    code, _, err = invoke(capsys, "run", "--set", "horizn=3", "--out", tmp_path / "b")
    assert code == 2
    assert "Did you mean 'horizon'" in err


def test_a_configuration_file_is_read_and_flags_win(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('optimizer = ["ASGDAdm"]\nalpha_min = 1e-3\n')
    code, _, err = invoke(capsys, "run", "--config", path, "--out", tmp_path / "out")
    assert code == 2
    assert "Did you mean 'ASGDAdam'" in err
    code, _, err = invoke(capsys, "run", "--config", path, "--optimizer", "Adam", "--alpha-min", "5", "--out", "out")
    assert code == 2
    assert "--alpha-min 5 with --alpha-max 0.01" in err
    code, _, err = invoke(capsys, "run", "--config", tmp_path / "none.toml")
    assert code == 2
    assert "no such file" in err


def test_simulate_and_describe(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "cells.h5mu"
    code, out, _ = invoke(
        capsys, "simulate", path, "--cells", "100", "--genes", "40", "--peaks", "30", "--proteins", "6"
    )
    assert code == 0
    assert "100 cells" in out
    assert {name: part.n_vars for name, part in md.read_h5mu(path).mod.items()} == {"rna": 40, "atac": 30, "protein": 6}
    before = path.read_bytes()
    code, _, err = invoke(capsys, "simulate", path, "--cells", "100")
    assert code == 2
    assert "--force" in err
    assert path.read_bytes() == before
    code, out, _ = invoke(capsys, "data", "describe", path)
    assert code == 0
    assert "100 cells" in out
    assert "control" in out


def test_simulate_writes_mudata_only(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = invoke(capsys, "simulate", tmp_path / "cells.csv")
    assert code == 2
    assert ".h5mu" in err


def test_memory_that_runs_out_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("waddington.twin.datasets.simulate", fill)
    code, _, err = invoke(capsys, "simulate", str(tmp_path / "cells.h5mu"))
    assert code == 2
    assert err.startswith("error: out of memory: accepted are")


def test_optimizers(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = invoke(capsys, "optimizers", "--json")
    assert code == 0
    rows = pd.DataFrame(json.loads(out)).set_index("name")
    assert rows.loc["ASGDAdam", "switching"]
    assert rows.loc["Padam", "defaults"]["p"] == 0.125
    assert rows.loc["AdaBelief", "package"] == "pytorch_optimizer"
    table = invoke(capsys, "optimizers")[1]
    assert all(name in table for name in rows.index)


def test_listing_optimizers_imports_no_library_of_theirs() -> None:
    code = (
        "import sys; from waddington.cli._app import run_app; assert run_app(['optimizers', '--json']) == 0;"
        "print(*{'pytorch_optimizer', 'schedulefree', 'torchao'} & set(sys.modules), file=sys.stderr)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split() == []


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert "waddington 0." in invoke(capsys, "--version")[1]
    code, out, _ = invoke(capsys, "run", "--help")
    assert code == 0
    for flag in ("--optimizer", "--seeds", "--preset", "--protocol", "--resume", "--config", "--device", "--alpha-max"):
        assert flag in out


def test_an_evaluation_says_what_can_be_predicted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(["control", "A", "B"], [30, 20, 20])
    effects = {"control": np.zeros(8), "A": 2.0 * rng.normal(size=8), "B": 2.0 * rng.normal(size=8)}
    values = 10.0 + np.stack([effects[label] for label in labels]) + rng.normal(size=(70, 8))
    screen = ad.AnnData(values, obs=pd.DataFrame({"perturbation": labels}, index=[f"c{i}" for i in range(70)]))
    screen.write_h5ad(tmp_path / "screen.h5ad")
    options = ("--normalization", "none", "--out", tmp_path / "out")
    few = ("--split", "held-out cells", "--repeats", "1", "--null-repeats", "0")
    code, out, err = invoke(capsys, "evaluate", tmp_path / "screen.h5ad", "--model", "additive", *few, *options)
    assert (code, err) == (0, "")
    assert "What can be predicted here" in out
    assert (tmp_path / "out" / "scores.csv").exists()
    code, _, err = invoke(capsys, "evaluate", tmp_path / "screen.h5ad", "--model", "aditive", *options)
    assert code == 2
    assert "'aditive'" in err
    assert "'additive'" in err
