"""What an analysis gives is plain arrays, kept in one ``.npz`` file without pickles."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from waddington._files import replacing
from waddington.errors import ArgumentError, DataError

__all__ = ["Arrays", "Saved"]

Arrays = np.ndarray[Any, np.dtype[Any]]
"""An array of numpy; its shape and dtype are in the docstrings."""
_KIND = "kind"
_INSIDE = "/"  # between the name of a field and a key of the mapping that it holds


@dataclass(frozen=True)
class Saved:
    """A result whose fields are arrays, numbers, texts, tuples of arrays or mappings of names to arrays."""

    def save(self, path: str | Path) -> Path:
        """Write the result, whole or not at all.

        Parameters
        ----------
        path
            A file that ends in ``.npz``.

        Returns
        -------
        pathlib.Path
            Where it was written.

        Raises
        ------
        ArgumentError
            The name ends otherwise.
        OutputError
            The place cannot be written.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise ArgumentError(f"cannot write {str(path)!r}: accepted is a name that ends in .npz")
        arrays: dict[str, Any] = {_KIND: type(self).__name__}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                value = {str(at): part for at, part in enumerate(value)}
            if isinstance(value, Mapping):
                arrays |= {f"{field.name}{_INSIDE}{key}": part for key, part in value.items()}
            elif value is not None:
                arrays[field.name] = value
        with replacing(path) as beside, beside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError
            The file is missing, damaged, or holds something else.
        """
        try:
            found = _read(path)
        # zipfile: NotImplementedError is a compression that it does not know, zlib.error a damaged one.
        except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(
                f"cannot read {str(path)!r}: {error}; accepted: a file that {cls.__name__} saved"
            ) from error
        kind = str(found.pop(_KIND, "nothing of this package"))
        if kind != cls.__name__:
            raise DataError(f"cannot read {str(path)!r}: it holds {kind}; accepted: a file that {cls.__name__} saved")
        values = {field.name: _value(str(field.type), field.name, found) for field in fields(cls)}
        lost = [
            field.name
            for field in fields(cls)
            if values[field.name] is None and field.default is MISSING and field.default_factory is MISSING
        ]
        if lost:
            raise DataError(
                f"cannot read {str(path)!r}: it lacks {', '.join(lost)}; accepted: a file that {cls.__name__} saved"
            )
        return cls(**values)


def _read(path: str | Path) -> dict[str, Arrays]:
    """Read the arrays of an ``.npz`` file, by name."""
    with Path(path).open("rb") as opened:  # numpy would leave a damaged file open
        if not zipfile.is_zipfile(opened):
            raise ValueError("it is no .npz file")
        opened.seek(0)
        with np.load(opened, allow_pickle=False) as file:
            # By the names inside the archive: numpy takes "a.npy" for "a" where both are there.
            return {name: file[f"{name}.npy"] for name in file.files}


def _value(kind: str, name: str, found: Mapping[str, Arrays]) -> Any:
    """Put a field together again, by its annotation."""
    inside = {key.partition(_INSIDE)[2]: part for key, part in found.items() if key.startswith(f"{name}{_INSIDE}")}
    if kind.startswith("tuple"):
        parts = [inside[str(at)] for at in range(len(inside))]
        return tuple(part.item() if part.ndim == 0 else part for part in parts)
    if kind.startswith("Mapping"):
        return inside
    if name not in found:
        return None
    value = found[name]
    return value.item() if value.ndim == 0 else value
