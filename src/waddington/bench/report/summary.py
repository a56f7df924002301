"""What a report says first: one sentence for each contrast, and how the tasks are divided over it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from waddington._text import counted
from waddington.bench.report.data import PooledContrast, ReportData, TaskResult
from waddington.bench.statistics import Verdict, pooled_verdict, verdict
from waddington.bench.statistics.blocks import Contrast

__all__ = ["Headline", "boundary_warnings", "headlines", "task_verdict"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """A contrast at a horizon, for people.

    Attributes
    ----------
    contrast, horizon
        The question.
    words
        The better arm's name; "" if none is.
    answer, sentence
        As a :class:`~waddington.bench.statistics.Verdict` has them.
    evidence
        How the tasks are divided.
    """

    contrast: str
    horizon: str
    words: str
    answer: str
    sentence: str
    evidence: str


def task_verdict(result: TaskResult, contrast: Contrast) -> Verdict:
    """Put one task's contrast into a sentence."""
    return verdict(
        contrast.paired, first=contrast.first, second=contrast.second, p=contrast.p_holm, metric=result.metric
    )


def headlines(data: ReportData) -> list[Headline]:
    """Say what each contrast comes to at each horizon: over tasks where there are several, else on the task."""
    found = []
    for horizon, words in data.horizons.items():
        results = [result for result in data.results if result.horizon == horizon]
        pairs = dict.fromkeys((c.first, c.second) for result in results for c in result.several.contrasts)
        over = {(row.first, row.second): row for row in data.pooled if row.horizon == horizon}
        for pair in dict.fromkeys([*pairs, *over]):
            verdicts = _by_task(results, *pair)
            answer, sentence = _said(over.get(pair), verdicts)
            names = {"first": pair[0], "second": pair[1]}
            found.append(
                Headline(
                    contrast=f"{pair[0]} or {pair[1]}?",
                    horizon=words,
                    evidence=_tally(verdicts, *pair) if len(verdicts) > 1 else "",
                    words=names.get(answer, ""),
                    answer=answer,
                    sentence=sentence,
                )
            )
    return found


def _by_task(results: list[TaskResult], first: str, second: str) -> dict[str, Verdict]:
    """Give the verdict of each task that has a contrast."""
    return {
        result.task: task_verdict(result, contrast)
        for result in results
        for contrast in result.several.contrasts
        if (contrast.first, contrast.second) == (first, second)
    }


def _said(over: PooledContrast | None, verdicts: dict[str, Verdict]) -> tuple[str, str]:
    """Choose the sentence: over three tasks or more the pooled one, else those of the tasks."""
    if over is not None and (over.pooled.n_tasks > 2 or not verdicts):
        found = pooled_verdict(over.pooled, first=over.first, second=over.second, p=over.p_holm, metric=over.metric)
        return found.answer, found.sentence
    answers = {verdict.answer for verdict in verdicts.values()}
    sentence = " ".join(f"On {task}: {verdict.sentence}" for task, verdict in verdicts.items())
    return (answers.pop() if len(answers) == 1 else "cannot be told"), sentence


def _tally(verdicts: dict[str, Verdict], first: str, second: str) -> str:
    """Count the tasks by answer."""
    count = Counter(verdict.answer for verdict in verdicts.values())
    words = {
        "first": f"{first} is better on {{}}",
        "second": f"{second} is better on {{}}",
        "no difference": "no difference is found on {}",
        "cannot be told": "nothing can be told on {}",
    }
    parts = [text.format(count[answer]) for answer, text in words.items() if count[answer]]  # type: ignore[index]
    return f"Of {counted(len(verdicts), 'task')}, each by itself: {', '.join(parts)}."


def boundary_warnings(data: ReportData) -> list[str]:
    """Say which chosen points lie at an end of what was searched: a better one may lie beyond."""
    tasks: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for point in data.tuning:
        if point.is_chosen and point.on_boundary:
            tasks.setdefault((point.arm, point.horizon, point.on_boundary), []).append(point.task)
    return [
        f"The best point of {arm} is at an end of the range of {', '.join(arguments)} on {', '.join(where)}"
        f"{f' ({data.horizons[horizon]})' if len(data.horizons) > 1 else ''}. A better one may lie beyond."
        for (arm, horizon, arguments), where in tasks.items()
    ]
