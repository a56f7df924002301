"""A comparison in one sentence, which never claims more than the numbers say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from waddington._text import counted
from waddington.bench.statistics.intervals import Interval
from waddington.bench.statistics.pairs import Paired, lost_runs
from waddington.bench.statistics.pooling import Pooled
from waddington.bench.statistics.values import ratio_of

__all__ = ["Answer", "Verdict", "beside_one", "number", "pooled_verdict", "verdict"]

_MOST_DIGITS = 9

Answer: TypeAlias = Literal["first", "second", "no difference", "cannot be told"]
"""Which arm is better, if any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a contrast comes to.

    Attributes
    ----------
    answer
        The arm that is better, "no difference" (none was found), or "cannot be told" (none could have been).
    sentence
        The answer for people, with its numbers.
    """

    answer: Answer
    sentence: str


def verdict(paired: Paired, *, first: str, second: str, p: float | None, metric: str = "loss") -> Verdict:
    """Put a paired comparison into a sentence.

    An arm is called better only if the corrected p is at most the level and the rest agrees: the interval of the mean
    leaves zero out or, where runs diverged or raised, most seeds are on the side of the ranks. Fewer than three seeds
    never call one.

    Parameters
    ----------
    paired
        What the pairs say.
    first, second
        Names of the arms.
    p
        The p-value of ``paired.test``, corrected for the family of contrasts.
    metric
        Name of the metric.
    """
    which = f"the {metric} of {first} and {second}"
    if paired.n < 3:
        return _untold(which, f"{counted(paired.n, 'seed')}, and three are the fewest that can tell")
    if p is None:
        return _untold(which, _without_p(paired, first, second))
    if paired.mean is None:
        return _by_ranks(paired, first, second, p, metric)
    said = _p_text(p, paired.test, paired.n_contrasts)
    interval = paired.interval
    if p > paired.level or interval is None:
        sentence = f"No difference found between {which} ({said}): {_could_have(paired)}."
        return Verdict(answer="no difference", sentence=sentence)
    if not interval.excludes_zero():
        return _untold(which, f"the test finds a difference ({said}), its interval {_interval(interval)} does not")
    word = "lower" if paired.mean < 0 else "higher"
    size = Interval(-interval.high, -interval.low) if paired.mean < 0 else interval
    return Verdict(
        answer="first" if word == paired.better else "second",
        sentence=f"{first} has a {word} {metric} than {second}, by {number(abs(paired.mean))} {_interval(size)} "
        f"({said}), on {counted(paired.n, 'seed')}.",
    )


def pooled_verdict(pooled: Pooled, *, first: str, second: str, p: float | None, metric: str = "loss") -> Verdict:
    """Put a comparison over tasks into a sentence; what is counted is tasks, and fewer than three never call an arm.

    The sentence says better and worse, never higher and lower: tasks may have metrics of both directions.

    Parameters
    ----------
    pooled
        What the tasks say.
    first, second
        Names of the arms.
    p
        The p-value of ``pooled.test``, ``pooled.p``, corrected for the family of contrasts.
    metric
        Name of the metric.
    """
    over, tasks = pooled.over_tasks, counted(pooled.n_tasks, "task")
    which = f"the {metric} of {first} and {second} over {tasks}"
    size, counting = _effect(pooled, first), _why_seeds_count(pooled, first, second)
    if over.n < 3:
        return _untold(which, f"three tasks are the fewest that can tell; measured: {size}")
    if p is None:
        why = over.reasons.get("p_wilcoxon" if pooled.scale == "net wins" else "p_t", "there is no test")
        return _untold(which, f"{why.replace('seed', 'task')}; measured: {size}")
    said = _p_text(p, pooled.test, over.n_contrasts)
    if p > over.level:
        sentence = f"No difference found between {which}: {size} ({said}); {_tasks_could_have(pooled)}.{counting}"
        return Verdict(answer="no difference", sentence=sentence)
    if not pooled.interval.excludes_zero():
        return _untold(which, f"the test finds a difference ({said}), its interval does not; measured: {size}")
    is_first = (pooled.mean < 0) == (over.better == "lower")
    return Verdict(
        answer="first" if is_first else "second",
        sentence=f"Over {tasks} {first} has a {'better' if is_first else 'worse'} {metric} than {second}: {size} "
        f"({said}), with {counted(pooled.n_seeds, 'seed')} each.{counting}",
    )


def number(value: float, digits: int = 3) -> str:
    """Write a number for people: three significant digits, no exponent where it is short without."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "n/a"
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-4 <= abs(value) < 1e6:
        text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:f}"
    return text.replace("-", "−")


def beside_one(*values: float, digits: int = 3) -> list[str]:
    """Write figures, such as a ratio and the ends of its interval, so that only 1 reads 1: on which side is seen."""
    while digits < _MOST_DIGITS and any(value != 1.0 and number(value, digits) == "1" for value in values):
        digits += 1
    return [number(value, digits) for value in values]


def _p_text(p: float, test: str, n_contrasts: int) -> str:
    """Write a p-value with what was done to get it."""
    how = test if n_contrasts == 1 else f"{test}, Holm over {n_contrasts}"
    return f"p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}, {how}"


def _without_p(paired: Paired, first: str, second: str) -> str:
    """Say why there is no p."""
    if paired.by_ranks:
        return f"{lost_runs(paired.n_diverged, paired.n_raised, (first, second))}; {paired.reasons['p_wilcoxon']}"
    if paired.mean and "p_t" in paired.reasons:
        word = "lower" if paired.mean < 0 else "higher"
        size = number(abs(paired.mean))
        return f"{first} is {word} by {size} in all {paired.n} seeds alike, so they count as one and repeat nothing"
    return paired.reasons.get("p_t", "there is no test")


def _by_ranks(paired: Paired, first: str, second: str, p: float, metric: str) -> Verdict:
    """Put a comparison in which runs diverged or raised into a sentence."""
    said = _p_text(p, paired.test, paired.n_contrasts)
    lost = lost_runs(paired.n_diverged, paired.n_raised, (first, second))
    score = f"{paired.wins} seeds to {paired.losses}"
    if p > paired.level:
        could = (
            f"{counted(paired.n, 'seed')} are too few for a sign test"
            if paired.mde_wins is None
            else f"a sign test would have told {paired.mde_wins} wins of {paired.n}"
        )
        sentence = f"No difference found between the {metric} of {first} and {second}, {score} ({said}): {could}. "
        return Verdict(answer="no difference", sentence=f"{sentence}{lost}.")
    is_above = (paired.rank_biserial or 0.0) > 0
    is_first = is_above == (paired.better == "higher")
    if (paired.wins if is_first else paired.losses) <= paired.n / 2 - paired.ties / 2:
        why = f"the ranks say one thing ({said}), the count of seeds another ({score}). {lost}"
        return _untold(f"the {metric} of {first} and {second}", why)
    return Verdict(
        answer="first" if is_first else "second",
        sentence=f"{first} has a {'better' if is_first else 'worse'} {metric} than {second} by ranks, {score} "
        f"({said}). {lost}, so by how much is not measurable.",
    )


def _could_have(paired: Paired) -> str:
    """Say what would have been detected."""
    if paired.mde_d_z is None or paired.mde is None:
        return f"{counted(paired.n, 'seed')} could not have detected anything"
    size = f"d_z ≥ {paired.mde_d_z:.2g}, that is {number(paired.mde)}"
    return f"n = {paired.n} would have detected {size}, with a chance of {paired.power:.0%}"


def _tasks_could_have(pooled: Pooled) -> str:
    """Say what the tasks would have detected, in the unit of the pooled effect."""
    over, tasks = pooled.over_tasks, counted(pooled.n_tasks, "task")
    if pooled.scale == "net wins":
        wins = over.mde_wins
        return (
            f"{tasks} are too few for a sign test" if wins is None else f"a sign test would have told {wins} of {tasks}"
        )
    size = over.mde
    if size is None:
        return f"{tasks} could not have detected anything"
    shown = number(size) if pooled.ratio is None else f"a factor of {number(ratio_of(size))} or its inverse"
    return f"{tasks} would have detected {shown}, with a chance of {over.power:.0%}"


def _effect(pooled: Pooled, first: str) -> str:
    """Write the pooled effect with its interval."""
    ends, is_lower = pooled.interval, pooled.over_tasks.better == "lower"
    if pooled.scale == "net wins":
        mean, low, high = (-pooled.mean, -ends.high, -ends.low) if is_lower else (pooled.mean, ends.low, ends.high)
        mean, low, high = (round(share, 2) + 0.0 for share in (mean, low, high))  # none is "−0%"
        shares = f"{mean:+.0%} [{low:+.0%}, {high:+.0%}]".replace("-", "−")
        return f"seeds in which {first} is better minus those in which it is worse: {shares}"
    if pooled.scale == "standardized":
        where = "below" if is_lower else "above"
        return f"a mean d_z of {number(pooled.mean)} {_interval(ends)}, {where} zero where {first} is better"
    factor, *around = beside_one(*(ratio_of(value) for value in (pooled.mean, ends.low, ends.high)))
    return f"a factor of {factor} [{', '.join(around)}]"


def _why_seeds_count(pooled: Pooled, first: str, second: str) -> str:
    """Say why seeds are counted, where they are."""
    if pooled.scale != "net wins":
        return ""
    lost = lost_runs(pooled.n_diverged, pooled.n_raised, (first, second))
    return f" Seeds are counted, because {lost or pooled.reason.partition(':')[0]}."


def _interval(interval: Interval) -> str:
    return f"[{number(interval.low)}, {number(interval.high)}]"


def _untold(which: str, why: str) -> Verdict:
    return Verdict(answer="cannot be told", sentence=f"Nothing can be told of {which}: {why}.")
