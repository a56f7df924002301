"""One look for every picture: fonts, sizes, colours that colour-blind readers tell apart, and the panels returned.

Pictures are made with matplotlib's objects only: nothing here touches ``pyplot`` or leaves a setting behind.
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from waddington._files import replacing
from waddington._text import counted
from waddington.errors import ArgumentError, OutputError
from waddington.twin._arrays import check_arrays
from waddington.twin.plots.labels import fonts

__all__ = [
    "CALL_COLORS",
    "COURSE_CMAP",
    "INK",
    "LANDSCAPE_CMAP",
    "MUTED",
    "Panels",
    "clean",
    "color_of",
    "colors_for",
    "new_figure",
    "panel_letter",
    "panels_from",
    "styled",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")

INK = "#1b1f24"
MUTED = "#6b7480"
_GRID = "#e4e7eb"

# Okabe and Ito's colours, darkened a little where white paper needs it.
_BLUE, _VERMILLION, _GREEN, _PURPLE, _SKY, _ORANGE = "#0072B2", "#D55E00", "#009E73", "#B8578D", "#4FA9DC", "#E69F00"
_CYCLE = (_BLUE, _VERMILLION, _GREEN, _PURPLE, _ORANGE, _SKY, "#5B4B9A", "#8C6D31", "#333F48", "#A0A7AF")

_FIXED = {
    # optimizers
    "ASGDAdam": _VERMILLION,
    "ASGDAMSGrad": _BLUE,
    "Padam": _GREEN,
    "Adam": "#333F48",
    "AMSGrad": _PURPLE,
    "AdamW": "#8C6D31",
    "SGD": _ORANGE,
    # modalities
    "rna": _BLUE,
    "atac": _ORANGE,
    "protein": _GREEN,
    "joint": "#333F48",
    # fates of the myeloid network
    "Progenitor": "#8A93A0",
    "Erythrocyte": _VERMILLION,
    "Megakaryocyte": _PURPLE,
    "Monocyte": _BLUE,
    "Neutrophil": _GREEN,
}

CALL_COLORS: Mapping[str, str] = {"up": "#B2182B", "down": "#2166AC", "flat": "#A0A7AF"}
"""Colours of an up, a down and no call: the ends of the diverging map, told apart by colour-blind readers."""

LANDSCAPE_CMAP = LinearSegmentedColormap.from_list(
    "waddington", ["#2b4a5e", "#4d7f8c", "#8fb3a8", "#cfd6bd", "#ece2cb", "#f7f1e6"]
)
"""Valleys dark and cool, heights light and warm; lightness rises evenly, so that it survives grey print."""

COURSE_CMAP = mpl.colormaps["RdBu_r"]
"""Diverging map of scaled courses."""


@functools.cache
def _settings() -> Any:
    """Return the settings that every picture is drawn with; fonts are those this machine has."""
    return {
        "font.family": list(fonts()),
        "text.parse_math": False,  # a dollar in a label is a dollar
        "font.size": 8.0,
        "axes.titlesize": 9.0,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 6.0,
        "axes.labelsize": 8.0,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "xtick.major.size": 3.0,
        "ytick.major.size": 3.0,
        "legend.fontsize": 7.5,
        "legend.frameon": False,
        "lines.linewidth": 1.4,
        "lines.solid_capstyle": "round",
        "figure.facecolor": "white",
        "axes.facecolor": "white",
        "savefig.facecolor": "white",
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "mathtext.default": "regular",
    }


class Panels(Mapping[str, Axes]):
    """The named axes of one picture, with the picture itself at hand.

    A mapping from a panel's name to its :class:`matplotlib.axes.Axes`, in reading order; shown as a picture in a
    notebook.

    Parameters
    ----------
    axes
        Panel name to axes; all of one figure.
    """

    def __init__(self, axes: Mapping[str, Axes]) -> None:
        self._axes = dict(axes)

    def __getitem__(self, name: str) -> Axes:
        return self._axes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._axes)

    def __len__(self) -> int:
        return len(self._axes)

    def __repr__(self) -> str:
        return f"Panels({', '.join(self._axes)})"

    @property
    def figure(self) -> Figure:
        """The figure that holds the panels."""
        figure = next(iter(self._axes.values())).get_figure(root=True)
        if figure is None:
            raise ArgumentError("cannot find the figure of these panels: their axes were removed from it")
        return figure

    def save(self, path: str | os.PathLike[str], *, dpi: float = 200) -> Path:
        """Write the picture to a temporary name beside ``path``, then move it there.

        Parameters
        ----------
        path
            File whose ending says the format (png, pdf, svg, …).
        dpi
            Dots an inch of raster formats.

        Raises
        ------
        OutputError
            The place cannot be written.
        """
        target = Path(path)
        kind = target.suffix.lstrip(".").lower() or "png"
        if kind not in self.figure.canvas.get_supported_filetypes():
            raise OutputError(
                f"cannot save a picture as {target.name!r}: found the ending {kind!r}; accepted png, pdf, svg"
            )
        with replacing(target) as beside, mpl.rc_context(_settings()):
            self.figure.savefig(beside, format=kind, dpi=dpi)
        return target

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with mpl.rc_context(_settings()):
            self.figure.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def styled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a drawing function under the look of the package; the caller's settings come back afterwards.

    ``ax=`` is taken for ``axes=``, and an AnnData or MuData is refused with the name of the function that draws it.
    """

    @functools.wraps(function)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for given in (*args, *kwargs.values()):
            check_arrays(given, f"draw {function.__name__} of", instead=f"waddington.twin.pl.{function.__name__}")
        if "ax" in kwargs and kwargs.get("axes") is None:
            kwargs["axes"] = kwargs.pop("ax")
        with mpl.rc_context(_settings()):
            return function(*args, **kwargs)

    return wrapper


def new_figure(width: float, height: float, *, constrained: bool = True) -> Figure:
    """Make a figure of a size in inches, laid out so that labels never overlap."""
    figure = Figure(figsize=(width, height), layout="constrained" if constrained else None)
    if constrained:
        figure.get_layout_engine().set(w_pad=0.05, h_pad=0.05, wspace=0.04, hspace=0.06)  # type: ignore[union-attr,call-arg]
    return figure


def panels_from(axes: Axes | Sequence[Axes] | Mapping[str, Axes], names: Sequence[str]) -> dict[str, Axes]:
    """Give names to axes that a caller brought.

    Raises
    ------
    ArgumentError
        Not as many axes as panels, or a mapping without one of the names.
    """
    if isinstance(axes, Mapping):
        missing = [name for name in names if name not in axes]
        if missing:
            raise ArgumentError(f"cannot draw into axes {list(axes)}: found none named {', '.join(missing)}")
        return {name: axes[name] for name in names}
    given = [axes] if isinstance(axes, Axes) else list(axes)
    if len(given) != len(names):
        raise ArgumentError(f"cannot draw {counted(len(names), 'panel')} ({', '.join(names)}) into {len(given)} axes")
    return dict(zip(names, given, strict=True))


def clean(axes: Axes, *, grid: str | None = None) -> Axes:
    """Fix an axes' ticks to the package's look (ticks made later read global settings) and add a light grid."""
    axes.tick_params(labelsize=7.5, width=0.7, length=3.0, color=INK, labelcolor=INK)
    axes.tick_params(labelfontfamily=_settings()["font.family"])
    if grid is not None:
        axes.grid(True, axis=grid, color=_GRID, linewidth=0.7)  # type: ignore[arg-type]
    return axes


def panel_letter(axes: Axes, letter: str) -> None:
    """Put a bold panel letter at the top left corner, outside the axes."""
    axes.annotate(
        letter,
        (0.0, 1.0),
        xytext=(-4, 6),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=11,
        fontweight="bold",
    )


def color_of(name: str) -> str | None:
    """Return the fixed colour of an optimizer, a modality or a fate; ``None`` for a name without one."""
    return _FIXED.get(name)


def colors_for(names: Sequence[str]) -> dict[str, str]:
    """Give every name a colour: its fixed one, or the next of the cycle that no other name took."""
    chosen = {name: _FIXED[name] for name in names if name in _FIXED}
    free = [color for color in _CYCLE if color not in chosen.values()]
    for name in names:
        if name not in chosen:
            chosen[name] = free.pop(0) if free else _CYCLE[len(chosen) % len(_CYCLE)]
    return {name: chosen[name] for name in names}
