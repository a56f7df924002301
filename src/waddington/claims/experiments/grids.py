"""What grids of rates, batch sizes and betas say, with intervals over seeds: judges and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from waddington import jobs
from waddington.bench.statistics import Interval, corrected, number, paired, verdict
from waddington.claims.contests import Values
from waddington.claims.experiments.sensitivity import Cells, decades, grid, resampled
from waddington.claims.finding import Finding
from waddington.claims.measurement import results_of
from waddington.claims.pictures import curves

__all__ = [
    "betas_picture", "degrades", "drops", "is_flat_in_betas", "is_stable", "is_wide", "is_wider", "lost_rates",
    "outside",
    "rates_picture", "sizes_picture",
]  # fmt: skip

Judge: TypeAlias = Callable[[Sequence[jobs.Record]], Finding]
Drawn: TypeAlias = NDArray[np.int64]


def _lrs(records: Sequence[jobs.Record]) -> list[float]:
    return [float(one) for one in results_of(records)[0]["lrs"]]


def _width(lrs: Sequence[float], own: Mapping[int, Cells], drawn: Drawn) -> float:
    """Give the decades within a point of the best rate, the mean over batch sizes."""
    return float(np.mean([decades(lrs, cells[drawn].mean(0)) for cells in own.values()]))


def _seeds(own: Mapping[int, Cells]) -> int:
    return len(next(iter(own.values())))


def _ends(interval: Interval) -> str:
    return f"{number(interval.low)} to {number(interval.high)}"


def _below(interval: Interval, limit: float) -> bool | None:
    """Say whether an interval lies below a limit; None where it holds the limit."""
    return True if interval.high < limit else False if interval.low > limit else None


def _all_of(answers: Sequence[bool | None]) -> bool | None:
    return False if False in answers else True if None not in answers else None


def is_wide(arm: str, *, at_least: float = 2.0) -> Judge:
    """Make a judge: whether so many decades of rates are within a point of the best, all of the interval."""

    def judge(records: Sequence[jobs.Record]) -> Finding:
        own, lrs = grid(records)[arm], _lrs(records)
        width, interval = resampled(_seeds(own), lambda drawn: _width(lrs, own, drawn))
        said = _below(interval, at_least)
        words = (
            f"{number(width)} decades of rates ({_ends(interval)}) keep {arm} within a point of its best accuracy, as a"
            f" mean over batches of {', '.join(map(str, own))}"
        )
        return Finding(
            holds=None if said is None else not said, words=words, figures={"decades": width}, interval=interval
        )

    return judge


def is_wider(first: str, second: str) -> Judge:
    """Make a judge: whether more decades of rates serve one arm than another, the same seeds drawn for both."""

    def judge(records: Sequence[jobs.Record]) -> Finding:
        cells, lrs = grid(records), _lrs(records)
        one, other = cells[first], cells[second]
        wider, interval = resampled(_seeds(one), lambda drawn: _width(lrs, one, drawn) - _width(lrs, other, drawn))
        everyone = np.arange(_seeds(one))
        widths = {name: _width(lrs, cells[name], everyone) for name in (first, second)}
        words = (
            f"{number(widths[first])} decades of rates keep {first} within a point of its best accuracy and"
            f" {number(widths[second])} keep {second}: {number(wider)} more ({_ends(interval)})"
        )
        return Finding(holds=interval.low > 0.0, words=words, figures={"decades more": wider}, interval=interval)

    return judge


def drops(arm: str, other: str, *, low: float, high: float, by: float = 8.0, within: float = 1.0) -> Judge:
    """Make a judge: whether, between two rates, an arm falls so far below its best while another one does not.

    Parameters
    ----------
    arm, other
        Who is said to fall by at least `by` points, and who to stay within `within`.
    low, high
        The stretch of rates.
    """

    def fall(lrs: Sequence[float], own: Mapping[int, Cells], drawn: Drawn) -> float:
        inside = [at for at, lr in enumerate(lrs) if low * 0.999 <= lr <= high * 1.001]
        means = [cells[drawn].mean(0) for cells in own.values()]
        return float(np.mean([mean.max() - mean[inside].min() for mean in means]))

    def judge(records: Sequence[jobs.Record]) -> Finding:
        cells, lrs = grid(records), _lrs(records)
        found = {
            name: resampled(_seeds(cells[name]), lambda drawn, name=name: fall(lrs, cells[name], drawn))  # type: ignore[misc]
            for name in (arm, other)
        }
        deep = _below(found[arm][1], by)
        answers = (None if deep is None else not deep, _below(found[other][1], within))
        said = " and ".join(f"{name} {number(size)} points ({_ends(ends)})" for name, (size, ends) in found.items())
        words = f"between rates of {low:g} and {high:g} the worst is below the best by, of {said}"
        figures = {f"points lost, {name}": size for name, (size, _) in found.items()}
        return Finding(holds=_all_of(answers), words=words, figures=figures, interval=found[arm][1])

    return judge


def _at_best(records: Sequence[jobs.Record], arm: str) -> dict[int, NDArray[np.float64]]:
    """Give the test accuracy of each seed by batch size, at the rate that the validation data choose for it."""
    chosen, test = grid(records, "validation")[arm], grid(records)[arm]
    return {size: np.asarray(test[size][:, int(cells.mean(0).argmax())]) for size, cells in chosen.items()}


def is_stable(arm: str, *, sizes: Sequence[int], within: float = 1.0) -> Judge:
    """Make a judge: whether the best accuracies of some batch sizes differ by less than so many points."""

    def judge(records: Sequence[jobs.Record]) -> Finding:
        own = {size: one for size, one in _at_best(records, arm).items() if size in sizes}
        values = np.array(list(own.values()))
        spread, interval = resampled(values.shape[1], lambda drawn: float(np.ptp(values[:, drawn].mean(1))))
        means = ", ".join(f"{number(float(one.mean()))} at {size}" for size, one in own.items())
        words = (
            f"accuracies of {arm} in percent, each batch size at its own best rate: {means}; they span"
            f" {number(spread)} points ({_ends(interval)})"
        )
        return Finding(holds=_below(interval, within), words=words, figures={"span": spread}, interval=interval)

    return judge


def degrades(arms: Sequence[str], *, sizes: Sequence[int], against: int) -> Judge:
    """Make a judge: whether each of some batch sizes is worse than a larger one for every arm, at its own best rate."""

    def judge(records: Sequence[jobs.Record]) -> Finding:
        found = {}
        for arm in arms:
            own = _at_best(records, arm)
            for size in sizes:
                found[arm, size] = paired(own[against], own[size], better="higher", n_contrasts=len(arms) * len(sizes))
        ps = corrected([one.p for one in found.values()])
        answers: list[bool | None] = []
        for one, p in zip(found.values(), ps, strict=True):
            told = verdict(one, first="larger", second="smaller", p=p).answer
            answers.append(None if told == "cannot be told" and one.mean else told == "first")
        said = "; ".join(
            f"{arm} {number(one.mean or 0.0)}{'' if one.interval is None else f' ({_ends(one.interval)})'} at {size}"
            for (arm, size), one in found.items()
        )
        least = min(found.values(), key=lambda one: one.mean or 0.0)
        return Finding(
            holds=_all_of(answers),
            words=f"points of accuracy lost against batches of {against}, each size at its own best rate: {said}",
            figures={f"points lost, {arm}, {size}": one.mean or 0.0 for (arm, size), one in found.items()},
            interval=least.interval,
            detectable=least.mde,
        )

    return judge


def outside(arms: Sequence[str], *, lrs: Sequence[float], by: float = 1.0) -> Judge:
    """Make a judge: whether every arm loses at least so many points at each of some rates."""

    def judge(records: Sequence[jobs.Record]) -> Finding:
        cells, known = grid(records), _lrs(records)
        found = {}
        for arm in arms:
            (own,) = cells[arm].values()
            best = int(own.mean(0).argmax())
            for lr in lrs:
                at = int(np.abs(np.log(np.array(known) / lr)).argmin())
                gaps = own[:, best] - own[:, at]
                found[arm, lr] = resampled(len(gaps), lambda drawn, gaps=gaps: float(gaps[drawn].mean()))  # type: ignore[misc]
        answers = [None if (less := _below(ends, by)) is None else not less for _, ends in found.values()]
        said = "; ".join(f"{arm} {number(size)} ({_ends(ends)}) at {lr:g}" for (arm, lr), (size, ends) in found.items())
        least = min(found.values(), key=lambda one: one[0])
        return Finding(
            holds=_all_of(answers),
            words=f"points of accuracy below the best rate: {said}",
            figures={f"points lost, {arm}, {lr:g}": size for (arm, lr), (size, _) in found.items()},
            interval=least[1],
        )

    return judge


def is_flat_in_betas(records: Sequence[jobs.Record], *, within: float = 1.0) -> Finding:
    """Say whether the mean accuracies of all combinations of decays lie within so many points.

    Noise alone makes the best and the worst of many means differ; what equal cells would come to is said beside.
    """
    rows = results_of(records)
    values = np.array([[0.0 if one is None else 100.0 * one for one in row["test"]] for row in rows])
    spread, interval = resampled(len(values), lambda drawn: float(np.ptp(values[drawn].mean(0))))
    draw = np.random.default_rng(0)
    chance = float(np.mean([np.ptp(draw.permuted(values, axis=1).mean(0)) for _ in range(500)]))
    words = (
        f"mean accuracies of {values.shape[1]} combinations of betas span {number(spread)} points"
        f" ({_ends(interval)}); equal ones would span {number(chance)} by chance"
    )
    return Finding(
        holds=_below(interval, within), words=words, figures={"span": spread, "by chance": chance}, interval=interval
    )


def lost_rates(records: Sequence[jobs.Record]) -> Values:
    """Read how many of the rates ended in a higher training loss than they began with, or diverged, by arm and seed."""
    found: dict[str, list[float | None]] = {}
    for row in sorted(results_of(records), key=lambda row: int(row["seed"])):
        found.setdefault(row["arm"], []).append(float(sum(row["rose"])))
    return found


def rates_picture(low: float, high: float) -> Callable[[Sequence[jobs.Record]], Any]:
    """Make a picture of mean accuracy over the rate, a curve for each arm, the mean over batch sizes."""

    def draw(records: Sequence[jobs.Record]) -> Any:
        lrs = _lrs(records)
        lines = {
            arm: (lrs, np.mean([cells.mean(0) for cells in own.values()], axis=0).tolist())
            for arm, own in grid(records).items()
        }
        return curves(lines, x="rate", y="test accuracy, %", logs="x", shaded=(low, high))

    return draw


def sizes_picture(records: Sequence[jobs.Record]) -> Any:
    """Draw the best accuracy over the batch size, a curve for each arm."""
    lines = {}
    for arm in grid(records):
        own = _at_best(records, arm)
        lines[arm] = (list(map(float, own)), [float(one.mean()) for one in own.values()])
    return curves(lines, x="batch size", y="test accuracy at its own rate, %", logs="x")


def betas_picture(records: Sequence[jobs.Record]) -> Any:
    """Draw the mean accuracy over β1, a curve for each pair of the other decays."""
    rows = results_of(records)
    means = np.mean([[0.0 if one is None else 100.0 * one for one in row["test"]] for row in rows], axis=0)
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for (beta1, beta2, beta3), mean in zip(rows[0]["cells"], means.tolist(), strict=True):
        at, values = lines.setdefault(f"β2 {beta2:g}, β3 {beta3:g}", ([], []))
        at.append(beta1)
        values.append(mean)
    return curves(lines, x="β1", y="test accuracy, %")
