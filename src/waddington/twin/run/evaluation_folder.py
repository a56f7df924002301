"""The folder of an evaluation: never that of anything else, and begun again only where it is the same one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from waddington._files import write_text
from waddington.errors import OutputError
from waddington.twin.evaluate.protocol import TABLES

__all__ = ["ABOUT", "begin_work", "claim_folder", "end_work"]

ABOUT = "evaluation.json"
"""What was asked, in a folder of a finished evaluation."""
_WORK, _BEGUN, _ENDED = "work", "begun.json", "ended"


def claim_folder(folder: Path) -> None:
    """Make the folder of an evaluation; refuse one that holds results of anything else, which would be replaced.

    Raises
    ------
    OutputError
        When it holds a report or a table that no evaluation wrote, or cannot be made.
    """
    there = [name for name in ("report.html", *(f"{table}.csv" for table in TABLES)) if (folder / name).exists()]
    if there and not (folder / ABOUT).exists():
        raise OutputError(
            f"cannot write an evaluation to {str(folder)!r}: found {there[0]} of something else there; accepted is "
            "another folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {str(folder)!r}: {error}; accepted is a folder") from error


def begin_work(folder: Path, settings: Mapping[str, Any], *, resume: bool) -> Path:
    """Give the folder where finished pieces are kept.

    Parameters
    ----------
    folder
        Of the evaluation.
    settings
        Everything that its tables depend on, the cells among it.
    resume
        Whether an evaluation that was begun there goes on. Without it one that has ended is done anew, and so is one
        that was refused before any piece of it was begun.

    Raises
    ------
    OutputError
        When one was begun there and has not ended, and `resume` is not set; when `resume` is set and it is of other
        settings or cells, or nothing says of which; or when the work of something else is there.
    """
    work = folder / _WORK
    begun = work / _BEGUN
    mine = json.loads(json.dumps(dict(settings), default=str))
    if work.exists() and not begun.exists():
        raise OutputError(
            f"cannot evaluate in {str(folder)!r}: found a folder {_WORK!r} of something else there; accepted is "
            "another folder"
        )
    if begun.exists() and resume:
        theirs = _read_begun(begun, folder)
        differ = [name for name in mine if mine[name] != theirs.get(name)]
        if differ:
            listed = "; ".join(f"{name} was {theirs.get(name)!r}, is {mine[name]!r}" for name in differ[:4])
            raise OutputError(
                f"cannot resume in {str(folder)!r}: it holds an evaluation of other settings ({listed}); accepted: the "
                "same settings and cells, or another folder"
            )
    elif begun.exists():
        if not (work / _ENDED).exists() and any(path.name != _BEGUN for path in work.iterdir()):
            raise OutputError(
                f"cannot evaluate in {str(folder)!r}: an evaluation was begun there and has not ended; accepted: "
                "another folder, or resume=True to go on with the one that is there"
            )
        shutil.rmtree(work)
    work.mkdir(exist_ok=True)
    write_text(begun, json.dumps(mine, indent=2))
    (work / _ENDED).unlink(missing_ok=True)
    return work


def _read_begun(begun: Path, folder: Path) -> dict[str, Any]:
    try:
        found = json.loads(begun.read_text(encoding="utf-8"))
        return {**found}
    except (OSError, TypeError, ValueError) as error:
        raise OutputError(
            f"cannot resume in {str(folder)!r}: {begun.name!r} of its folder {_WORK!r}, which says what was asked, "
            f"cannot be read ({error}); accepted is another folder"
        ) from error


def end_work(work: Path) -> None:
    """Say that an evaluation has ended."""
    write_text(work / _ENDED, "")
