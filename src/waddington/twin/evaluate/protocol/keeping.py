"""Pieces of an evaluation as jobs: each is kept when it is done, so that a killed evaluation goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from waddington._files import replacing
from waddington.jobs import Context, Event, Job, Record, Store, hash_of, run
from waddington.twin.evaluate.protocol.folds import Fold
from waddington.twin.evaluate.protocol.genes import GeneSums
from waddington.twin.evaluate.protocol.scores import Key, Scores
from waddington.twin.evaluate.protocol.screen import Screen

__all__ = ["Found", "Piece", "describe", "fingerprint", "pack", "run_pieces", "unpack"]

_ARRAYS = "arrays.npz"


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What a piece found."""

    values: Mapping[str, Any]
    """What JSON holds."""
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Piece(Job):
    """A piece of an evaluation that is a function of its fields; the work itself is no part of its key."""

    kind: ClassVar[str] = "evaluation"

    evaluation: str
    """Hash of the cells, the models and everything that all pieces share."""
    what: str
    folds: str = ""
    """Hash of what is hidden."""
    repeat: int = 0
    options: tuple[str, ...] = ()
    seed: int
    title: str = field(default="", compare=False)
    """What is being done, for people."""
    work: Callable[[Callable[[float], None]], Found] = field(compare=False, repr=False)
    """Told a function that takes the fraction that is done."""

    def run(self, context: Context) -> Mapping[str, Any]:
        """Do it; arrays lie in the job's folder."""
        found = self.work(context.progress)
        if found.arrays:
            _write(found, context.folder)
        return found.values


def run_pieces(pieces: Sequence[Piece], store: Path | None, callback: Callable[[float, str], None]) -> Iterator[Found]:
    """Do every piece that is not kept yet; give what each found, in their order.

    Parameters
    ----------
    pieces
        What is to be done.
    store
        Folder where finished pieces are kept, and looked for; nothing is kept by default.
    callback
        Called with the fraction that is done, and what is being done.
    """
    if store is None:
        for done, piece in enumerate(pieces):
            callback(done / len(pieces), piece.title)
            yield piece.work(partial(_tell, callback, piece.title, done, len(pieces)))
        return
    fractions: dict[str, float] = {}

    def listen(event: Event) -> None:
        fractions[event.job.key] = event.fraction
        title = event.job.title if isinstance(event.job, Piece) else ""
        callback(sum(fractions.values()) / event.total, title)

    with ExitStack() as stack:
        kept = stack.enter_context(Store(store))
        records = run(pieces, kept, listen=listen)
        for piece, record in zip(pieces, records, strict=True):
            yield _kept(piece, record, kept.files_of(piece))


def _kept(piece: Piece, record: Record, folder: Path) -> Found:
    """Read what a piece found; where its file was lost or damaged meanwhile, find it again."""
    if _ARRAYS not in record.files:
        return Found(values=record.result or {})
    try:
        with (folder / _ARRAYS).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return Found(values=record.result or {}, arrays=dict(file))
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        found = piece.work(lambda _: None)
        _write(found, folder)
        return found


def _write(found: Found, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / _ARRAYS) as beside, beside.open("wb") as file:
        np.savez(file, allow_pickle=False, **found.arrays)


def _tell(callback: Callable[[float, str], None], title: str, done: int, total: int, part: float) -> None:
    callback((done + part) / total, title)


def fingerprint(screen: Screen, others: Mapping[str, Any]) -> str:
    """Hash cells, and what else all pieces share."""
    digest = hashlib.sha256()
    known = {"labels": screen.labels, "groups": screen.groups, "train": screen.train}
    arrays = {**known, "representation": screen.representation}
    for kind, table in (("values", screen.values), ("names", screen.names)):
        arrays |= {f"{kind} {name}": x for name, x in table.items()}
    for name, x in arrays.items():
        if x is not None:
            digest.update(f"{name} {x.dtype.str} {x.shape}".encode())
            digest.update(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data)
    about = {"control": screen.control, "kind": screen.kind, "order": list(screen.order), **others}
    return hash_of({"cells": digest.hexdigest(), **about})


def describe(folds: Sequence[Fold]) -> str:
    """Hash what is hidden."""
    known = [
        (one.way, sorted(one.targets.items()), sorted(one.left_out), one.group, one.half_of_cells) for one in folds
    ]
    return hash_of(known)


def pack(scores: Scores) -> Found:
    """Take scores apart into what can be kept, with all their digits."""
    values = {
        "metrics": list(scores.metrics),
        "values": [[list(key), len(rows)] for key, rows in scores.values.items()],
        "coverage": [[list(key), len(rows)] for key, rows in scores.coverage.items()],
        "support": [[list(key), how] for key, how in scores.support.items()],
        "genes": [[list(key), sums.conditions] for key, sums in scores.genes.items()],
        "refused": {name: dict(why) for name, why in scores.refused.items()},
    }
    arrays = {f"genes {place}": sums.table for place, sums in enumerate(scores.genes.values())}
    for name, table in (("values", scores.values), ("coverage", scores.coverage)):
        if rows := [row for found in table.values() for row in found]:
            arrays[name] = np.stack(rows)
    return Found(values=json.loads(json.dumps(values)), arrays=arrays)


def unpack(found: Found) -> Scores:
    """Put scores together again."""
    known, scores = found.values, Scores(metrics=tuple(found.values["metrics"]))
    for name, table in (("values", scores.values), ("coverage", scores.coverage)):
        place = 0
        for key, n in known[name]:
            table[Key(*key)] = list(found.arrays[name][place : place + n])
            place += n
    scores.support.update({Key(*key): how for key, how in known["support"]})
    for place, (key, conditions) in enumerate(known["genes"]):
        scores.genes[key[0], key[1], key[2]] = GeneSums.of(found.arrays[f"genes {place}"], conditions)
    scores.refused.update({name: dict(why) for name, why in known["refused"].items()})
    return scores
