"""An interactive page of a loss surface: one HTML file that holds all it needs."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import numpy as np

from waddington._checks import require_extra
from waddington._files import write_text
from waddington.analysis.landscape import Landscape
from waddington.analysis.plots import _style as style
from waddington.analysis.plots._paths import in_words, path_styles
from waddington.analysis.plots._style import Scale
from waddington.analysis.records import Arrays
from waddington.analysis.spectrum import Spectrum

__all__ = ["page", "write_page"]

_MAP = [[at / (len(style.MAP) - 1), color] for at, color in enumerate(style.MAP)]
_TICKS = 5
_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1b1f24; --muted: #59626d; --paper: #ffffff; --line: #e4e7eb; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6e9ed; --muted: #a3acb8; --paper: #15181c; --line: #333a42; }}
}}
body {{ margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.4rem; margin: .5rem 0; }}
h2 {{ font-size: 1.05rem; margin: 1.5rem 0 .25rem; }}
p {{ color: var(--muted); margin: .25rem 0; }}
.plot {{ width: 100%; height: min(34rem, 75vh); }}
ul {{ padding-left: 1.2rem; margin: .25rem 0; }}
</style>
<script>{library}</script>
</head>
<body>
<h1>{title}</h1>
<ul>{facts}</ul>
{sections}
<script>
const plots = {plots};
const dark = window.matchMedia("(prefers-color-scheme: dark)");
function look() {{
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink").trim(), line = style.getPropertyValue("--line").trim();
  const axis = {{ color: ink, gridcolor: line, zerolinecolor: line }};
  return {{ paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {{ color: ink }}, axis,
    modebar: {{ bgcolor: "rgba(0,0,0,0)", color: ink }} }};
}}
function dressed(layout) {{
  const {{ axis, ...rest }} = look();
  const found = {{ ...layout, ...rest }};
  for (const name of ["xaxis", "yaxis"]) found[name] = {{ ...axis, ...layout[name] }};
  if (layout.scene) {{
    const eye = layout.scene.camera.eye, away = window.innerWidth < 600 ? 1.6 : 1;
    found.scene = {{ ...layout.scene, camera: {{ eye: {{ x: away * eye.x, y: away * eye.y, z: away * eye.z }} }} }};
    for (const name of ["xaxis", "yaxis", "zaxis"]) found.scene[name] = {{ ...axis, ...layout.scene[name] }};
  }}
  return found;
}}
function draw() {{
  for (const [name, plot] of Object.entries(plots)) {{
    Plotly.react(name, plot.data, dressed(plot.layout), {{ responsive: true, displaylogo: false }});
  }}
}}
draw();
dark.addEventListener("change", draw);
</script>
</body>
</html>
"""


def write_page(
    path: str | Path,
    landscape: Landscape,
    spectrum: Spectrum | None = None,
    *,
    title: str = "Loss landscape",
    facts: tuple[str, ...] = (),
    scale: Scale = "auto",
) -> Path:
    """Write the page of :func:`page`, whole or not at all; arguments and errors are the same.

    Raises
    ------
    OutputError
        The place cannot be written.
    """
    write_text(Path(path), page(landscape, spectrum, title=title, facts=facts, scale=scale))
    return Path(path)


def page(
    landscape: Landscape,
    spectrum: Spectrum | None = None,
    *,
    title: str = "Loss landscape",
    facts: tuple[str, ...] = (),
    scale: Scale = "auto",
) -> str:
    """Make an interactive page: surfaces that turn, values under the pointer.

    Parameters
    ----------
    landscape
        Of one, two or three directions.
    spectrum
        To be drawn below.
    title
        Of the page.
    facts
        Sentences above the pictures.
    scale
        Of the loss: ``"log"``, ``"linear"`` or ``"auto"``.

    Returns
    -------
    str
        HTML; about 5 MB, for it holds plotly's library and needs no network.

    Raises
    ------
    ArgumentError
        No loss is finite.
    MissingExtraError
        plotly is not installed.
    """
    offline = require_extra("plotly.offline", "bench")
    log = style.is_log(landscape.loss, scale)
    plots = {1: _line, 2: _plane, 3: _box}[len(landscape.axes)](landscape, log)
    if spectrum is not None:
        plots |= _spectrum(spectrum)
    told = [*facts, *_told(landscape)]
    return _TEMPLATE.format(
        title=html.escape(title),
        library=offline.get_plotlyjs(),
        facts="".join(f"<li>{html.escape(fact)}</li>" for fact in told),
        sections="\n".join(
            f'<h2>{html.escape(plot["title"])}</h2>\n<div class="plot" id="{name}"></div>'
            for name, plot in plots.items()
        ),
        plots=json.dumps(plots, allow_nan=False).replace("</", "<\\/"),
    )


def _told(landscape: Landscape) -> list[str]:
    """Say of the picture what it cannot show."""
    found = [f"loss at the center: {landscape.center_loss:.6g}"]
    if landscape.shares is not None:
        found.append(f"the directions hold {landscape.shares.sum():.0%} of the path's variance")
    found += [
        f"{name}: at most {away.max():.3g} from the picture's plane" for name, away in landscape.distances.items()
    ]
    return [*found, *in_words(landscape), *filter(None, [style.bad_points(landscape)])]


def _line(landscape: Landscape, log: bool) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "x": _listed(landscape.axes[0]),
        "y": _listed(landscape.loss),
    }
    trace["line"] = {"color": style.COLORS[1]}
    layout = {
        "xaxis": {"title": {"text": _shown(landscape.names[0])}},
        "yaxis": {"title": {"text": "loss"}, "type": "log" if log else "linear"},
        "margin": {"t": 10, "r": 10},
    }
    return {"line": {"title": "Along the line", "data": [trace], "layout": layout}}


def _plane(landscape: Landscape, log: bool) -> dict[str, Any]:
    x, y = (_listed(axis) for axis in landscape.axes)
    common = {
        "x": x,
        "y": y,
        "z": _listed(_height(landscape.loss, log).T),
        "customdata": _listed(landscape.loss.T),
        "colorscale": _MAP,
        "hovertemplate": "%{x:.3g}, %{y:.3g}<br>loss %{customdata:.5g}<extra></extra>",
        "colorbar": {"title": {"text": "loss"}, "thickness": 12, "len": 0.8, **_ticks(landscape.loss, log)},
    }
    above: list[dict[str, Any]] = [{"type": "surface", **common}]
    flat: list[dict[str, Any]] = [
        {"type": "contour", **common, "ncontours": 20, "line": {"width": 0.5, "color": "white"}}
    ]
    for name, look in path_styles(landscape).items():
        path = landscape.paths[name]
        before = len(path) - 1
        mark = {
            "name": _shown(name),
            "x": _listed(path[:, 0]),
            "y": _listed(path[:, 1]),
            "mode": "lines+markers",
            "marker": {
                "size": [look.width + 2] * before + [look.size + 2],
                "symbol": ["circle"] * before + [look.symbol],
                "color": look.color,
                "line": {"width": 0},
            },
            "hoverinfo": "name",
        }
        z = _listed(_height(style.height_at(landscape, path), log))
        above.append({"type": "scatter3d", **mark, "z": z, "line": {"color": look.color, "width": 3 * look.width}})
        flat.append({"type": "scatter", **mark, "line": {"color": look.color, "width": look.width + 1}})
    names = [_shown(style.axis_label(landscape, at)) for at in range(2)]
    axes = {f"{axis}axis": {"title": {"text": names[at]}} for at, axis in enumerate("xy")}
    legend = {"orientation": "h", "y": -0.15}
    space = {
        **{f"{axis}axis": {"title": {"text": _shown(landscape.names[at])}} for at, axis in enumerate("xy")},
        "zaxis": {"title": {"text": "loss"}, **_ticks(landscape.loss, log)},
        "aspectratio": {"x": 1, "y": 1, "z": 0.7},
        "camera": {"eye": {"x": 1.4, "y": -1.4, "z": 0.9}},
    }
    around = {"t": 10, "r": 10, "b": 0, "l": 0}
    return {
        "surface": {
            "title": "Surface",
            "data": above,
            "layout": {"scene": space, "margin": around, "legend": {**legend, "y": 0}},
        },
        "contour": {
            "title": "Contours",
            "data": flat,
            "layout": {**axes, "margin": {"t": 30, "r": 10, "b": 40, "l": 50}, "legend": legend},
        },
    }


def _box(landscape: Landscape, log: bool) -> dict[str, Any]:
    x, y, z = (_listed(axis.ravel()) for axis in np.meshgrid(*landscape.axes, indexing="ij"))
    height = _height(landscape.loss, log)
    finite = height[np.isfinite(height)]
    trace: dict[str, Any] = {
        "type": "isosurface",
        "x": x,
        "y": y,
        "z": z,
        "value": _listed(height.ravel()),
        "colorscale": _MAP,
        "opacity": 0.5,
        "isomin": float(finite.min()),
        "isomax": float(np.quantile(finite, 0.8)),
        "surface": {"count": 6},
        "caps": {side: {"show": False} for side in "xyz"},
        "colorbar": {"title": {"text": "loss"}, "thickness": 12, "len": 0.8, **_ticks(landscape.loss, log)},
    }
    data = [trace]
    for name, look in path_styles(landscape).items():
        line = {"color": look.color, "width": 4 * look.width}
        place = {axis: _listed(landscape.paths[name][:, at]) for at, axis in enumerate("xyz")}
        data.append({"type": "scatter3d", "name": _shown(name), "mode": "lines", **place, "line": line})
    names = [_shown(style.axis_label(landscape, at, of="")) for at in range(3)]
    scene: dict[str, Any] = {f"{axis}axis": {"title": {"text": names[at]}} for at, axis in enumerate("xyz")}
    scene["camera"] = {"eye": {"x": 1.4, "y": -1.4, "z": 0.9}}
    layout = {"scene": scene, "margin": {"t": 10, "r": 10, "b": 0, "l": 0}, "legend": {"orientation": "h"}}
    return {"box": {"title": "Surfaces of equal loss", "data": data, "layout": layout}}


def _spectrum(spectrum: Spectrum) -> dict[str, Any]:
    shown = np.where(spectrum.density > 1e-4 * spectrum.density.max(), spectrum.density, np.nan)
    trace: dict[str, Any] = {"type": "scatter", "mode": "lines", "x": _listed(spectrum.grid), "y": _listed(shown)}
    trace["line"] = {"color": style.COLORS[1]}
    layout = {
        "xaxis": {"title": {"text": "eigenvalue of the Hessian"}},
        "yaxis": {"title": {"text": "density"}, "type": "log", "exponentformat": "power"},
        "margin": {"t": 10, "r": 10},
    }
    return {"spectrum": {"title": "Spectrum", "data": [trace], "layout": layout}}


def _ticks(loss: Arrays, log: bool) -> dict[str, Any]:
    """Label heights that are logarithms with the losses themselves."""
    if not log:
        return {}
    finite = np.log10(loss[np.isfinite(loss)])
    places = np.linspace(finite.min(), finite.max(), _TICKS)
    return {"tickvals": _listed(places), "ticktext": [f"{10.0**place:.2g}" for place in places]}


def _height(loss: Arrays, log: bool) -> Arrays:
    finite = np.where(np.isfinite(loss), loss, np.nan)
    return np.log10(finite) if log else finite


def _listed(values: Arrays) -> Any:
    """Give nested lists, with None for what is no finite number."""
    rounded = np.asarray(values, dtype=float)
    if rounded.ndim > 1:
        return [_listed(row) for row in rounded]
    return [value if np.isfinite(value) else None for value in rounded.tolist()]


def _shown(text: str) -> str:
    """Write a text so that plotly takes nothing in it for markup."""
    return html.escape(text, quote=False)
