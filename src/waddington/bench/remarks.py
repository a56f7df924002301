"""What a reader must know of a study, in words: searches that found nothing, runs that raised, pairs that are none."""

from __future__ import annotations

import math
from collections.abc import Sequence

from waddington.bench.arm import TASK
from waddington.bench.search import Cell
from waddington.bench.study import Study

__all__ = ["on_lost_searches", "on_raised_points", "on_raised_runs", "on_unlike_starts"]


def on_lost_searches(study: Study, cells: Sequence[Cell]) -> list[str]:
    """Say on which tasks and for which arms no point of the search came to a number: nothing was chosen there."""
    found = []
    for entry in study.entries:
        lost = [
            cell
            for cell in cells
            if cell.entry.label == entry.label
            and len(cell.trials) > 1
            and all(math.isinf(trial.value) for trial in cell.trials)
        ]
        if lost:
            arms = ", ".join(dict.fromkeys(cell.arm.name for cell in lost))
            found.append(
                f"Every point of the search on {entry.label} diverged or raised an error ({arms}): nothing was tuned"
                " there, and the first point was evaluated."
            )
    return found


def on_raised_points(study: Study, cells: Sequence[Cell]) -> list[str]:
    """Say whose searches had fewer points than others', because some raised an error; where none is left is told."""
    found = []
    for cell in cells:
        lost = sum(trial.raised > 0 and math.isinf(trial.value) for trial in cell.trials)
        if 0 < lost < len(cell.trials):
            found.append(
                f"{lost} of {len(cell.trials)} points of {cell.arm.name}'s search on {cell.entry.label}"
                f" ({cell.horizon.name} length) raised an error: it was tuned with fewer than were registered."
            )
    return found


def on_raised_runs(study: Study, cells: Sequence[Cell]) -> list[str]:
    """Say on which tasks evaluations raised an error, how many, and by what the first."""
    found = []
    for entry in study.entries:
        own = [cell for cell in cells if cell.entry.label == entry.label]
        runs = [(cell.arm.name, record) for cell in own for record in cell.evaluations]
        failed = [(arm, record) for arm, record in runs if record.status == "failed"]
        if failed:
            arms = ", ".join(dict.fromkeys(arm for arm, _ in failed))
            found.append(
                f"{len(failed)} of {len(runs)} runs on {entry.label} raised an error and count as the worst"
                f" ({arms}); the first by {failed[0][1].error}."
            )
    return found


def on_unlike_starts(study: Study, cells: Sequence[Cell]) -> list[str]:
    """Name the tasks whose runs of one seed and equal parameters do not begin alike: pairs are none there."""
    found = []
    for entry in study.entries:
        begun: dict[tuple[str, int], list[tuple[float, ...]]] = {}
        for cell in (one for one in cells if one.entry.label == entry.label):
            arguments = {**cell.arm.arguments, **cell.trials[cell.chosen].arguments}
            parameters = {name: value for name, value in arguments.items() if name.startswith(TASK)}
            for seed, record in zip(study.evaluation_seeds, cell.evaluations, strict=True):
                if record.result:
                    start = record.result["curve"][entry.metric][0], record.result.get("first_loss", math.nan)
                    begun.setdefault((repr(sorted(parameters.items())), seed), []).append(start)
        seeds = sorted({seed for (_, seed), starts in begun.items() if not _are_alike(starts)})
        if seeds:
            found.append(
                f"Runs of one seed on {entry.label} do not begin alike (seeds {', '.join(map(str, seeds))}): the"
                " task draws random numbers that the seed does not set, and differences are not those of pairs."
            )
    return found


def _are_alike(starts: list[tuple[float, ...]]) -> bool:
    """Tell whether numbers agree but for the arithmetic of another machine; what is missing or infinite agrees."""
    return all(
        math.isclose(one, other, rel_tol=1e-2, abs_tol=1e-12)
        for start in starts
        for one, other in zip(start, starts[0], strict=True)
        if math.isfinite(one) and math.isfinite(other)
    )
