"""Models and tokenizers of the transformers library: built from a configuration, or read from a folder of weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from waddington._checks import check_choice, require_extra
from waddington.errors import DataError

__all__ = ["Logits", "from_folder", "image_resnet", "local_weights", "small_image_resnet", "transformers_library"]

_DEPTHS = {18: [2, 2, 2, 2], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}


def transformers_library() -> Any:
    """Import transformers, or say which extra brings it.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    return require_extra("transformers", "models")


def local_weights(weights: str, what: str, page: str) -> Path:
    """Give the folder of a model's weights: a path, or a name below the folder of data sets.

    Raises
    ------
    DataError
        There is no such folder, or no ``config.json`` in it; says where to get the weights.
    """
    root = os.environ.get("WADDINGTON_DATA", "")
    places = [Path(weights).expanduser(), *([Path(root) / "models" / weights] if root else [])]
    for place in places:
        if (place / "config.json").is_file():
            return place
    raise DataError(
        f"cannot find the weights of {what}: looked for config.json in {' and '.join(map(str, places))}. Get them from"
        f" {page} (`hf download {page.partition('.co/')[2]} --local-dir DIR`) and give the folder as weights='DIR'"
    )


def from_folder(kind: str, folder: Path, **settings: Any) -> Any:
    """Read a model or tokenizer, such as ``AutoTokenizer``, from a folder and from nowhere else.

    Raises
    ------
    DataError
        The folder holds none, or a damaged one.
    """
    library = transformers_library()
    damaged = require_extra("safetensors", "models").SafetensorError
    try:
        return getattr(library, kind).from_pretrained(str(folder), local_files_only=True, **settings)
    except (OSError, ValueError, KeyError, RuntimeError, damaged) as error:
        raise DataError(f"cannot read {kind.removeprefix('Auto')} from {folder}: {error}") from error


class Logits(nn.Module):
    """A classifier of transformers', as one that gives logits alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x).logits  # type: ignore[no-any-return]


def image_resnet(depth: int, classes: int, *, is_tiny: bool = False, dropout: float = 0.0) -> Any:
    """Build ResNet-18, -50, -101 or -152 for images of ImageNet's size; tiny: one block a stage, of few channels."""
    check_choice("depth", depth, _DEPTHS)
    library = transformers_library()
    widths = [64, 128, 256, 512] if depth == 18 else [256, 512, 1024, 2048]
    config = library.ResNetConfig(
        embedding_size=8 if is_tiny else 64,
        hidden_sizes=[8, 8, 16, 16] if is_tiny else widths,
        depths=[1, 1, 1, 1] if is_tiny else _DEPTHS[depth],
        layer_type="basic" if depth == 18 else "bottleneck",
        num_labels=classes,
    )
    model = library.ResNetForImageClassification(config)
    model.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(config.hidden_sizes[-1], classes))
    return model


def small_image_resnet(depth: int, classes: int, *, is_tiny: bool = False, dropout: float = 0.0) -> Any:
    """Build a ResNet for 32 by 32: a stem of 3 by 3 and stride 1 without a maximum, in the place of ImageNet's."""
    model = image_resnet(depth, classes, is_tiny=is_tiny, dropout=dropout)
    stem = model.resnet.embedder
    stem.embedder.convolution = nn.Conv2d(3, stem.embedder.convolution.out_channels, 3, 1, 1, bias=False)
    stem.pooler = nn.Identity()
    return model
