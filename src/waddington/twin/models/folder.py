"""A model on disk: a folder of one file a part, read with ``weights_only``, and a line of facts beside them.

``model.json`` says format, versions, whose model it is, setup, parts and the SHA-256 of each part's file, so that a
damaged file, or one of another model, is refused rather than believed; ``preprocessor.pt``, ``encoder.pt``,
``response.pt``, ``dynamics.pt`` and ``agent.pt`` hold tensors, numbers and strings. Parts that a model lacks have no
file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from waddington._files import replacing
from waddington._version import __version__
from waddington.errors import DataError, OutputError
from waddington.twin.data.setup import Setup

__all__ = ["ALWAYS", "FACTS", "FORMAT", "PARTS", "read_model", "write_model"]

FORMAT: Final = 1
FACTS: Final = "model.json"
PARTS: Final = ("preprocessor", "encoder", "response", "dynamics", "agent")
"""Parts that a model can have."""
ALWAYS: Final = {"Twin": PARTS[:2], "Response": ("response",)}
"""Parts that a model of each class has."""


def write_model(
    folder: str | os.PathLike[str],
    parts: Mapping[str, Any],
    facts: Mapping[str, Any],
    *,
    owner: str = "Twin",
    overwrite: bool = False,
) -> Path:
    """Write a model whole or not at all.

    Parameters
    ----------
    folder
        Its place; the folder above it is made if there is none.
    parts
        State of each part, by its name in :data:`PARTS`; None for one that the model lacks.
    facts
        What JSON can hold, beside format and version.
    owner
        The class whose model it is, one of :data:`ALWAYS`.
    overwrite
        Whether a model that is there already may be replaced; never a folder that holds anything else.

    Raises
    ------
    OutputError
        When the place holds something, or cannot be written.
    """
    target = Path(folder).expanduser()
    there = target.exists() and not (target.is_dir() and not any(target.iterdir()))
    if there and (strange := _no_part_of_a_model(target)):
        raise OutputError(f"cannot save to {str(target)!r}: found {strange} there; accepted is a free place")
    if there and not overwrite:
        raise OutputError(
            f"cannot save to {str(target)!r}: found a model there; accepted is a free place, or overwrite=True"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as beside:
        beside.mkdir()
        for name, state in parts.items():
            if state is not None:
                # Written through an open file, the same weights give the same bytes.
                with (beside / f"{name}.pt").open("wb") as file:
                    torch.save(state, file)
        names = [name for name in parts if parts[name] is not None]
        sums = {name: _sum_of((beside / f"{name}.pt").read_bytes()) for name in names}
        known = {"format": FORMAT, "version": __version__, "class": owner, "parts": names, "sha256": sums}
        (beside / FACTS).write_text(json.dumps({**known, **facts}, indent=2), encoding="utf-8")
    return target


def read_model(folder: str | os.PathLike[str], *, owner: str = "Twin") -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what :func:`write_model` wrote.

    Parameters
    ----------
    folder
        Its place.
    owner
        The class whose model it has to be.

    Returns
    -------
    parts
        State of each part that is there.
    facts
        The content of ``model.json``, its setup as a :class:`~waddington.twin.data.setup.Setup`.

    Raises
    ------
    DataError
        When the folder holds no model, one of another format or class, or a damaged one.
    """
    wrote = f"a folder that {owner}.save wrote" + (", or model/ of a run" if owner == "Twin" else "")
    place = Path(folder).expanduser()
    try:
        facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise DataError(f"cannot load {str(place)!r}: found no model of format {FORMAT}")
        if (found := facts.get("class", "Twin")) != owner:
            raise DataError(f"cannot load {str(place)!r}: found a model of {found}; accepted: twin.{found}.load")
        names = [name for name in PARTS if name in facts["parts"]]
        parts = {name: _read_part(place / f"{name}.pt", facts["sha256"][name]) for name in names}
        if missing := [name for name in ALWAYS[owner] if name not in parts]:
            raise ValueError(f"{FACTS} names no {missing[0]}")
        facts["setup"] = Setup(**facts["setup"])
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot load {str(place)!r}: {error}; accepted is {wrote}") from error
    return parts, facts


def _read_part(path: Path, known: str) -> Any:
    content = path.read_bytes()
    if _sum_of(content) != known:
        raise ValueError(f"{path.name} is damaged, or of another model: its SHA-256 is not that of {FACTS}")
    return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")


def _sum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _no_part_of_a_model(place: Path) -> str:
    """Name what is at a place and belongs to no model; empty where a whole model is there and nothing else."""
    if not (place / FACTS).is_file():
        return "something that is no model"
    own = {FACTS, *(f"{name}.pt" for name in PARTS)}
    strange = sorted(path.name for path in place.iterdir() if path.name not in own)
    return f"{strange[0]!r} beside a model" if strange else ""
