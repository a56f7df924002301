"""A claim of a paper, and its parts: statement, source, and how each is decided. A verdict is no field of either."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from waddington import jobs
from waddington._checks import check_choice
from waddington.claims.finding import Finding
from waddington.errors import ArgumentError

__all__ = ["TIERS", "Answer", "Claim", "Judge", "Need", "Paper", "Part", "Tier"]

Tier: TypeAlias = Literal["seconds", "minutes", "hours"]
TIERS: tuple[Tier, ...] = ("seconds", "minutes", "hours")
"""How long the measurements of a part take, all together, on two cores."""

Judge: TypeAlias = Callable[[Sequence[jobs.Record]], Finding]
"""A pure function of the records of a part's measurements, in their order."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What the claimed scale needs and is not here.

    Attributes
    ----------
    kind
        ``"hardware"`` or ``"data"``.
    words
        What is needed, and where it is to be had.
    command
        What would run it there; proven at a smaller size.
    """

    kind: Literal["hardware", "data"]
    words: str
    command: str

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, ("hardware", "data"))


@dataclass(frozen=True, kw_only=True)
class Part:
    """One statement that can be decided.

    Attributes
    ----------
    name
        Unique among the parts of a claim; a word or two.
    statement
        What the paper says, in one sentence of ours.
    source
        Where: section, equation, table.
    check
        Whether the paper's own numbers or algebra agree with the statement: a pure function of `numbers`, without a
        run. Where it does not hold the part is contradicted.
    numbers
        What the paper prints, and the check reads.
    opposite
        Other values of some of `numbers`, with which the check would say the opposite. A test puts them in: a check
        that says the same of everything is no check.
    measurements
        Jobs whose records decide.
    judge
        What their records say.
    tier
        How long they take.
    need
        Where the claimed scale cannot be run here; `measurements` are evidence then, not the verdict.
    rule
        The predicate in words.
    picture
        Draws the part from its records, as a figure of matplotlib; given none where there are no measurements.
    """

    name: str
    statement: str
    source: str
    check: Callable[[Mapping[str, Any]], Finding] | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    opposite: Mapping[str, Any] = field(default_factory=dict)
    measurements: tuple[jobs.Job, ...] = ()
    judge: Judge | None = None
    tier: Tier = "seconds"
    need: Need | None = None
    rule: str = ""
    picture: Callable[[Sequence[jobs.Record]], Any] | None = None

    def __post_init__(self) -> None:
        check_choice("tier", self.tier, TIERS)
        if self.check is None and self.judge is None and self.need is None:
            raise ArgumentError(
                f"cannot decide the part {self.name!r}: it has neither a check nor a judge nor a need; accepted: one"
            )
        if bool(self.measurements) != (self.judge is not None):
            raise ArgumentError(
                f"cannot decide the part {self.name!r}: measurements and a judge of their records go together"
            )


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A row of the ledger.

    Attributes
    ----------
    id
        Such as ``A3``.
    paper
        Such as ``"000"``.
    title
        A few words.
    statement
        What the paper claims, in a sentence or two of ours.
    source
        Where.
    parts
        At least one; the claim takes the worst verdict of them.
    traps
        What makes a naive measurement wrong, and was minded.
    """

    id: str
    paper: str
    title: str
    statement: str
    source: str
    parts: tuple[Part, ...]
    traps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        if not names or len(set(names)) != len(names):
            raise ArgumentError(
                f"cannot make claim {self.id} of parts {', '.join(names) or 'none'}: accepted are one or more, each"
                " with a name of its own"
            )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reader's question that one part answers: its words are the part's own finding.

    Attributes
    ----------
    question
        Such as ``"Does ASGD switch?"``.
    claim, part
        Which part answers.
    """

    question: str
    claim: str
    part: str


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A paper: its claims, and what a reader asks of it.

    Attributes
    ----------
    number, title
        Such as ``"002"``, and what it proposes.
    claims
        Its rows.
    answers
        Questions of readers.
    use
        What to use of it, in plain words; no figure and no verdict stands in it.
    """

    number: str
    title: str
    claims: tuple[Claim, ...]
    answers: tuple[Answer, ...] = ()
    use: str = ""

    def __post_init__(self) -> None:
        known = {(claim.id, part.name) for claim in self.claims for part in claim.parts}
        for answer in self.answers:
            if (answer.claim, answer.part) not in known:
                raise ArgumentError(
                    f"cannot answer {answer.question!r} by {answer.claim}, {answer.part}: accepted is a part of a claim"
                    f" of paper {self.number}"
                )
