"""What came out: one result for each check, and the tables that show them."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

__all__ = ["STATUSES", "CheckResult", "Report", "Status"]

Status = Literal["passed", "failed", "refused", "not applicable", "error"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Outcome of one check.

    Attributes
    ----------
    name, title, group
        The check: its name, what it promises the user in one line, and its theme.
    status
        ``"passed"``; ``"failed"``; ``"refused"``: the optimizer declined with a message that says what was found and
        what to use instead, before anything had changed, which is as good as passed; ``"not applicable"``: it lacks the
        argument that the check is about; ``"error"``: no verdict, because the check could not be carried out.
    message
        What was found; empty where there is nothing to add to the title.
    seconds
        Wall time.
    """

    name: str
    title: str
    group: str
    status: Status
    message: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the contract is fulfilled or does not apply."""
        return self.status not in ("failed", "error")


@dataclass(frozen=True, slots=True)
class Report:
    """The results of all checks of one optimizer; printing it gives a table.

    Attributes
    ----------
    optimizer
        Its name.
    results
        One entry for each check, in the order of :func:`~waddington.optim.testing.checks`.
    """

    optimizer: str
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed or ended without a verdict."""
        return all(result.passed for result in self.results)

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The results that are not fulfilled: failed, or without a verdict."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def summary(self) -> str:
        """One line: how many checks ended how."""
        counts = Counter(result.status for result in self.results)
        parts = [f"{counts[status]} {status}" for status in STATUSES if counts[status]]
        return f"{self.optimizer}: {', '.join(parts) or 'no checks'} ({sum(r.seconds for r in self.results):.1f} s)"

    def to_text(self) -> str:
        """Give the summary and an aligned table: group, check, status, and what was found or else the title."""
        rows = [(r.group, r.name, r.status, r.message or r.title) for r in self.results]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        lines = ["  ".join([*(row[c].ljust(widths[c]) for c in range(3)), row[3]]) for row in rows]
        return "\n".join([self.summary, *lines])

    def to_markdown(self) -> str:
        """Give the summary and the same table as Markdown."""
        head = [self.summary, "", "| group | check | status | found |", "| --- | --- | --- | --- |"]
        rows = [(r.group, f"`{r.name}`", r.status, (r.message or r.title).replace("|", r"\|")) for r in self.results]
        return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain values that JSON can hold."""
        return {
            "optimizer": self.optimizer,
            "passed": self.passed,
            "results": [asdict(result) for result in self.results],
        }

    def raise_if_failed(self) -> None:
        """Raise where the contract is not fulfilled.

        Raises
        ------
        AssertionError
            With the summary and the rows that failed or ended without a verdict.
        """
        if not self.passed:
            raise AssertionError(Report(self.optimizer, self.failures)._explain(self.summary))

    def _explain(self, summary: str) -> str:
        return "\n".join([summary, *self.to_text().splitlines()[1:]])

    def __str__(self) -> str:
        return self.to_text()
