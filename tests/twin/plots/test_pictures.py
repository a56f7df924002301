from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from waddington.errors import ArgumentError, DataError, OutputError
from waddington.twin import plots
from waddington.twin.plots._camera import Camera
from waddington.twin.plots.style import colors_for
from waddington.twin.trajectory.landscape import quasi_potential

Fork = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture
def values(fork: Fork) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    times = fork[1][:, None]
    return {m: times * rng.normal(size=(1, k)) + rng.normal(size=(500, k)) * 0.3 for m, k in (("rna", 30), ("atac", 9))}


@pytest.fixture
def names() -> dict[str, list[str]]:
    return {"rna": [f"Gene{i}" for i in range(30)], "atac": [f"chr12:10{i}000-10{i}500" for i in range(9)]}


@pytest.fixture
def pictures(
    history: pd.DataFrame, metrics: pd.DataFrame, fork: Fork, values: dict[str, np.ndarray], names: dict[str, list[str]]
) -> dict[str, Callable[[], plots.Panels]]:
    course = np.array([[0.0, -0.2], [0.0, -1.2], [1.5, -3.8]])
    ground = quasi_potential(fork[0], fork[1], n_grid=40)
    change = {modality: matrix.mean(axis=0) for modality, matrix in values.items()}
    return {
        "loss_curves": lambda: plots.loss_curves(history),
        "metric_bars": lambda: plots.metric_bars(metrics),
        "landscape": lambda: plots.landscape(fork[0], fork[1], labels=fork[2], trajectories=[course], potential=ground),
        "trajectories": lambda: plots.trajectories(fork[1], values, names, predicted=values),
        "scatter": lambda: plots.scatter(change, change, names=names),
    }


NAMES = ("loss_curves", "metric_bars", "landscape", "trajectories", "scatter")


def _ticks_outside(axes: Axes) -> list[Text]:
    """Labels of ticks outside the limits: matplotlib keeps them and doesn't draw them."""
    outside = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        outside += [tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
    return outside


@pytest.mark.parametrize("name", NAMES)
def test_every_word_lies_inside_its_picture(name: str, pictures: dict[str, Callable[[], plots.Panels]]) -> None:
    figure = pictures[name]().figure
    figure.draw_without_rendering()
    unseen = {id(text) for axes in figure.axes for text in _ticks_outside(axes)}
    for text in figure.findobj(Text):
        off = text.axes is not None and not text.axes.axison
        if off or id(text) in unseen or not text.get_visible() or not text.get_text().strip():
            continue
        box = text.get_window_extent()
        assert box.x0 >= figure.bbox.x0 - 1, text
        assert box.x1 <= figure.bbox.x1 + 1, text
        assert box.y0 >= figure.bbox.y0 - 1, text
        assert box.y1 <= figure.bbox.y1 + 1, text


@pytest.mark.parametrize("name", NAMES)
def test_pictures_leave_no_setting_behind(
    name: str, pictures: dict[str, Callable[[], plots.Panels]], tmp_path: Path
) -> None:
    before = dict(mpl.rcParams)
    panels = pictures[name]()
    written = panels.save(tmp_path / f"{name}.png", dpi=60)
    assert dict(mpl.rcParams) == before
    assert written.read_bytes().startswith(b"\x89PNG")
    assert panels._repr_png_().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == [written.name]


def test_drawing_needs_no_pyplot() -> None:
    for file in Path(plots.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
            assert "matplotlib.pyplot" not in modules, file.name


def test_a_failed_save_keeps_the_old_picture(
    history: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panels = plots.loss_curves(history)
    target = tmp_path / "loss.png"
    target.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="no space left"):
        panels.save(target, dpi=40)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(OutputError, match="'docx'"):
        panels.save(tmp_path / "loss.docx")


def test_loss_curves_show_the_mean_and_say_who_diverged(history: pd.DataFrame) -> None:
    broken = history.copy()
    broken.loc[(broken["optimizer"] == "SGD") & (broken["seed"] == 2) & (broken["epoch"] > 5), "loss"] = np.nan
    panels = plots.loss_curves(broken)
    assert list(panels) == ["train", "validation"]
    line = next(line for line in panels["train"].lines if line.get_color() == colors_for(["Padam"])["Padam"])
    runs = history[(history["optimizer"] == "Padam") & (history["split"] == "train")]
    assert np.allclose(line.get_ydata(), runs.groupby("epoch")["loss"].mean())
    legend = panels["validation"].get_legend()
    assert legend is not None
    assert "SGD (1 diverged)" in [text.get_text() for text in legend.get_texts()]


def test_one_epoch_and_one_seed_still_make_a_picture(history: pd.DataFrame) -> None:
    single = history[(history["epoch"] == 1) & (history["seed"] == 0)]
    assert plots.loss_curves(single)["train"].lines[0].get_marker() == "o"


def test_loss_curves_refuse_what_they_cannot_draw(history: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="split"):
        plots.loss_curves(history.drop(columns="split"))
    with pytest.raises(DataError, match="finite"):
        plots.loss_curves(history.assign(loss=np.nan))
    with pytest.raises(ArgumentError, match="1 axes"):
        plots.loss_curves(history, axes=Figure().subplots())


def test_callers_axes_are_drawn_into(history: pd.DataFrame, fork: Fork) -> None:
    figure = Figure()
    axes = figure.subplots(1, 2)
    panels = plots.loss_curves(history, axes=axes)
    assert panels["validation"] is axes[1]
    assert panels.figure is figure
    with pytest.raises(ArgumentError, match="3d"):
        plots.landscape(fork[0], fork[1], axes=axes)


def test_a_hill_hides_what_lies_behind_it() -> None:
    rng = np.random.default_rng(0)
    ring = rng.uniform(0, 2 * np.pi, 3000)
    plane = np.column_stack([np.cos(ring), np.sin(ring)]) + rng.normal(scale=0.05, size=(3000, 2))
    ground = quasi_potential(plane, np.full(3000, 0.5), tilt=0.0)
    camera = Camera(ground, (20.0, -90.0), height=1.0)
    peak = float(ground.at([0.0, 0.0]))
    places = np.array(
        [[0.0, 0.75, float(ground.at([0.0, 0.75])) + 0.05], [0.0, 0.0, peak + 0.05], [0.0, 0.75, 3 * peak]]
    )
    assert camera.sees(places).tolist() == [False, True, True]


def test_landscape_marks_fates_in_the_order_of_pseudotime(fork: Fork) -> None:
    ground = quasi_potential(fork[0], fork[1], n_grid=30)
    plan = {"plan A": [[0, 0], [1, -3]]}
    panels = plots.landscape(fork[0], fork[1], labels=fork[2], trajectories=plan, potential=ground)
    legend = panels["map"].get_legend()
    assert legend is not None
    words = [text.get_text() for text in legend.get_texts()]
    assert words[0] == "Progenitor"
    assert words[-1] == "1  plan A"


def test_cells_and_trajectories_turn_together_towards_the_reader(fork: Fork) -> None:
    upside_down = -fork[0]
    course = np.array([upside_down[fork[1] < 0.1].mean(axis=0), upside_down[fork[1] > 0.9].mean(axis=0)])
    panels = plots.landscape(upside_down, fork[1], trajectories=[course])
    lines = [line for line in panels["map"].lines if len(line.get_xdata()) == 2]
    start, end = np.asarray(lines[0].get_ydata(), dtype=float)
    assert start > end
    legend = panels["map"].get_legend()
    assert legend is not None
    assert legend.get_texts()[0].get_text() == "Pseudotime 0"


def test_many_labels_leave_the_rare_ones_grey(fork: Fork) -> None:
    ground = quasi_potential(fork[0], fork[1], n_grid=30)
    panels = plots.landscape(fork[0], fork[1], labels=[f"c{i % 30}" for i in range(500)], potential=ground)
    legend = panels["map"].get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == 10
    assert legend.get_texts()[-1].get_text() == "other (21 labels)"


@pytest.mark.parametrize(
    ("labels", "order", "shown"),
    [
        (["time 0", "time 3", "time 1", "time 10"], ["time 0", "time 1", "time 3", "time 10"], "given"),
        ([0.0, 3.0, 1.0, 10.0], [], "by value"),
        (["first", "later", "in between", "last"], [], "by pseudotime"),
    ],
)
def test_labels_stand_in_their_own_order_or_else_in_that_of_pseudotime(
    fork: Fork, labels: list[object], order: list[str], shown: str
) -> None:
    ground = quasi_potential(fork[0], fork[1], n_grid=30)
    quarters = np.argsort(np.argsort(fork[1])) * 4 // len(fork[1])
    named = [labels[[0, 2, 1, 3][quarter]] if shown == "by pseudotime" else labels[quarter] for quarter in quarters]
    panels = plots.landscape(fork[0], fork[1], labels=named, label_order=order, potential=ground)
    legend = panels["map"].get_legend()
    assert legend is not None
    said = [text.get_text() for text in legend.get_texts()]
    wanted = {"given": order, "by value": ["0.0", "1.0", "3.0", "10.0"]}
    assert said == wanted.get(shown, ["first", "in between", "later", "last"])


def test_landscape_refuses_what_doesnt_fit(fork: Fork) -> None:
    with pytest.raises(DataError, match="3 labels for 500 cells"):
        plots.landscape(fork[0], fork[1], labels=["a", "b", "c"])
    with pytest.raises(DataError, match=r"shape \(3,\)"):
        plots.landscape(fork[0], fork[1], trajectories=[[0.0, 1.0, 2.0]])


def test_trajectories_call_what_rises_and_falls(fork: Fork) -> None:
    times = fork[1]
    matrix = np.column_stack([times, -times, np.random.default_rng(0).normal(size=500)])
    panels = plots.trajectories(times, {"protein": matrix}, {"protein": ["CD71", "CD34", "CD8"]})
    assert list(panels) == ["protein courses", "protein map"]
    assert panels["protein map"].get_title(loc="left") == "1 up, 1 down of 3"
    legend = panels["protein courses"].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][:2] == ["CD71 ▲", "CD34 ▼"]


def test_metrics_stand_above_their_baselines(metrics: pd.DataFrame) -> None:
    panels = plots.metric_bars(metrics)
    assert list(panels) == ["pearson", "r2", "mse"]
    rows = [tick.get_text() for tick in panels["pearson"].get_yticklabels()]
    assert rows[0] == "response · Adam"
    assert rows[-3:] == ["no change", "additive", "replicate"]
    table = plots.metric_table(metrics)
    assert table.loc[("rna", "no change"), "Pearson r"] == "n/a"
    assert " ± " in table.loc[("rna", "additive"), "MSE"]
    with pytest.raises(DataError, match="found held-out"):
        plots.metric_bars(metrics, protocol="paper")


def test_scatter_writes_agreement_and_counts_what_it_left_out() -> None:
    truth = np.array([1.0, -1.0, 0.5, np.nan])
    panels = plots.scatter(truth, truth)
    words = [text.get_text() for text in panels["all"].texts]
    assert "r = 1.00\nR² = 1.00\nn = 3 (1 left out)" in words
    with pytest.raises(DataError, match="1 finite pairs of 2"):
        plots.scatter([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(DataError, match="predicted has rna"):
        plots.scatter({"rna": truth}, {"atac": truth})


def test_colors_are_distinct_and_fixed_for_known_names() -> None:
    names = ["Adam", "AMSGrad", "ASGDAdam", "ASGDAMSGrad", "Padam", "SGD", "mine"]
    colors = colors_for(names)
    assert len(set(colors.values())) == len(names)
    assert colors["ASGDAdam"] == colors_for(["ASGDAdam"])["ASGDAdam"]
    assert len(colors_for([f"cluster {i}" for i in range(30)])) == 30


def test_one_contestant_far_below_zero_does_not_press_the_others_together(metrics: pd.DataFrame) -> None:
    far = (metrics["metric"] == "r2") & (metrics["optimizer"] == "Adam")
    panels = plots.metric_bars(metrics.assign(value=metrics["value"].where(~far, -12.4)))
    assert panels["r2"].get_xscale() == "symlog"
    assert panels["mse"].get_xscale() == "linear"


def _legend(panels: plots.Panels) -> list[str]:
    legend = panels["map"].get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_a_landscape_says_which_cells_have_no_order_and_that_a_root_is_a_guess(fork: Fork) -> None:
    plane, times, fates = fork
    times = np.where(np.arange(len(times)) < 40, np.nan, times)
    panels = plots.landscape(plane, times, labels=fates, roots=[100], possible_roots=[200, 300])
    assert {"No order: 40 of 500 cells", "Root, a guess", "May as well be the root"} <= set(_legend(panels))
    known = _legend(plots.landscape(plane, fork[1], labels=fates, roots=[100]))
    assert "Root" in known
    assert not any("order" in text or "guess" in text for text in known)


def test_without_an_order_the_ground_is_density_and_says_so(fork: Fork) -> None:
    plane, times, _ = fork
    density = plots.landscape(plane, np.full(len(times), np.nan), descent=False)
    assert "Density" in density["surface"].get_title()
    labels = {axes.get_xlabel() for axes in density.figure.axes}
    assert "−log density of cells (nats)" in labels
    falling = plots.landscape(plane, times)
    assert "falling" in falling["surface"].get_title()
