"""Images with classes: MNIST, CIFAR-10 and CIFAR-100 in each form in which they are published."""

from __future__ import annotations

import functools
import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from waddington._checks import check_choice, require_extra
from waddington.bench.datasets import batches
from waddington.bench.datasets.published import get_data_set
from waddington.bench.datasets.source import DataFile, Form, find, read_file
from waddington.bench.problem import Pair
from waddington.errors import DataError

__all__ = ["Images", "read_images"]

_Bytes: TypeAlias = NDArray[np.uint8]
_Part: TypeAlias = tuple[Callable[[NDArray[np.int64]], _Bytes], NDArray[np.int64]]
"""How the images of given indices are read, and the classes of all."""
_CLASSES = {"mnist": 10, "cifar10": 10, "cifar100": 100}


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images and their classes.

    Attributes
    ----------
    name
        Of the data set; says so where the form at hand is another than the original, such as ``"cifar10 (JPEG)"``.
    train, test
        The published splits: bytes, cases by channels by height by width, and classes from 0. They are shared by all
        who ask; don't write into them.
    classes
        Their number.
    """

    name: str
    train: Pair
    test: Pair
    classes: int


def read_images(
    name: str,
    *,
    train_cases: int | None = None,
    test_cases: int | None = None,
    root: str | os.PathLike[str] | None = None,
) -> Images:
    """Read a data set of images, once in a process.

    Cases come in a mixed order that is always the same, so that the first of them are a sample.

    Parameters
    ----------
    name
        ``"mnist"``, ``"cifar10"`` or ``"cifar100"``.
    train_cases, test_cases
        How many of each split are read; None and more than there are: all.
    root
        As :func:`~waddington.bench.datasets.data_root` takes it.

    Raises
    ------
    DataError
        The data set is not at hand, or a file of it is not what was published.
    """
    check_choice("data set of images", name, _CLASSES)
    form, paths = find(get_data_set(name), root)
    return _images(name, form, tuple(paths.items()), train_cases, test_cases)


@functools.cache
def _images(
    name: str, form: Form, found: tuple[tuple[str, Path], ...], train_cases: int | None, test_cases: int | None
) -> Images:
    paths = dict(found)
    train, test = _READERS[form.name](name, form, paths)
    return Images(
        name=f"{name} ({form.name})" if form.name == "JPEG" else name,
        train=_sampled(train, train_cases),
        test=_sampled(test, test_cases),
        classes=_CLASSES[name],
    )


def _sampled(part: _Part, cases: int | None) -> Pair:
    get, labels = part
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:cases].numpy()
    return torch.from_numpy(np.ascontiguousarray(get(order))), torch.from_numpy(labels[order].astype(np.int64))


def _whole(pixels: NDArray[Any], labels: NDArray[Any]) -> _Part:
    return lambda order: pixels[order], labels.astype(np.int64)


def _idx(name: str, form: Form, paths: Mapping[str, Path]) -> tuple[_Part, _Part]:
    arrays = [_idx_array(read_file(file, paths[file.name]), file.name) for file in form.files]
    return _whole(arrays[0][:, None], arrays[1]), _whole(arrays[2][:, None], arrays[3])


def _idx_array(content: bytes, name: str) -> _Bytes:
    dimensions = content[3] if content[:3] == b"\0\0\x08" else 0
    shape = np.frombuffer(content, ">i4", dimensions, 4)
    if not dimensions or len(content) != 4 + 4 * dimensions + int(np.prod(shape)):
        raise DataError(f"cannot read {name}: it is no IDX file of bytes")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _npz(name: str, form: Form, paths: Mapping[str, Path]) -> tuple[_Part, _Part]:
    arrays = _arrays(form.files[0], paths)
    return tuple(_whole(arrays[f"x_{part}"][:, None], arrays[f"y_{part}"]) for part in ("train", "test"))  # type: ignore[return-value]


def _jpeg(name: str, form: Form, paths: Mapping[str, Path]) -> tuple[_Part, _Part]:
    open_image = require_extra("PIL.Image", "bench").open
    arrays = _arrays(form.files[0], paths)

    def part(which: str) -> _Part:
        stream, offsets = arrays[f"jpeg_{which}"].tobytes(), arrays[f"offsets_{which}"]

        def get(order: NDArray[np.int64]) -> _Bytes:
            pictures = [np.asarray(open_image(io.BytesIO(stream[offsets[i] : offsets[i + 1]]))) for i in order]
            return np.stack(pictures).transpose(0, 3, 1, 2)

        return get, arrays[f"labels_{which}"].astype(np.int64)

    return part("train"), part("test")


def _arrays(file: DataFile, paths: Mapping[str, Path]) -> dict[str, NDArray[Any]]:
    content = read_file(file, paths[file.name])
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            return dict(found)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {paths[file.name]}: it is no npz file of arrays ({error})") from error


def _archive(name: str, form: Form, paths: Mapping[str, Path]) -> tuple[_Part, _Part]:
    content = read_file(form.files[0], paths[form.files[0].name])
    contents: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            if member.name.endswith(".bin") and (stream := archive.extractfile(member)) is not None:
                contents[member.name.rpartition("/")[2]] = stream.read()
    return _binary_parts(name, contents)


def _binary(name: str, form: Form, paths: Mapping[str, Path]) -> tuple[_Part, _Part]:
    return _binary_parts(name, {file.name: read_file(file, paths[file.name]) for file in form.files})


def _binary_parts(name: str, contents: Mapping[str, bytes]) -> tuple[_Part, _Part]:
    """Read rows of a class, or of a coarse and a fine one, and 3,072 bytes of pixels."""
    labels = 1 if name == "cifar10" else 2

    def part(is_test: bool) -> _Part:
        files = [contents[file] for file in sorted(contents) if file.startswith("test") == is_test]
        for file in files:
            if len(file) % (labels + 3072):
                raise DataError(f"cannot read a file of {name}: {len(file)} bytes are no whole number of images")
        rows = np.frombuffer(b"".join(files), np.uint8).reshape(-1, labels + 3072)
        return _whole(rows[:, labels:].reshape(-1, 3, 32, 32), rows[:, labels - 1])

    return part(False), part(True)


def _python(name: str, form: Form, paths: Mapping[str, Path]) -> tuple[_Part, _Part]:
    field = b"labels" if name == "cifar10" else b"fine_labels"

    def part(is_test: bool) -> _Part:
        files = [file for file in form.files if file.name.startswith("test") == is_test]
        found = [batches.loads(read_file(file, paths[file.name]), str(paths[file.name])) for file in files]
        pixels = np.concatenate([one[b"data"] for one in found]).reshape(-1, 3, 32, 32)
        return _whole(pixels, np.concatenate([one[field] for one in found]))

    return part(False), part(True)


_READERS: dict[str, Callable[[str, Form, Mapping[str, Path]], tuple[_Part, _Part]]] = {
    "IDX": _idx,
    "npz": _npz,
    "JPEG": _jpeg,
    "binary archive": _archive,
    "binary": _binary,
    "python": _python,
}
