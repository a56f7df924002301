"""A model on disk: a folder of one file a part, read with ``weights_only``, and a line of facts beside them.

``model.json`` says format, versions, setup and parts; ``preprocessor.pt``, ``encoder.pt``, ``response.pt``,
``dynamics.pt`` and ``agent.pt`` hold tensors, numbers and strings. Parts that a model lacks have no file.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from waddington._errors import DataError, OutputError
from waddington._files import replacing
from waddington._version import __version__

__all__ = ["FACTS", "FORMAT", "PARTS", "read_model", "write_model"]

FORMAT: Final = 1
FACTS: Final = "model.json"
PARTS: Final = ("preprocessor", "encoder", "response", "dynamics", "agent")
"""Parts of a model; the first two are always there."""


def write_model(
    folder: str | os.PathLike[str], parts: Mapping[str, Any], facts: Mapping[str, Any], *, overwrite: bool = False
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
    overwrite
        Whether a model that is there already may be replaced.

    Raises
    ------
    OutputError
        When the place holds something, or cannot be written.
    """
    target = Path(folder).expanduser()
    there = target.exists() and not (target.is_dir() and not any(target.iterdir()))
    if there and not (overwrite and (target / FACTS).is_file()):
        found = "a model" if (target / FACTS).is_file() else "something that is no model"
        more = ", or overwrite=True" if found == "a model" else ""
        raise OutputError(f"cannot save to {str(target)!r}: found {found} there; accepted is a free place{more}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as beside:
        beside.mkdir()
        for name, state in parts.items():
            if state is not None:
                # Written through an open file, the same weights give the same bytes.
                with (beside / f"{name}.pt").open("wb") as file:
                    torch.save(state, file)
        known = {"format": FORMAT, "version": __version__, "parts": [name for name in parts if parts[name] is not None]}
        (beside / FACTS).write_text(json.dumps({**known, **facts}, indent=2), encoding="utf-8")
    return target


def read_model(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what :func:`write_model` wrote.

    Returns
    -------
    parts
        State of each part that is there.
    facts
        The content of ``model.json``.

    Raises
    ------
    DataError
        When the folder holds no model, one of another format, or a damaged one.
    """
    place = Path(folder).expanduser()
    try:
        facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise DataError(f"cannot load {str(place)!r}: found no model of format {FORMAT}")
        names = [name for name in PARTS if name in facts["parts"]]
        parts = {name: torch.load(place / f"{name}.pt", weights_only=True, map_location="cpu") for name in names}
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"cannot load {str(place)!r}: {error}; accepted is a folder that Twin.save or a run wrote"
        ) from error
    return parts, facts
