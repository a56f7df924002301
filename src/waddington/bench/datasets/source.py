"""Where data sets lie on disk: published forms, their checksums, what to say when one is missing, and downloads."""

from __future__ import annotations

import gzip
import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from waddington._files import replacing
from waddington._text import counted
from waddington.errors import DataError

__all__ = ["VARIABLE", "DataFile", "DataSet", "Form", "data_root", "download", "find", "read_file"]

VARIABLE = "WADDINGTON_DATA"
"""The environment variable that names the folder of all data sets."""

_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file of a data set.

    Attributes
    ----------
    name
        Its name; it is also found as ``name.gz``.
    checksums
        SHA-256, or MD5 where the source publishes no other, of the content without gzip; an archive (``.tar.gz``) is
        hashed as it is. Any of them is accepted; none: the file is not checked.
    url
        Where it is published.
    loose
        Blanks at line ends don't count, for text whose copies differ in them.
    """

    name: str
    checksums: tuple[str, ...] = ()
    url: str = ""
    loose: bool = False


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form in which a data set is published, such as IDX or npz.

    Attributes
    ----------
    name
        For people and readers.
    files
        All of them are needed.
    folders
        Below the root, where they are looked for, in this order; downloads go to the first.
    """

    name: str
    files: tuple[DataFile, ...]
    folders: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set by name.

    Attributes
    ----------
    name
        As tasks call it in their `needs`.
    forms
        The first one that is there is read.
    page
        Where people get it.
    about
        One line.
    """

    name: str
    forms: tuple[Form, ...]
    page: str
    about: str = ""


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Give the folder of data sets: the argument, or what the environment variable WADDINGTON_DATA names.

    Raises
    ------
    DataError
        Neither names a folder.
    """
    found = os.fspath(root) if root is not None else os.environ.get(VARIABLE, "")
    if not found:
        raise DataError(f"cannot look for data: {VARIABLE} is not set; set it to the folder that holds the data sets")
    path = Path(found).expanduser()
    if not path.is_dir():
        raise DataError(
            f"cannot look for data in {path}: it is no folder; set {VARIABLE} to the one with the data sets"
        )
    return path


def find(data_set: DataSet, root: str | os.PathLike[str] | None = None) -> tuple[Form, Mapping[str, Path]]:
    """Find a data set's files.

    Parameters
    ----------
    data_set
        What is looked for.
    root
        As :func:`data_root` takes it.

    Returns
    -------
    form, paths
        The form that is there, and the path of each of its files by name.

    Raises
    ------
    DataError
        No form is complete. The message says what was looked for, and where to get it.
    """
    try:
        base = data_root(root)
    except DataError as error:
        raise DataError(f"data set {data_set.name!r} is not at hand: {error}. {_advice(data_set)}") from error
    for form in data_set.forms:
        for folder in form.folders:
            paths = {file.name: _existing(base / folder / file.name) for file in form.files}
            found = {name: path for name, path in paths.items() if path is not None}
            if len(found) == len(form.files):
                return form, found
    raise DataError(f"data set {data_set.name!r} is not in {base}: {_looked_for(data_set)}. {_advice(data_set)}")


def read_file(file: DataFile, path: Path) -> bytes:
    """Read a file, without gzip, and check what was read.

    Raises
    ------
    DataError
        The content has another checksum than the published one, or the gzip is damaged.
    """
    content = path.read_bytes()
    if path.suffix == ".gz" and not file.name.endswith(".tar.gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise DataError(f"cannot read {path}: its gzip is damaged ({error}); {_again(file)}") from error
    _check(file, content, str(path))
    return content


def download(data_set: DataSet, root: str | os.PathLike[str] | None = None) -> list[Path]:
    """Fetch a data set in the first of its forms that can be checked; files that are there are left alone.

    Parameters
    ----------
    data_set
        What to fetch.
    root
        As :func:`data_root` takes it; it must exist.

    Returns
    -------
    list of Path
        The files, each complete and with the published checksum.

    Raises
    ------
    DataError
        Nothing of it can be fetched and checked, the source does not answer, or gives something else.
    """
    base = data_root(root)
    form = next((form for form in data_set.forms if all(f.url and f.checksums for f in form.files)), None)
    if form is None:
        raise DataError(
            f"cannot download {data_set.name!r}: its source publishes no files with checksums; get it from"
            f" {data_set.page} and put it where it is looked for: {_looked_for(data_set)}"
        )
    folder = base / form.folders[0]
    return [_existing(folder / file.name) or _fetched(file, folder) for file in form.files]


def _fetched(file: DataFile, folder: Path) -> Path:
    name = file.url.rpartition("/")[2]
    target = folder / (name if name.removesuffix(".gz") == file.name else file.name)
    try:
        with urllib.request.urlopen(file.url, timeout=_TIMEOUT_S) as answer:
            content: bytes = answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise DataError(f"cannot fetch {file.url}: {error}") from error
    packed = target.suffix == ".gz" and not file.name.endswith(".tar.gz")
    try:
        _check(file, gzip.decompress(content) if packed else content, file.url)
    except (OSError, EOFError) as error:
        raise DataError(f"cannot use {file.url}: its gzip is damaged ({error})") from error
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(target) as beside:
        beside.write_bytes(content)
    return target


def _check(file: DataFile, content: bytes, place: str) -> None:
    if not file.checksums:
        return
    if file.loose:
        content = b"\n".join(line.rstrip() for line in content.splitlines()) + b"\n"
    kinds = {64: hashlib.sha256, 32: lambda data: hashlib.md5(data, usedforsecurity=False)}
    found = {size: kinds[size](content).hexdigest() for size in {len(one) for one in file.checksums}}
    if not any(found[len(one)] == one for one in file.checksums):
        raise DataError(
            f"cannot use {place}: its checksum is {', '.join(found.values())}; accepted is"
            f" {' or '.join(file.checksums)}; {_again(file)}"
        )


def _existing(path: Path) -> Path | None:
    return next((one for one in (path, path.with_name(path.name + ".gz")) if one.is_file()), None)


def _again(file: DataFile) -> str:
    return f"fetch it again from {file.url}" if file.url else "fetch it again"


def _looked_for(data_set: DataSet) -> str:
    forms = []
    for form in data_set.forms:
        names = ", ".join(file.name for file in form.files[:3])
        more = f" and {counted(len(form.files) - 3, 'more file')}" if len(form.files) > 3 else ""
        places = " or ".join(f"{folder or '.'}/" for folder in form.folders)
        forms.append(f"{names}{more} in {places} ({form.name})")
    return "looked for " + "; or ".join(forms)


def _advice(data_set: DataSet) -> str:
    fetchable = any(all(f.url and f.checksums for f in form.files) for form in data_set.forms)
    by_command = f", or by `python -m waddington.bench.datasets {data_set.name}`" if fetchable else ""
    return f"Get it from {data_set.page}{by_command}"
