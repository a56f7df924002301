"""How paths are drawn, so that none hides another: lines and ends that lie on each other are nested, largest first."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from waddington.analysis.landscape import Landscape
from waddington.analysis.plots._style import COLORS
from waddington.analysis.records import Arrays

__all__ = ["PathStyle", "Start", "coinciding", "in_words", "path_styles", "starts"]

_RESOLUTION = 0.005
"""Part of the picture's extent below which two places are one: half of a line's width."""
_TOUCHING, _LONG = 0.1, 0.02
"""Lines are nested where at least this share of one lies on the other, and this part of the picture's extent."""
_MARK = 0.02
"""Part of the picture's extent below which marks overlap."""
_SAMPLES = 200
_THIN, _STEP, _WIDEST = 1.2, 1.7, 8.0
_SMALL, _LARGEST = 5.0, 20.0
_GROWTH = 1.45  # a circle shows around a square, which needs √2
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*", "<", ">")
_SYMBOLS = ("circle", "square", "diamond", "cross", "x")
"""Plotly's symbols that a plane and a space both have."""


@dataclass(frozen=True, kw_only=True)
class PathStyle:
    """The look of one path.

    Attributes
    ----------
    color
        By its place among all.
    width
        Of its line, in points.
    marker, symbol
        Of its end, as matplotlib and plotly call them.
    size
        Of that mark, in points.
    """

    color: str
    width: float
    marker: str
    symbol: str
    size: float


def path_styles(landscape: Landscape) -> dict[str, PathStyle]:
    """Give every path its look, in the order in which they are drawn: what lies below is wider.

    Parameters
    ----------
    landscape
        With its paths.
    """
    names = list(landscape.paths)
    widths: dict[str, float] = {}
    sizes: dict[str, float] = {}
    for group in _groups(names, _touching(landscape)):
        widest = min(_THIN + _STEP * (len(group) - 1), _WIDEST)
        widths |= zip(group, np.linspace(widest, _THIN, len(group)).tolist(), strict=True)
    for group in _groups(names, _near(landscape, -1)):
        largest = min(_SMALL * _GROWTH ** (len(group) - 1), _LARGEST)
        sizes |= zip(group, np.geomspace(largest, _SMALL, len(group)).tolist(), strict=True)
    found = {
        name: PathStyle(
            color=COLORS[at % len(COLORS)],
            width=widths[name],
            marker=_MARKERS[at % len(_MARKERS)],
            symbol=_SYMBOLS[at % len(_SYMBOLS)],
            size=sizes[name],
        )
        for at, name in enumerate(names)
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1].width, -item[1].size)))


@dataclass(frozen=True, kw_only=True)
class Start:
    """A place where paths begin.

    Attributes
    ----------
    place
        Coordinates, of shape (directions,).
    names
        The paths that begin there.
    size
        Of its ring, in points: larger than the ends that lie there.
    """

    place: Arrays
    names: tuple[str, ...]
    size: float


def starts(landscape: Landscape) -> list[Start]:
    """Give the places where paths begin, each once."""
    scaled, looks = _scaled(landscape), path_styles(landscape)
    found = []
    for group in _groups(list(scaled), _near(landscape, 0)):
        place = scaled[group[0]][0]
        there = [looks[name].size for name, path in scaled.items() if np.linalg.norm(path[-1] - place) < _MARK]
        size = max([_SMALL, *(_GROWTH * size for size in there)])
        found.append(Start(place=landscape.paths[group[0]][0], names=group, size=size))
    return found


def coinciding(landscape: Landscape) -> list[tuple[str, ...]]:
    """Give the groups of paths that the picture cannot tell apart: each lies on the others from end to end."""
    on = _shares(landscape)
    pairs = [pair for pair in itertools.combinations(landscape.paths, 2) if on[pair] == on[pair[::-1]] == 1.0]
    return [group for group in _groups(list(landscape.paths), pairs) if len(group) > 1]


def in_words(landscape: Landscape) -> list[str]:
    """Say which paths the picture cannot tell apart, a sentence for each group."""
    return [f"{', '.join(group[:-1])} and {group[-1]} coincide in this picture" for group in coinciding(landscape)]


def _near(landscape: Landscape, at: int) -> list[tuple[str, str]]:
    """Give the pairs whose points of one number are so near that their marks overlap."""
    scaled = _scaled(landscape)
    return [
        (first, second)
        for first, second in itertools.combinations(scaled, 2)
        if np.linalg.norm(scaled[first][at] - scaled[second][at]) < _MARK
    ]


def _touching(landscape: Landscape) -> list[tuple[str, str]]:
    """Give the pairs of which a good part of one lies on the other."""
    on, scaled = _shares(landscape), _scaled(landscape)
    length = {name: float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()) for name, path in scaled.items()}
    far = {pair: share >= _TOUCHING and share * length[pair[0]] >= _LONG for pair, share in on.items()}
    return [pair for pair in itertools.combinations(scaled, 2) if far[pair] or far[pair[::-1]]]


def _shares(landscape: Landscape) -> Mapping[tuple[str, str], float]:
    """Give which share of each path's length lies on each other path."""
    scaled = _scaled(landscape)
    return {
        (name, other): float((_distances(_sampled(path), scaled[other]) < _RESOLUTION).mean())
        for name, path in scaled.items()
        for other in scaled
        if other != name
    }


def _scaled(landscape: Landscape) -> dict[str, Arrays]:
    """Give the paths in units of the picture's extent."""
    extent = np.array([np.ptp(axis) or 1.0 for axis in landscape.axes])
    return {name: np.asarray(path, dtype=np.float64) / extent for name, path in landscape.paths.items()}


def _sampled(path: Arrays) -> Arrays:
    """Give points along a path, evenly in its length."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    places = np.linspace(0.0, along[-1], _SAMPLES)
    return np.stack([np.interp(places, along, column) for column in path.T], axis=1)


def _distances(points: Arrays, path: Arrays) -> Arrays:
    """Give how far each point lies from a path's lines."""
    starts = path[:-1] if len(path) > 1 else path
    steps = path[1:] - starts if len(path) > 1 else np.zeros_like(path)
    lengths = np.maximum((steps**2).sum(axis=1), np.finfo(np.float64).tiny)
    away = points[:, None, :] - starts
    share = np.clip((away * steps).sum(axis=2) / lengths, 0.0, 1.0)
    found: Arrays = np.linalg.norm(away - share[..., None] * steps, axis=2).min(axis=1)
    return found


def _groups(names: list[str], pairs: list[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Put names together that pairs join, also through others."""
    group = {name: {name} for name in names}
    for first, second in pairs:
        joined = group[first] | group[second]
        for name in joined:
            group[name] = joined
    found = dict.fromkeys(tuple(name for name in names if name in group[each]) for each in names)
    return list(found)
