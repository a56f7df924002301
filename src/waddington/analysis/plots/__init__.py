"""Pictures of an analysis; each reads results and computes nothing.

Pictures are figures of matplotlib and never touch ``pyplot``; :func:`page` gives one HTML file that works without a
network. Both come with the extra ``bench``.
"""

from __future__ import annotations

from waddington.analysis.plots._bounds import bound
from waddington.analysis.plots._curves import curves, line, spectrum
from waddington.analysis.plots._page import page, write_page
from waddington.analysis.plots._style import save
from waddington.analysis.plots._surfaces import contour, slices, surface

__all__ = ["bound", "contour", "curves", "line", "page", "save", "slices", "spectrum", "surface", "write_page"]
