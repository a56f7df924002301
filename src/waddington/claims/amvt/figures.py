"""What the parts of paper 004 share: checks of its printed figures, commands for larger machines, arms at work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from waddington.analysis.bounds import amvt as theory
from waddington.claims.claim import Need, Part
from waddington.claims.experiments.tuned import tuned
from waddington.claims.finding import Finding, found
from waddington.claims.measurement import Measurement, measurements

__all__ = ["CHARACTERS", "CIFAR", "DIGITS", "MNIST", "cifar", "figure", "searched"]

_FIGURES = {(one.place, one.statement): one for one in theory.figures()}
_RULE = "the computed figure rounds to the printed one"

DIGITS: Mapping[str, Any] = {"task": "digits", "steps": 600}
MNIST: Mapping[str, Any] = {"task": "mnist-cnn", "steps": 600}
CIFAR: Mapping[str, Any] = {"task": "cifar-resnet8", "steps": 600, "trials": 8, "tuning_seeds": 1}
CHARACTERS: Mapping[str, Any] = {"task": "char-lstm", "steps": 250, "cases": 0}
"""Small tasks, on which arms are searched and then run on ten seeds."""


def searched(where: Mapping[str, Any], arms: Iterable[str], **changes: Any) -> tuple[Measurement, ...]:
    """Give the measurements of arms on a task, each searched with the same budget."""
    return tuple(job for arm in arms for job in measurements(tuned, arm=arm, **{**where, **changes}))


def _of(place: str, statement: str, reads: str) -> Callable[[Mapping[str, Any]], Finding]:
    """Make a check of one figure of the paper against what follows from its own numbers; its unit ends its statement.

    Where the paper prints no such figure, `reads` is what stands there.
    """
    unit = statement.rpartition(", ")[2]

    def check(numbers: Mapping[str, Any]) -> Finding:
        one = replace(_FIGURES[place, statement], printed=numbers["printed"])
        printed = f"{one.printed} {unit}"
        said = f"{reads}, taken as {printed}" if reads else printed
        words = f"{one.how} = {float(one.computed):.4g} {unit}; printed is {said}"
        return found(one.agrees, words, computed=float(one.computed), printed=float(one.printed))

    return check


def figure(name: str, place: str, statement: str, said: str, *, right: str, reads: str = "") -> Part:
    """Make a part of a figure; `right` is what would agree, or another figure where the printed one does.

    `reads` is what the paper prints where that is no single number.
    """
    return Part(
        name=name,
        statement=said,
        source=f"Section {place}" if place != "abstract" else "abstract",
        check=_of(place, statement, reads),
        numbers={"printed": _FIGURES[place, statement].printed},
        opposite={"printed": right},
        rule=_RULE,
    )


def cifar(words: str, seeds: int = 5, *, arms: Iterable[str] = ("AMVT", "AdamW", "SGD"), more: str = "") -> Need:
    """Give what ResNet-50 on CIFAR-10 needs, and its command."""
    chosen = "".join(f" --optimizer {arm}" for arm in arms)
    return Need(
        kind="hardware",
        words=f"a GPU for {words}, and CIFAR-10 on disk, which python -m waddington.bench.datasets fetches.",
        command=f"waddington bench run cifar-resnet --set task.depth=50{chosen} --seeds {seeds}{more}",
    )
