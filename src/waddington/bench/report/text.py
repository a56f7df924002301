"""The words of the report's sections, the same on the page and in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ANSWERS", "SECTIONS", "Section"]

ANSWERS: Mapping[str, tuple[str, str]] = {
    "first": ("yes", "✓"),
    "second": ("no", "✓"),
    "no difference": ("undecided", "="),
    "cannot be told": ("undecided", "?"),
}
"""What a verdict can answer: its tone, and the sign that stands for it beside words (never the colour alone)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A section: its heading, how to read it, and the tables that belong to it."""

    heading: str
    words: str
    tables: tuple[str, ...] = ()


SECTIONS: Mapping[str, Section] = {
    "forest": Section(
        heading="Paired differences",
        words="Each mark is a mean difference over seeds that both arms share, with its interval. Left of zero the "
        "first arm is lower. A filled mark is a difference that was found; an open one was not. A difference inside "
        "the grey bar would have been missed more than once in five times. The last row puts the tasks together. "
        "Regret is what it costs to have chosen an arm before the task was known.",
        tables=("contrasts", "regrets", "analyses", "finals"),
    ),
    "profile": Section(
        heading="Performance profiles",
        words="On how many tasks an arm reaches the target within a factor of the fastest arm's time. Higher is "
        "better. A missed target counts against the arm. Bands are intervals over the arm's seeds.",
        tables=("scores",),
    ),
    "rate": Section(
        heading="How much the rate matters",
        words="Every tuned point over its rate. The star is the chosen one; a star of triangles lies at an end of what "
        "was searched. Crosses at the top diverged or raised an error.",
        tables=("chosen",),
    ),
    "budget": Section(
        heading="What tuning buys",
        words="The best value after k trials: its median over all orders of the trials. The band is an interval over "
        "trials. An arm that falls early is easy to tune.",
    ),
    "anytime": Section(
        heading="All along",
        words="Each arm's chosen point on the evaluation seeds: median and quartiles. A line ends where half of the "
        "seeds have diverged or raised an error.",
    ),
    "divergence": Section(
        heading="Divergences",
        words="Runs whose loss was no finite number, and runs that raised an error. Above they have the worst rank and "
        "an infinite time; none is left out.",
        tables=("divergences",),
    ),
    "cost": Section(
        heading="What a step costs",
        words="Time of a training step over that of the fused baseline on the same task, and memory of the optimizer's "
        "state.",
        tables=("costs",),
    ),
}
"""The sections in the order of the page."""
