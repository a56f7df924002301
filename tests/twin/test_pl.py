"""Pictures from AnnData and MuData: axes are returned, files written, a caller's axes drawn into."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import matplotlib
import mudata as md
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from waddington import twin
from waddington.errors import ArgumentError, DataError
from waddington.twin.plots import Panels


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


@pytest.fixture(scope="module")
def plane(screen: md.MuData) -> md.MuData:
    data = screen.copy()
    data.obsm["X_plane"] = data.obsm["X_twin"][:, :2]
    return data


def test_a_landscape_is_written(plane: md.MuData, tmp_path: Path) -> None:
    panels = twin.pl.landscape(plane, color="cell_type", basis="X_plane", save=str(tmp_path / "landscape.png"))
    assert isinstance(panels, Panels)
    assert list(panels) == ["surface", "map"]
    assert (tmp_path / "landscape.png").stat().st_size > 10_000
    legend = panels["map"].get_legend()
    assert legend is not None
    assert {"Root", *set(plane.obs["cell_type"])} <= {text.get_text() for text in legend.get_texts()}


def test_a_landscape_goes_into_flat_and_into_deep_axes(plane: md.MuData, ax: Axes) -> None:
    assert twin.pl.landscape(plane, basis="X_plane", ax=ax) is ax
    assert ax.collections
    deep = Figure().add_subplot(projection="3d")
    assert twin.pl.landscape(plane, basis="X_plane", ax=deep) is deep
    assert deep.collections


def test_a_landscape_of_what_scanpy_left(rna_screen: ad.AnnData) -> None:
    data = rna_screen.copy()
    data.obs["dpt_pseudotime"] = data.obs.pop("pseudotime")
    del data.obsm["X_twin"]
    panels = twin.pl.landscape(data, use_rep="X_pca", pseudotime_key="dpt_pseudotime", max_cells=50)
    assert len(panels) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"color": "fate"}, r"cannot use obs\['fate'\]: no such column"),
        ({"basis": "X_umap"}, r"cannot use obsm\['X_umap'\]: no such key \(keys found: .*'X_twin'.*\)$"),
        ({"pseudotime_key": "dpt"}, r"cannot use obs\['dpt'\].*waddington.twin.tl.pseudotime writes it"),
    ],
)
def test_a_missing_key_is_refused_by_name(plane: md.MuData, options: dict[str, str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        twin.pl.landscape(plane, **options)


def test_trajectories_of_all_modalities_or_of_one(screen: md.MuData, ax: Axes) -> None:
    assert len(twin.pl.trajectories(screen)) == 6
    assert len(twin.pl.trajectories(screen, modality="protein")) == 2
    assert twin.pl.trajectories(screen, modality="rna", ax=ax) is ax
    assert ax.lines
    with pytest.raises(ArgumentError, match="cannot draw 3 modalities into one ax"):
        twin.pl.trajectories(screen, ax=ax)
    with pytest.raises(ArgumentError, match="modalities are rna, atac, protein"):
        twin.pl.trajectories(screen, modality="adt")


def test_losses_of_an_embedding_of_a_model_and_of_a_term(screen: md.MuData, ax: Axes, tmp_path: Path) -> None:
    assert list(twin.pl.losses(screen, save=tmp_path / "losses.png")) == ["train", "validation"]
    assert (tmp_path / "losses.png").stat().st_size > 10_000
    assert twin.pl.losses(screen.uns["waddington"]["embed"]["history"], term="joint/rna", ax=ax) is ax
    assert ax.get_title(loc="left") == "Training"
    with pytest.raises(DataError, match=r"term='kl': found own/rna"):
        twin.pl.losses(screen, term="kl")


def test_metrics_of_the_data_or_of_a_table(rna_screen: ad.AnnData, ax: Axes) -> None:
    data = rna_screen.copy()
    table = twin.tl.evaluate(data, models=["additive"], repeats=1, null_repeats=0).metrics
    assert "pearson" in twin.pl.metrics(data)
    assert twin.pl.metrics(table, names=["pearson"], ax=ax) is ax
    with pytest.raises(ArgumentError, match="accepted is names="):
        twin.pl.metrics(table, ax=ax)


def test_predicted_against_observed(response: twin.Response, ax: Axes) -> None:
    predicted = response.predict(["Cebpa:knockout", "EKLF:knockout"])
    observed = predicted[::-1, ::-1].copy()
    panels = twin.pl.scatter(predicted, observed)
    assert list(panels) == ["rna", "atac", "protein"]
    assert "r = 1.00" in panels["rna"].texts[-1].get_text()
    assert twin.pl.scatter(predicted, observed, modality="atac", ax=ax) is ax
    assert twin.pl.scatter(predicted, observed[:1], layer=None, modality="rna")["rna"].texts
    levels = ad.AnnData(observed.X.copy(), obs=observed.obs, var=observed.var)
    assert "r = 1.00" in twin.pl.scatter(predicted, levels)["rna"].texts[-1].get_text(), "X against X, and no effect"
    assert twin.pl.scatter(predicted, levels)["rna"].get_xlabel() == "Observed value (as analysed)"
    assert panels["rna"].get_xlabel() == "Observed change Δ (as analysed)"
    bare = observed.copy()
    bare.obs_names = [name.partition(":")[0] for name in bare.obs_names]
    assert twin.pl.scatter(predicted, bare)["rna"].texts[-1].get_text() == panels["rna"].texts[-1].get_text()
    with pytest.raises(DataError, match=r"layers\['std'\]: observed have none"):
        twin.pl.scatter(predicted, levels, layer="std")
    with pytest.raises(DataError, match=r"they share 0 conditions \(predicted: 'Cebpa:knockout'; observed: 'EKLF:k"):
        twin.pl.scatter(predicted[:1], observed[:1])
    with pytest.raises(ArgumentError, match="cannot use observed of type ndarray"):
        twin.pl.scatter(predicted, np.zeros(3))


def test_a_prediction_without_support_is_hollow_and_the_legend_says_why(response: twin.Response) -> None:
    asked = ["EKLF:knockout", "EKLF:knockout+Nobody:knockout"]
    predicted = response.predict(asked, guess=True)
    panel = twin.pl.scatter(predicted, predicted, modality="rna")["rna"]
    full, hollow = panel.collections
    assert len(full.get_offsets()) == len(hollow.get_offsets()) == (predicted.var["modality"] == "rna").sum()
    assert len(full.get_facecolors())
    assert not len(hollow.get_facecolors())
    legend = panel.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "every part was measured",
        "guess: a part was never measured",
    ]
    assert twin.pl.scatter(predicted[:1], predicted, modality="rna")["rna"].get_legend() is None


def test_a_picture_is_shown_in_a_window(plane: md.MuData, monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib.use("agg")
    from matplotlib import pyplot

    shown = []
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(pyplot.gcf().canvas.figure))
    monkeypatch.delitem(__import__("sys").modules, "ipykernel", raising=False)
    panels = twin.pl.landscape(plane, basis="X_plane", show=True)
    assert shown == [panels.figure]
    assert not pyplot.get_fignums()


def test_a_quantity_is_no_label(plane: md.MuData) -> None:
    data = plane.copy()
    data.obs["total"] = np.linspace(0, 1, data.n_obs)
    data.obs["hours"] = np.repeat([0.0, 24.0], [5, data.n_obs - 5])
    with pytest.raises(DataError, match=r"cannot color by obs\['total'\]: found \d+ different numbers"):
        twin.pl.landscape(data, color="total", basis="X_plane")
    twin.pl.landscape(data, color="hours", basis="X_plane")


def test_cells_of_a_run_hold_no_losses(plane: md.MuData) -> None:
    data = plane.copy()
    data.uns["waddington"]["embed"] = {"encoder": "latent · Adam"}
    with pytest.raises(DataError, match=r"cannot draw losses of cells that a run embedded: .* loss_curves\.png"):
        twin.pl.losses(data)
