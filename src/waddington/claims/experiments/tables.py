"""What a paper's table can tell at all: its differences beside the error of sampling."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from waddington import jobs
from waddington.analysis.bounds import alphaadam as theory
from waddington.bench.statistics import Interval
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment

__all__ = ["glue", "glue_errors", "gsm8k", "is_more_than_sampling", "is_significant", "is_sure_enough"]


@experiment()
def glue(seed: int, *, first: str, second: str) -> Mapping[str, Any]:
    """Compare two rows of the table of GLUE: gain, its error, wins, Wilcoxon."""
    gain = theory.glue_gain(first, second)
    return {"first": first, "second": second, **dataclasses.asdict(gain)}


def is_more_than_sampling(records: Sequence[jobs.Record]) -> Finding:
    """Say whether a gain on GLUE, which a loss is not, is above 1.96 standard errors of the development sets' sizes."""
    one = dict(records[0].result or {})
    reach = 1.96 * one["error"]
    words = (
        f"{one['first']} has {one['mean']:+.2f} points over {one['second']}, {one['largest_share']:+.2f} of them by"
        f" {one['largest']}; it wins {one['wins']} tasks and loses {one['losses']} (Wilcoxon p ="
        f" {one['p_wilcoxon']:.2f})"
    )
    return Finding(
        holds=one["mean"] > reach,
        words=words,
        figures={"gain": one["mean"], "standard error": one["error"], "p": one["p_wilcoxon"]},
        interval=Interval(one["mean"] - reach, one["mean"] + reach),
        detectable=2.8 * one["error"],
    )


@experiment()
def glue_errors(seed: int, *, method: str) -> Mapping[str, Any]:
    """Give the standard error, in points, that each score of a row has from the size of its development set."""
    return {"method": method, "errors": theory.glue_errors(method)}


def is_sure_enough(records: Sequence[jobs.Record]) -> Finding:
    """Say whether the size of each development set alone allows a variance below 0.05 % of a score's unit."""
    errors = dict((records[0].result or {})["errors"])
    worst = max(errors, key=lambda task: errors[task])
    variance = errors[worst] ** 2 / 100.0
    words = (
        f"the size of {worst}'s development set alone gives its score a standard error of {errors[worst]:.2f} points, a"
        f" variance of {variance:.3f} %; the smallest standard error of the seven is {min(errors.values()):.2f}"
    )
    figures = {f"standard error, {task}": error for task, error in errors.items()}
    return Finding(holds=variance < 0.05, words=words, figures=figures)


@experiment()
def gsm8k(seed: int, *, first: str, second: str) -> Mapping[str, Any]:
    """Compare two rows of the table of GSM8K by tests of shares."""
    gap = dataclasses.asdict(theory.accuracy_gap(first, second))
    right = {"first_right": gap.pop("first"), "second_right": gap.pop("second")}
    return {"first": first, "second": second, **right, **gap}


def is_significant(records: Sequence[jobs.Record]) -> Finding:
    """Say whether the first has more right answers than each other one, by Fisher's test at 5 %, corrected by Holm."""
    rows = [dict(record.result or {}) for record in records]
    ordered = sorted(row["p_fisher"] for row in rows)
    corrected = (
        math.nan
        if any(map(math.isnan, ordered))
        else max(min(1.0, p * (len(ordered) - at)) for at, p in enumerate(ordered))
    )
    words = "; ".join(
        f"{row['first']} {row['first_right']} right answers, {row['second']} {row['second_right']} (Fisher p ="
        f" {row['p_fisher']:.2f}, McNemar's at best {row['p_mcnemar_least']:.3f})"
        for row in rows
    )
    is_ahead = all(row["first_right"] > row["second_right"] for row in rows)
    return Finding(holds=is_ahead and corrected < 0.05, words=words, figures={"largest p (Holm)": corrected})
