"""One arm against others by one measure, paired by seed: what a claim of better, faster or flatter is judged by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from waddington import jobs
from waddington.bench.statistics import Interval, Paired, Verdict, beside_one, corrected, number, paired, verdict, worst
from waddington.bench.statistics.values import Better
from waddington.claims.finding import Finding
from waddington.claims.measurement import results_of
from waddington.claims.pictures import Row, forest

__all__ = ["Contest", "Read", "Values", "beside", "by_arm", "by_seed", "chained", "within"]

Values: TypeAlias = Mapping[str, Sequence[float | None]]
"""A value for each seed by arm; None where the run diverged."""
Read: TypeAlias = Callable[[Sequence[jobs.Record]], Values]
Judge: TypeAlias = Callable[[Sequence[jobs.Record]], Finding]


def by_arm(measure: str) -> Read:
    """Read records that hold one arm each: ``{"arm": name, measure: [a value for each seed]}``."""
    return lambda records: {row["arm"]: row[measure] for row in results_of(records)}


def by_seed(measure: str) -> Read:
    """Read records that hold one seed each: ``{"arms": {name: {measure: value}}}``."""

    def read(records: Sequence[jobs.Record]) -> Values:
        rows = [row["arms"] for row in results_of(records)]
        return {arm: [row[arm][measure] for row in rows] for arm in rows[0]}

    return read


@dataclass(frozen=True, kw_only=True)
class Contest:
    """An arm that is said to be better than each of some others.

    Attributes
    ----------
    first, others
        Names of the arms.
    read
        Gives the values of arms from records.
    measure
        What is compared, in words.
    better
        Its better direction.
    unit, scale
        What a difference is said in: values are multiplied by `scale`. Ratios have none.
    is_ratio
        Whether arms are compared by the ratio of their values, which are above zero.
    claimed
        By the name of another arm: the difference, or ratio, that the paper prints.
    must_reach
        Names of those whose claimed difference must be reached, too, for the claim to hold.
    where
        Task and size, in words.
    """

    first: str
    others: tuple[str, ...]
    read: Read
    measure: str
    better: Better = "higher"
    unit: str = "points"
    scale: float = 1.0
    is_ratio: bool = False
    claimed: Mapping[str, float] = field(default_factory=dict)
    must_reach: tuple[str, ...] = ()
    where: str = ""

    def judge(self, records: Sequence[jobs.Record]) -> Finding:
        """Say whether the first arm is better than each other one, Holm's correction over them.

        It is None, cannot be told, where no other arm is known to be as good and one cannot be compared.
        """
        found = self.compared(records)
        answers = {name: self._answer(name, *one) for name, one in found.items()}
        said = [f"{name} {self._words(pair)}" for name, (pair, _) in found.items()]
        worst_name = min(found, key=lambda name: self._rank(found[name][0]))
        pair = found[worst_name][0]
        figures = {
            f"{'ratio to' if self.is_ratio else 'over'} {name}": self._shown(one.mean)
            for name, (one, _) in found.items()
            if one.mean is not None
        }
        told = [answer for answer in answers.values() if answer is not None]
        return Finding(
            holds=False if False in told else True if len(told) == len(answers) else None,
            words=f"{self.measure} of {self.first}{self.where and f' on {self.where}'}, {self._middle()}:"
            f" {'; '.join(said)}{_at_ends(results_of(records))}",
            figures=figures,
            interval=self._interval(pair),
            detectable=None if pair.mde is None else math.expm1(pair.mde) if self.is_ratio else pair.mde,
        )

    def compared(self, records: Sequence[jobs.Record]) -> dict[str, tuple[Paired, Verdict]]:
        """Compare the first arm with each other one, by seed; values as logarithms where they are compared by ratio."""
        values = {name: self._values(given) for name, given in self.read(records).items()}
        pairs = {
            name: paired(values[self.first], values[name], better=self.better, n_contrasts=len(self.others))
            for name in self.others
        }
        ps = corrected([pair.p for pair in pairs.values()])
        return {
            name: (pair, verdict(pair, first=self.first, second=name, p=p, metric=self.measure))
            for (name, pair), p in zip(pairs.items(), ps, strict=True)
        }

    def rows(self, records: Sequence[jobs.Record]) -> list[Row]:
        """Give the differences or ratios with their intervals, and those that the paper prints, to be drawn."""
        return [
            Row(
                name=f"{self.first} against {name}",
                middle=math.nan if pair.mean is None else self._shown(pair.mean),
                interval=self._interval(pair),
                claimed=self.claimed.get(name),
            )
            for name, (pair, _) in self.compared(records).items()
        ]

    def picture(self, records: Sequence[jobs.Record]) -> Any:
        """Draw them."""
        what = "ratio" if self.is_ratio else f"difference in {self.unit}"
        label = f"{self.measure}: {what}" + (f", {self.where}" if self.where else "")
        return forest(self.rows(records), label=label, line=1.0 if self.is_ratio else 0.0)

    def _values(self, given: Sequence[float | None]) -> list[float]:
        lost = worst(self.better)
        if self.is_ratio:
            return [lost if one is None or one <= 0.0 else math.log(one) for one in given]
        return [lost if one is None else one * self.scale for one in given]

    def _answer(self, name: str, pair: Paired, said: Verdict) -> bool | None:
        """Give whether it is better, and by as much as must be; None where that cannot be told."""
        if said.answer == "cannot be told":
            return False if pair.mean == 0.0 else None
        if said.answer != "first":
            return False
        if name not in self.must_reach or pair.mean is None:
            return True
        reached = self._shown(pair.mean) - self.claimed[name]
        return reached >= 0.0 if self.better == "higher" else reached <= 0.0

    def _rank(self, pair: Paired) -> float:
        mean = pair.mean if pair.mean is not None else -math.inf if self.better == "higher" else math.inf
        return mean if self.better == "higher" else -mean

    def _shown(self, mean: float) -> float:
        return math.exp(mean) if self.is_ratio else mean

    def _interval(self, pair: Paired) -> Interval | None:
        if pair.interval is None or not self.is_ratio:
            return pair.interval
        low, high = np.exp([pair.interval.low, pair.interval.high])
        return Interval(float(low), float(high))

    def _middle(self) -> str:
        return "as a ratio to that of" if self.is_ratio else f"less that of, in {self.unit}"

    def _words(self, pair: Paired) -> str:
        """Write a figure with its interval, or by ranks where runs were lost."""
        if pair.mean is None:
            return f"{pair.wins} seeds better, {pair.losses} worse, {sum(pair.n_diverged)} of {2 * pair.n} runs lost"
        ends = self._interval(pair)
        middle = self._shown(pair.mean)
        values = (middle,) if ends is None else (middle, ends.low, ends.high)
        said, *around = beside_one(*values) if self.is_ratio else map(number, values)
        return f"{said} ({' to '.join(around) or 'no interval'})"


def _at_ends(rows: Sequence[Mapping[str, Any]]) -> str:
    """Name the arms whose best rate lies at an end of what was searched: a better one may lie beyond."""
    at = [f"{row['arm']} ({row['at_end']})" for row in rows if row.get("at_end")]
    return f"; the best rate lies at an end of the search for {', '.join(at)}" if at else ""


def chained(contests: Sequence[Contest]) -> tuple[Judge, Callable[[Sequence[jobs.Record]], Any]]:
    """Make a judge and a picture of contests of one unit that must all hold; so none is corrected for the others.

    The interval is that of the first one that does not hold, or of the last.
    """

    def judge(records: Sequence[jobs.Record]) -> Finding:
        found = [one.judge(records) for one in contests]
        deciding = next((one for one in found if not one.holds), found[-1])
        told = [one.holds for one in found]
        figures = {
            f"{contest.measure} of {contest.first}, {name}": value
            for contest, one in zip(contests, found, strict=True)
            for name, value in one.figures.items()
        }
        return replace(
            deciding,
            holds=False if False in told else None if None in told else True,
            words="; ".join(one.words for one in found),
            figures=figures,
        )

    def picture(records: Sequence[jobs.Record]) -> Any:
        are_alike = len({one.measure for one in contests}) == 1
        rows = [
            row if are_alike else replace(row, name=f"{row.name}: {one.measure}")
            for one in contests
            for row in one.rows(records)
        ]
        first = contests[0]
        what = "ratio" if first.is_ratio else f"difference in {first.unit}"
        label = f"{first.measure}: {what}, {first.where}" if are_alike else f"{what}, {first.where}"
        return forest(rows, label=label, line=1.0 if first.is_ratio else 0.0)

    return judge, picture


def beside(main: Contest, *others: Contest) -> Judge:
    """Make a judge of one contest whose words and figures have those of others beside them."""

    def judge(records: Sequence[jobs.Record]) -> Finding:
        found = main.judge(records)
        more = [(one.measure, one.judge(records)) for one in others]
        figures = {f"{measure}, {name}": value for measure, one in more for name, value in one.figures.items()}
        words = "; ".join([found.words, *(one.words for _, one in more)])
        return replace(found, words=words, figures={**found.figures, **figures})

    return judge


def within(contest: Contest, limit: float) -> Judge:
    """Make a judge of *about the same*: whether the interval of every difference lies within a limit of zero.

    Not to have found a difference is not enough; and what is further off than the limit, all of its interval, is not
    about the same. Else it cannot be told.
    """

    def judge(records: Sequence[jobs.Record]) -> Finding:
        answers = []
        for pair, _ in contest.compared(records).values():
            ends = pair.interval
            if ends is None:
                answers.append(True if pair.mean == 0.0 and pair.n > 2 else None)
            elif -limit < ends.low and ends.high < limit:
                answers.append(True)
            else:
                answers.append(False if ends.low > limit or ends.high < -limit else None)
        holds = False if False in answers else None if None in answers else True
        return replace(contest.judge(records), holds=holds)

    return judge
