"""Are predicted responses right, and are their intervals? One table for each data set.

    OMP_NUM_THREADS=1 python benchmarks/responses.py {simulator,k562,papalexi,kang,protein} [--json FILE] [--ablate]

Run by hand; a minute to ten each. All but the simulator read data sets below the folder WADDINGTON_DATA, which the
project does not hold. What the columns mean: `responses_scoring.py`. What is held out: `responses_simulated.py`,
`responses_measured.py`. A model that refuses a condition is asked for the parts it knows; none of them is no change.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import responses_measured
from measuring import say, write
from responses_scoring import answer, coverage_shown, covered, scored, shown, summary, unlimited
from responses_simulated import DOUBLES, GENES, Screen, screens
from waddington.twin.respond import MODELS, Course, HierarchicalAdditive, Measured, ResponseModel

OURS, SCALED = "hierarchical additive", "scaled additive"
RIVALS = ("mean", "strongest single", "matching mean", "additive", SCALED, "empirical-Bayes additive")
ABLATIONS: dict[str, Course] = {
    "c up to 1.3": Course(scales=(0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)),
    "100 last steps": Course(last_steps=100),
}


def models_of(measured: Measured, *, ablate: bool = False) -> dict[str, ResponseModel]:
    """Fit everything that is compared."""
    found: dict[str, ResponseModel] = {name: MODELS[name](measured) for name in RIVALS}  # type: ignore[call-arg]
    ours = HierarchicalAdditive(measured)
    found[OURS] = ours
    found["without a pair kernel"] = HierarchicalAdditive(measured, course=Course(pair_kernel=False))
    found["pair kernel from 6 pairs"] = HierarchicalAdditive(measured, course=Course(pairs_for_kernel=6))
    found["unlimited"] = unlimited(ours)
    if ablate:
        found |= {name: HierarchicalAdditive(measured, course=course) for name, course in ABLATIONS.items()}
    return found


def simulated(options: argparse.Namespace) -> dict[str, Any]:
    """Simulated doubles with 2, 1 and 0 singles measured, and singles that were never measured alone."""
    rows: list[dict[str, Any]] = []
    inside: list[dict[str, Any]] = []
    for cells, controls, sizes in ((100, 400, DOUBLES), (40, 100, (40,))):
        for screen in screens(options.screens, options.wirings, cells=cells, controls=controls):
            say(f"{screen.name}, {cells} cells a condition")
            for doubles in sizes:
                rows += _both_seen(screen, doubles, inside, options, f"{doubles} doubles, {cells} cells: both seen")
            if cells == 100:
                rows += _hidden(screen, inside, options)
    frame, coverage = pd.DataFrame(rows), pd.DataFrame(inside)
    record = _print(frame, against=SCALED)
    print(coverage_shown(coverage, ["split"], title="coverage of 90 % intervals of observed effects"))
    worse = _never_worse(record)
    print("\nncSE above that of additive, scaled or mean:", "; ".join(worse) or "nowhere")
    return {"scores": record, "coverage": _records(coverage, ["split"])}


def _both_seen(
    screen: Screen, doubles: int, inside: list[dict[str, Any]], options: argparse.Namespace, split: str
) -> list[dict[str, Any]]:
    measured = screen.without(doubles)
    models = models_of(measured, ablate=options.ablate)
    labels = [label for label in screen.observed if "+" in label]
    return _scores(screen, models, labels, split, inside)


def _hidden(screen: Screen, inside: list[dict[str, Any]], options: argparse.Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    seen = {label: len(set(label.split("+")) - screen.hidden) for label in screen.observed}
    gone = models_of(screen.without(40, "all"), ablate=options.ablate)
    for split, wanted, size in (
        ("40 doubles: one seen", 1, 2),
        ("40 doubles: none seen", 0, 2),
        ("40 doubles: unseen single", 0, 1),
    ):
        labels = [label for label, n in seen.items() if n == wanted and label.count("+") + 1 == size]
        rows += _scores(screen, gone, labels, split, inside)
    alone = models_of(screen.without(40, "alone"), ablate=options.ablate)
    held = {part for label in screen.doubles[:40] for part in label.split("+")}
    rows += _scores(screen, alone, sorted(screen.hidden & held), "40 doubles: single in doubles alone", inside)
    return rows


def _scores(
    screen: Screen, models: dict[str, ResponseModel], labels: Sequence[str], split: str, inside: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    ours = models[OURS]
    assert isinstance(ours, HierarchicalAdditive)
    within = screen.measured.pooled_variance("rna")
    for label in labels:
        observed = screen.observed[label]
        effects = {name: answer(model, label, GENES) for name, model in models.items()}
        rows += scored(observed, effects, split=split, screen=screen.name)
        changed = np.abs(observed.effect) > 3.0 * np.sqrt(observed.noise)
        groups = {"all": np.ones(GENES, dtype=np.bool_), "changed": changed}
        inside += covered(ours, observed, within, groups, split=split)
    return rows


def _print(frame: pd.DataFrame, *, against: str, of: str = OURS) -> list[dict[str, Any]]:
    record: list[dict[str, Any]] = []
    for split, part in frame.groupby("split", sort=False):
        table = summary(part, against=against, of=of)
        print(shown(table, title=str(split), against=against, of=of))
        record += table.assign(split=split).to_dict("records")
    return record


def _never_worse(record: list[dict[str, Any]]) -> list[str]:
    """List splits and rivals that have a smaller ncSE than ours."""
    found = []
    for split in dict.fromkeys(one["split"] for one in record):
        here = {one["model"]: one for one in record if one["split"] == split}
        for rival in ("additive", SCALED, "mean"):
            if rival in here and here[OURS]["ncse"] > here[rival]["ncse"]:
                found.append(f"{split}: {here[OURS]['ncse']:.3f} against {here[rival]['ncse']:.3f} of {rival}")
    return found


def _records(coverage: pd.DataFrame, by: list[str]) -> list[dict[str, Any]]:
    totals = coverage.groupby([*by, "genes", "kind"], sort=False)[["inside", "n"]].sum().reset_index()
    return totals.to_dict("records")


def k562(options: argparse.Namespace) -> dict[str, Any]:
    """Leave-one-out on the K562 slice, by what of a condition was measured."""
    frame, profile, coverage = responses_measured.k562(
        options.halves, lambda one: models_of(one, ablate=options.ablate)
    )
    record = _print(frame, against=SCALED)
    record += _print(profile, against=SCALED)
    print(coverage_shown(coverage, ["split"], title="coverage of 90 % intervals of observed effects"))
    return {"scores": record, "coverage": _records(coverage, ["split"])}


def papalexi(options: argparse.Namespace) -> dict[str, Any]:
    """Leave-one-target-out on Papalexi's knock-outs."""
    frame = responses_measured.papalexi(options.halves)
    return {"scores": _print(frame, against="mean", of="denoised mean")}


def kang(options: argparse.Namespace) -> dict[str, Any]:
    """Hold out a cell type, or a donor, of Kang's stimulated cells."""
    frame = responses_measured.kang(options.halves)
    return {"scores": _print(frame, against="matched mean shift", of="similarity-weighted")}


def protein(options: argparse.Namespace) -> dict[str, Any]:
    """Predict the response of surface proteins to stimulation in one technology from the other."""
    frame = responses_measured.protein(options.halves)
    return {"scores": _print(frame, against="matched mean shift", of="similarity-weighted")}


TASKS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "simulator": simulated,
    "k562": k562,
    "papalexi": papalexi,
    "kang": kang,
    "protein": protein,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--screens", type=int, default=6, help="simulated screens (default: %(default)s)")
    parser.add_argument("--wirings", type=int, default=3, help="genomes that they share (default: %(default)s)")
    parser.add_argument("--halves", type=int, default=30, help="halvings of the controls (default: %(default)s)")
    parser.add_argument("--ablate", action="store_true", help="also other bounds and numbers of steps of the fit")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    record = TASKS[options.task](options)
    if options.json is not None:
        write(options.json, record)


if __name__ == "__main__":
    main()
