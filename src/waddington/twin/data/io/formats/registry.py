"""Every format by name: one row each."""

from __future__ import annotations

from waddington.twin.data.io.formats.base import Contents, Format
from waddington.twin.data.io.formats.h5ad import H5AD
from waddington.twin.data.io.formats.h5mu import H5MU
from waddington.twin.data.io.formats.tenx import TENX_FOLDER, TENX_H5, TENX_MTX
from waddington.twin.data.io.formats.zarr_store import ZARR, ZARR_ZIP

__all__ = ["FORMATS", "recognise"]

FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        H5MU,
        H5AD,
        TENX_H5,
        ZARR,
        ZARR_ZIP,
        TENX_FOLDER,
        TENX_MTX,
    )
}
"""Formats by name; one file is of one format."""


def recognise(contents: Contents) -> Format | None:
    """Find the format of a file; None where no format knows it."""
    fitting = (form for form in FORMATS.values() if form.container == contents.container)
    return next((form for form in fitting if form.recognises(contents)), None)
