"""Folders of images, a folder for each class, as ImageNet is unpacked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from waddington._checks import require_extra
from waddington.bench.datasets.source import data_root
from waddington.bench.problem import Pair
from waddington.errors import DataError

__all__ = ["ImageFolder", "image_folder"]

_SUFFIXES = (".jpeg", ".jpg", ".png")
_FOLDERS = ("imagenet", "ILSVRC2012", "ILSVRC/Data/CLS-LOC")
_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Images on disk, read when they are asked for.

    Attributes
    ----------
    paths, labels
        Of all images, class after class.
    classes
        Names of the folders, sorted; a class is its place among them.
    """

    paths: Sequence[Path]
    labels: torch.Tensor
    classes: Sequence[str]
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS), repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, chosen: torch.Tensor, size: int, random: torch.Tensor | None = None) -> Pair:
        """Read images.

        Parameters
        ----------
        chosen
            Their indices.
        size
            Height and width of what is given.
        random
            Five numbers from 0 to 1 for each image, by which it is cut (8 to 100 % of its area, sides 3:4 to 4:3) and
            mirrored half of the time, as ImageNet is trained on; None cuts the middle out: 7/8 of the shorter side.

        Returns
        -------
        images, labels
            Bytes, cases by 3 by `size` by `size`, and classes.
        """
        paths = [self.paths[int(i)] for i in chosen]
        numbers = [None] * len(paths) if random is None else random.tolist()
        pictures = self._pool.map(_read, paths, numbers, [size] * len(paths))
        return torch.stack(list(pictures)), self.labels[chosen]


def image_folder(
    split: str, root: str | os.PathLike[str] | None = None, folders: Sequence[str] = _FOLDERS
) -> ImageFolder:
    """Find a split of ImageNet, or of what lies like it.

    Parameters
    ----------
    split
        ``"train"`` or ``"val"``: a folder with a folder for each class.
    root
        As :func:`~waddington.bench.datasets.data_root` takes it.
    folders
        Below the root, where the split is looked for.

    Raises
    ------
    DataError
        No such folder, or no image in it. The message says what was looked for, and where to get it.
    """
    advice = (
        "Get ImageNet (ILSVRC2012) from https://image-net.org/download.php and unpack each split into a folder for each"
        " class"
    )
    try:
        base = data_root(root)
    except DataError as error:
        raise DataError(f"ImageNet is not at hand: {error}. {advice}") from error
    found = next((base / folder / split for folder in folders if (base / folder / split).is_dir()), None)
    if found is None:
        raise DataError(
            f"ImageNet is not in {base}: looked for {' or '.join(f'{folder}/{split}/' for folder in folders)}. {advice}"
        )
    classes = sorted(path.name for path in found.iterdir() if path.is_dir())
    paths, labels = [], []
    for label, name in enumerate(classes):
        inside = sorted(path for path in (found / name).iterdir() if path.suffix.lower() in _SUFFIXES)
        paths += inside
        labels += [label] * len(inside)
    if not paths:
        raise DataError(f"cannot use {found}: no folder in it holds an image ({', '.join(_SUFFIXES)})")
    return ImageFolder(paths=paths, labels=torch.tensor(labels), classes=classes)


def _read(path: Path, random: list[float] | None, size: int) -> torch.Tensor:
    image: Any = require_extra("PIL.Image", "bench")
    try:
        with image.open(path) as opened:
            opened.draft("RGB", (2 * size, 2 * size))  # a JPEG is decoded at half or a quarter where that is enough
            picture = opened.convert("RGB")
    except OSError as error:
        raise DataError(f"cannot read the image {path}: {error}") from error
    box = _middle(*picture.size) if random is None else _cut(*picture.size, *random[:4])
    picture = picture.resize((size, size), image.Resampling.BILINEAR, box=box)
    if random is not None and random[4] < 0.5:
        picture = picture.transpose(image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.array(picture).transpose(2, 0, 1))


def _middle(width: int, height: int) -> tuple[float, float, float, float]:
    """Give the box of the middle: 7/8 of the shorter side."""
    side = min(width, height) * 7 / 8
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _cut(width: int, height: int, area: float, ratio: float, x: float, y: float) -> tuple[float, float, float, float]:
    """Give a random box: its area, the logarithm of its ratio of sides, and its place are even."""
    size = (0.08 + 0.92 * area) * width * height
    sides = (3 / 4) ** (1 - 2 * ratio)
    wide, high = min(width, (size * sides) ** 0.5), min(height, (size / sides) ** 0.5)
    left, top = x * (width - wide), y * (height - high)
    return left, top, left + wide, top + high
