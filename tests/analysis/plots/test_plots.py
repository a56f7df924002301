"""Pictures show what the results hold; matplotlib's own settings stay as they were."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from waddington.analysis import Curves, Landscape, Spectrum, plots
from waddington.errors import ArgumentError

X, Y = np.linspace(-1.0, 1.0, 5), np.linspace(-2.0, 2.0, 4)


def plane(loss: np.ndarray | None = None, **more: Any) -> Landscape:
    bowl = X[:, None] ** 2 + Y[None, :] ** 2 + 0.5
    return Landscape((X, Y), bowl if loss is None else loss, 0.5, ("a", "b"), **more)


def with_path() -> Landscape:
    steps = np.linspace(-1.0, 0.0, 6)
    return plane(
        paths={"Adam <x>": np.stack([steps, -steps], axis=1), "SGD": np.stack([steps, 2 * steps], axis=1)},
        distances={"Adam <x>": np.zeros(6), "SGD": np.full(6, 0.25)},
        shares=np.array([0.7, 0.2]),
    )


def line(loss: list[float] | None = None) -> Landscape:
    return Landscape((X,), np.array(loss or (X**2 + 1.0).tolist()), 1.0, ("direction 1",))


def box() -> Landscape:
    axes = (X, Y, X)
    return Landscape(axes, sum(part**2 for part in np.meshgrid(*axes, indexing="ij")) + 0.1, 0.1, ("a", "b", "c"))


def spectrum() -> Spectrum:
    grid = np.linspace(-1.0, 3.0, 200)
    density = np.exp(-0.5 * ((grid - 2.0) / 0.1) ** 2)
    return Spectrum(grid, density, np.array([-0.5, 2.0]), np.array([0.25, 0.75]), 0.1, 1234, 4, 8)


def texts(figure: Figure) -> str:
    found = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    return "\n".join(found)


def test_contours_have_axes_shares_paths_and_center() -> None:
    figure = plots.contour(with_path(), title="Title")
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a (70% of the path)", "b (20% of the path)")
    assert {"Title", "loss", "center", "Adam <x>", "SGD"} <= set(texts(figure).split("\n"))
    ends = [line.get_xydata()[-1].tolist() for line in axes.lines if line.get_label() == "SGD"]
    assert ends == [[0.0, 0.0]]


def test_what_has_no_finite_loss_is_left_out_and_counted() -> None:
    loss = np.ones((5, 4))
    loss[0, 0], loss[1, 1] = np.nan, np.inf
    for draw in (plots.contour, plots.surface):
        assert "2 of 20 points have no finite loss" in texts(draw(plane(loss)))
    assert "loss: 1 of 5 points" in texts(plots.line(line([1.0, np.nan, 1.0, 2.0, 3.0])))
    with pytest.raises(ArgumentError, match="losses of which none is finite"):
        plots.contour(plane(np.full((5, 4), np.nan)))


def test_a_scale_is_logarithmic_where_values_span_more_than_a_factor_of_twenty() -> None:
    wide, narrow = line([1.0, 5.0, 50.0, 2.0, 1.0]), line()
    assert plots.line(wide).axes[0].get_yscale() == "log"
    assert plots.line(wide, scale="linear").axes[0].get_yscale() == "linear"
    assert plots.line(narrow).axes[0].get_yscale() == "linear"
    assert plots.line(narrow, scale="log").axes[0].get_yscale() == "log"
    with pytest.raises(ArgumentError, match="scale='log': the smallest loss is -1; accepted are positive ones"):
        plots.line(line([-1.0, 1.0, 1.0, 1.0, 1.0]), scale="log")
    with pytest.raises(ArgumentError, match="scale='cubic'"):
        plots.line(narrow, scale="cubic")  # type: ignore[arg-type]


def test_a_surface_shows_its_paths_on_it_and_labels_losses_on_a_logarithmic_scale() -> None:
    figure = plots.surface(with_path())
    assert {"Adam <x>", "SGD"} <= set(texts(figure).split("\n"))
    steep = plots.surface(plane(np.geomspace(1e-3, 10.0, 20).reshape(5, 4)))
    labels = [label.get_text() for label in steep.axes[0].get_zticklabels()]  # type: ignore[attr-defined]
    assert "0.001" in labels
    assert all(float(label) > 0 for label in labels)


def test_a_flat_loss_can_be_drawn() -> None:
    rounded = np.full((5, 4), 2.0)
    rounded[1:3] = np.nextafter(2.0, 3.0)  # flat but for rounding errors
    for flat in (plane(np.full((5, 4), 2.0)), plane(np.zeros((5, 4))), plane(rounded)):
        plots.contour(flat).draw_without_rendering()
        plots.surface(flat).draw_without_rendering()


def test_slices_are_planes_of_the_box() -> None:
    figure = plots.slices(box(), count=3, title="Box")
    titles = [axes.get_title(loc="left") for axes in figure.axes[:3]]
    assert titles == ["c = -1", "c = 0", "c = 1"]


def test_lines_of_several_models_have_a_legend() -> None:
    figure = plots.line({"one": line(), "two": line([3.0, 2.0, 1.0, 2.0, 3.0])})
    assert {"one", "two"} <= set(texts(figure).split("\n"))


def test_a_spectrum_says_what_it_is_of() -> None:
    figure = plots.spectrum(spectrum())
    assert "1,234 eigenvalues, mean 1.4, 25% below zero" in texts(figure)
    assert "two: 1,234 eigenvalues" in texts(plots.spectrum({"one": spectrum(), "two": spectrum()}))


def test_curves_show_what_moves_and_what_is_asked_for() -> None:
    steps = np.arange(1, 6)
    runs = {
        "ASGDAdam": Curves(steps, {"base_rate": np.full(5, 0.1), "statistic": steps * 1.0}),
        "AMVT": Curves(steps, {"base_rate": np.full(5, 0.1), "penalty": steps * 2.0}),
    }
    titles = [axes.get_title(loc="left") for axes in plots.curves(runs, title="T").axes]
    assert titles == ["statistic", "penalty"]
    asked = plots.curves(runs, ["base_rate", "penalty", "statistic", "base_rate"])
    assert [axes.get_title(loc="left") for axes in asked.axes[:2]] == ["base rate", "penalty"]
    assert len(plots.curves(Curves(steps, {"x": np.ones(5)})).axes) == 1
    with pytest.raises(ArgumentError, match="cannot draw alpha: accepted are base_rate, statistic, penalty"):
        plots.curves(runs, ["alpha"])
    with pytest.raises(ArgumentError, match="cannot draw nothing: accepted are runs"):
        plots.curves({})


@pytest.mark.parametrize(
    ("draw", "wrong", "said"),
    [
        (plots.line, plane(), "2 directions here: accepted are 1; see contour and slices"),
        (plots.contour, line(), "1 directions here: accepted are 2"),
        (plots.surface, box(), "3 directions here: accepted are 2"),
        (plots.slices, plane(), "2 directions here: accepted are 3"),
    ],
)
def test_another_number_of_directions_is_refused_with_what_draws_it(draw: Any, wrong: Landscape, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        draw(wrong)


def test_pictures_are_saved_in_any_format_and_settings_stay(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    figure = plots.contour(with_path())
    for suffix, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")):
        assert plots.save(figure, tmp_path / f"picture{suffix}", dpi=50).read_bytes().startswith(start)
    assert dict(mpl.rcParams) == before
    with pytest.raises(ArgumentError, match=r"picture.xyz': accepted are names that end in .*\.png"):
        plots.save(figure, tmp_path / "picture.xyz")


def drawn(text: str) -> dict[str, Any]:
    """Read the plots back from a page."""
    found = re.search(r"^const plots = (.*);$", text, re.MULTILINE)
    assert found is not None
    plots_of: dict[str, Any] = json.loads(found[1].replace("<\\/", "</"))
    return plots_of


def test_a_page_holds_the_surface_the_paths_and_needs_no_network(tmp_path: Path) -> None:
    place = plots.write_page(tmp_path / "page.html", with_path(), spectrum(), title="A <b> title", facts=("a & b",))
    text = place.read_text(encoding="utf-8")
    found = drawn(text)
    assert list(found) == ["surface", "contour", "spectrum"]
    surface, *paths = found["surface"]["data"]
    np.testing.assert_allclose(surface["customdata"], with_path().loss.T)
    assert [path["name"] for path in paths] == ["Adam &lt;x&gt;", "SGD"]
    np.testing.assert_allclose(paths[1]["y"], with_path().paths["SGD"][:, 1])
    assert "<h1>A &lt;b&gt; title</h1>" in text
    for fact in (
        "a &amp; b",
        "loss at the center: 0.5",
        "the directions hold 90% of the path",
        "SGD: at most 0.25 from",
    ):
        assert f"<li>{fact}" in text
    own = re.sub(r"<script>.*?</script>", "", text, count=1, flags=re.DOTALL)  # all but plotly's library
    assert len(own) < 100_000 < len(text)
    assert not re.search(r"https?:|<link|<script src", own)


def test_pages_of_lines_and_boxes_and_of_what_is_not_finite() -> None:
    assert list(drawn(plots.page(line([1.0, np.inf, 2.0, 3.0, 4.0])))) == ["line"]
    assert drawn(plots.page(line([1.0, np.inf, 2.0, 3.0, 4.0])))["line"]["data"][0]["y"][1] is None
    found = drawn(plots.page(box(), scale="log"))["box"]["data"][0]
    assert found["type"] == "isosurface"
    assert len(found["value"]) == 100
    with pytest.raises(ArgumentError, match="none is finite"):
        plots.page(line([np.nan] * 5))


def test_the_height_of_a_path_is_interpolated_between_grid_points() -> None:
    from waddington.analysis.plots._style import height_at

    tilted = plane(2.0 * X[:, None] - Y[None, :] + 0.3 * X[:, None] * Y[None, :])
    points = np.array([[-1.0, -2.0], [1.0, 2.0], [0.13, -0.7], [-0.4, 1.9]])
    x, y = points.T
    np.testing.assert_allclose(height_at(tilted, points), 2 * x - y + 0.3 * x * y)
