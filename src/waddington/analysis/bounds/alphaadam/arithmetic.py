"""What the tables of the AlphaAdam paper say when they are computed with: means, wins, sampling errors, tests.

Nothing is run: all follows from the printed numbers, which are in :mod:`.tables`. Tests need SciPy, of the extra
``bench``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from waddington._checks import check_count, check_in_range, check_known, require_extra
from waddington.analysis.bounds.alphaadam.tables import (
    ABLATION,
    ABLATION_MEANS,
    ABLATION_PERCENT,
    COLA_ACCEPTABLE,
    GLUE,
    GLUE_DEVELOPMENT,
    GLUE_MEANS,
    GLUE_TASKS,
    GSM8K,
    GSM8K_QUESTIONS,
)
from waddington.errors import ArgumentError

__all__ = [
    "AblationMean",
    "AccuracyGap",
    "GlueGain",
    "ablation_means",
    "ablation_order",
    "accuracy_gap",
    "attainable_percent",
    "correlation_error",
    "glue_errors",
    "glue_gain",
    "glue_means",
    "matthews_error",
    "mcnemar_p",
    "share_error",
]


@dataclass(frozen=True)
class AblationMean:
    """A mean of two columns of Table 3.

    Attributes
    ----------
    computed, printed
        From the columns, and as the paper has it.
    """

    computed: float
    printed: float

    @property
    def agrees(self) -> bool:
        """Whether the printed figure is the mean, rounded either way."""
        return abs(self.computed - self.printed) <= 0.0005 + 1e-9


def ablation_order(percent: int = 100) -> tuple[str, ...]:
    """Order the arms of Table 3 by their validation loss, the lowest first.

    At 100 percent AdamW is the first: 3.198 against AlphaAdam's 3.203.

    Parameters
    ----------
    percent
        Column: 20, 40, 60 or 100 percent of the steps.
    """
    if percent not in ABLATION_PERCENT:
        raise ArgumentError(f"cannot order at percent={percent!r}; accepted: {', '.join(map(str, ABLATION_PERCENT))}")
    column = ABLATION_PERCENT.index(percent)
    return tuple(sorted(ABLATION, key=lambda arm: ABLATION[arm][column]))


def ablation_means() -> dict[str, tuple[AblationMean, AblationMean]]:
    """Compute the early and the late mean of every arm of Table 3 anew, by arm."""
    found = {}
    for arm, losses in ABLATION.items():
        early, late = ABLATION_MEANS[arm]
        found[arm] = (AblationMean(0.5 * sum(losses[:2]), early), AblationMean(0.5 * sum(losses[2:]), late))
    return found


def glue_means() -> dict[str, tuple[float, float]]:
    """Compute the mean of every row of Table 1 anew: computed and printed, in percent, by method."""
    return {method: (math.fsum(row) / len(row), GLUE_MEANS[method]) for method, row in GLUE.items()}


def glue_errors(method: str) -> dict[str, float]:
    """Give the standard error that each score of Table 1 has from the size of its development set alone.

    Seeds, rates and the choice of the best rate on the same set come on top.

    Parameters
    ----------
    method
        A row of Table 1.

    Returns
    -------
    dict
        In percent, by task: of a share for five, :func:`correlation_error` for STS-B, :func:`matthews_error` for CoLA.
    """
    found = {}
    for task, score in zip(GLUE_TASKS, GLUE[check_known("method of Table 1", method, GLUE)], strict=True):
        value, size = score / 100.0, GLUE_DEVELOPMENT[task]
        if task == "STS-B":
            error = correlation_error(value, size)
        elif task == "CoLA":
            error = matthews_error(value, size, COLA_ACCEPTABLE / size)
        else:
            error = share_error(value, size)
        found[task] = 100.0 * error
    return found


def share_error(share: float, count: int) -> float:
    """Give the standard error of a share of `count` examples, √(p(1-p)/n)."""
    check_in_range("share", share, 0.0, 1.0)
    check_count("count", count, 1)
    return math.sqrt(share * (1.0 - share) / count)


def correlation_error(correlation: float, count: int) -> float:
    """Give the standard error of Pearson's correlation of `count` pairs that are normal, (1-r²)/√(n-1)."""
    check_in_range("correlation", correlation, -1.0, 1.0)
    check_count("count", count, 2)
    return (1.0 - correlation**2) / math.sqrt(count - 1)


def matthews_error(correlation: float, count: int, positive: float) -> float:
    """Give the standard error of Matthews' correlation of `count` examples.

    That of φ in a table of two by two (Bishop, Fienberg and Holland 1975, "Discrete Multivariate Analysis", 11.2),
    with as many positives predicted as there are.

    Parameters
    ----------
    correlation
        φ, in [-1, 1].
    count
        Examples.
    positive
        Share of positives, in (0, 1).
    """
    check_in_range("correlation", correlation, -1.0, 1.0)
    check_in_range("positive", positive, 0.0, 1.0, open_low=True, open_high=True)
    check_count("count", count, 1)
    lean = (2.0 * positive - 1.0) ** 2 / (positive * (1.0 - positive))
    square = correlation**2
    variance = 1.0 - square + correlation * (1.0 + 0.5 * square) * lean - 1.5 * square * lean
    return math.sqrt(max(variance, 0.0) / count)


@dataclass(frozen=True)
class GlueGain:
    """One method of Table 1 against another.

    Attributes
    ----------
    mean
        Difference of the means, in points.
    error
        Its standard error from the sizes of the development sets, as if the two had been tried on different examples.
        They share them, which makes it smaller by an amount that the paper's numbers do not tell.
    wins, losses
        Tasks in which the first has the higher and the lower score.
    largest, largest_share
        The task with the largest contribution to the mean, and that contribution, in points.
    p_wilcoxon
        Two-sided p of Wilcoxon's signed ranks over the tasks, exact with tied ranks.
    """

    mean: float
    error: float
    wins: int
    losses: int
    largest: str
    largest_share: float
    p_wilcoxon: float

    @property
    def is_distinguishable(self) -> bool:
        """Whether the gain is above 1.96 standard errors."""
        return abs(self.mean) > 1.96 * self.error


def glue_gain(first: str = "AlphaAdam", second: str = "AdamW") -> GlueGain:
    """Compare two rows of Table 1.

    Parameters
    ----------
    first, second
        Methods.

    Raises
    ------
    UnknownNameError
        Table 1 has no such method.
    MissingExtraError
        SciPy is not installed.
    """
    names = [check_known("method of Table 1", name, GLUE) for name in (first, second)]
    points = [round(100 * (a - b)) for a, b in zip(GLUE[names[0]], GLUE[names[1]], strict=True)]  # hundredths: ties tie
    squares = [error**2 for name in names for error in glue_errors(name).values()]
    largest = max(range(len(points)), key=lambda at: abs(points[at]))
    stats = require_extra("scipy.stats", "bench")
    exact = stats.PermutationMethod(n_resamples=math.inf)
    p = 1.0 if not any(points) else float(stats.wilcoxon(points, method=exact).pvalue)
    return GlueGain(
        mean=sum(points) / 100.0 / len(points),
        error=math.sqrt(math.fsum(squares)) / len(points),
        wins=sum(point > 0 for point in points),
        losses=sum(point < 0 for point in points),
        largest=GLUE_TASKS[largest],
        largest_share=points[largest] / 100.0 / len(points),
        p_wilcoxon=p,
    )


@dataclass(frozen=True)
class AccuracyGap:
    """Two accuracies on the same questions, of which only the two shares are known.

    Attributes
    ----------
    first, second
        Answers that are right, the nearest whole numbers.
    z, p
        Of the test of two proportions with a pooled variance, two-sided.
    p_fisher
        Of Fisher's exact test, two-sided.
    p_mcnemar_least
        Of McNemar's exact test in the most favourable case: no question lost but the difference won.
    """

    first: int
    second: int
    z: float
    p: float
    p_fisher: float
    p_mcnemar_least: float


def accuracy_gap(first: str = "AlphaAdam", second: str = "Adam") -> AccuracyGap:
    """Compare two accuracies of Table 2.

    Parameters
    ----------
    first, second
        Methods.

    Raises
    ------
    UnknownNameError
        Table 2 has no such method.
    MissingExtraError
        SciPy is not installed.
    """
    names = [check_known("method of Table 2", name, GSM8K) for name in (first, second)]
    n = GSM8K_QUESTIONS
    right = [round(GSM8K[name][0] / 100.0 * n) for name in names]
    pooled = sum(right) / (2 * n)
    z = (right[0] - right[1]) / n / math.sqrt(2.0 * pooled * (1.0 - pooled) / n)
    stats = require_extra("scipy.stats", "bench")
    fisher = stats.fisher_exact([[right[0], n - right[0]], [right[1], n - right[1]]])
    return AccuracyGap(
        first=right[0],
        second=right[1],
        z=z,
        p=float(2.0 * stats.norm.sf(abs(z))),
        p_fisher=float(fisher.pvalue),
        p_mcnemar_least=mcnemar_p(0, abs(right[0] - right[1])),
    )


def mcnemar_p(first_alone: int, second_alone: int) -> float:
    """Give the two-sided p of McNemar's exact test.

    Parameters
    ----------
    first_alone, second_alone
        Questions that one of the two alone answered rightly.

    Raises
    ------
    MissingExtraError
        SciPy is not installed.
    """
    check_count("first_alone", first_alone, 0)
    check_count("second_alone", second_alone, 0)
    if first_alone + second_alone == 0:
        return 1.0
    stats = require_extra("scipy.stats", "bench")
    return float(stats.binomtest(first_alone, first_alone + second_alone, 0.5).pvalue)


def attainable_percent(percent: float, count: int, *, digits: int = 2, runs: int = 1) -> bool:
    """Say whether a printed percentage is that of some number of right answers.

    Of 1,319 questions, 34.94 % is none: 461 are 34.95 %. A mean over several runs has a finer grid.

    Parameters
    ----------
    percent
        As printed.
    count
        Examples.
    digits
        Digits after the point.
    runs
        Runs whose mean it may be.
    """
    check_in_range("percent", percent, 0.0, 100.0)
    check_count("count", count, 1)
    check_count("digits", digits, 0)
    check_count("runs", runs, 1)
    cells, unit = count * runs, 10.0**-digits
    near = round(percent / 100.0 * cells)
    return any(abs(100.0 * right / cells - percent) <= 0.5 * unit + 1e-9 for right in (near - 1, near, near + 1))
