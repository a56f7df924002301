"""A MuData on disk, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import mudata as md

from waddington._files import replacing
from waddington.errors import OutputError
from waddington.twin.data.io.files import quiet_mudata

__all__ = ["write"]


def write(mdata: md.MuData, path: str | os.PathLike[str]) -> Path:
    """Write a ``.h5mu`` under a temporary name beside its place, then move it there in one step.

    Parameters
    ----------
    mdata
        What to write; not changed.
    path
        Ends in ``.h5mu``; its folder is made if there is none. A file that stands there is replaced.

    Returns
    -------
    pathlib.Path
        The path written.

    Raises
    ------
    OutputError
        When the place cannot be written or the name does not end in ``.h5mu``; what stood there is untouched.
    """
    target = Path(path).expanduser()
    if target.suffix != ".h5mu":
        raise OutputError(f"cannot write {target}: found a name ending in {target.suffix!r}; accepted is '.h5mu'")
    with replacing(target) as beside, quiet_mudata():
        target.parent.mkdir(parents=True, exist_ok=True)
        md.write_h5mu(beside, mdata, compression="gzip")
    return target
