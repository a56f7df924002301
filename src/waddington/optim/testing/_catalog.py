"""The list of checks, and the words in which a check speaks: it fails, is refused, or does not apply."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from waddington.errors import ArgumentError, WaddingtonError
from waddington.optim.testing._subject import Subject

__all__ = [
    "GROUPS",
    "Check",
    "CheckFailure",
    "HalfDone",
    "NotApplicable",
    "Refusal",
    "check",
    "checks",
    "describe",
    "may_refuse",
    "require",
    "require_argument",
]


GROUPS = ("step", "tensors", "gradients", "groups", "rates", "state", "arguments", "training", "hosts")


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of the contract.

    Attributes
    ----------
    name
        Name, for `only` and `skip`.
    title
        What the user gets, in one line.
    group
        Theme: ``"step"``, ``"tensors"``, ``"gradients"``, ``"groups"``, ``"rates"``, ``"state"``, ``"arguments"``,
        ``"training"`` or ``"hosts"``.
    slow
        Whether it takes seconds, and is run only with ``slow=True`` or by name.
    run
        Carries it out on a subject; returns what is worth adding where it passes.
    """

    name: str
    title: str
    group: str
    slow: bool
    run: Callable[[Subject], str | None]


_CHECKS: dict[str, Check] = {}


class CheckFailure(WaddingtonError, AssertionError):
    """The optimizer does not do what the check promises."""


class HalfDone(CheckFailure):
    """The optimizer raised after it had changed something, which no documentation makes good."""


class Refusal(WaddingtonError):
    """The optimizer declined, and said what to use instead."""


class NotApplicable(WaddingtonError):
    """The optimizer does not have what the check is about."""


def check(
    name: str, title: str, *, group: str, slow: bool = False
) -> Callable[[Callable[[Subject], str | None]], Callable[[Subject], str | None]]:
    """Register a function as a check."""

    def register(function: Callable[[Subject], str | None]) -> Callable[[Subject], str | None]:
        if name in _CHECKS or name in GROUPS or group not in GROUPS:
            raise ArgumentError(
                f"cannot register the check {name!r} in {group!r}: its name must be new, and its group one of"
                f" {', '.join(GROUPS)}"
            )
        _CHECKS[name] = Check(name, title, group, slow, function)
        return function

    return register


def checks() -> tuple[Check, ...]:
    """List all checks in the order in which a report shows them."""
    return tuple(sorted(_CHECKS.values(), key=lambda entry: GROUPS.index(entry.group)))


def require(condition: bool, message: str) -> None:
    """Fail the check with a message unless the condition holds."""
    if not condition:
        raise CheckFailure(message)


def require_argument(subject: Subject, name: str) -> None:
    """Leave the check where the optimizer has no such argument."""
    if not subject.takes(name):
        raise NotApplicable(f"has no argument {name}")


def describe(error: BaseException) -> str:
    """Give class and message of an exception on one line of readable length."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
    return f"{type(error).__name__}: {text[:157] + '...' if len(text) > 160 else text}".removesuffix(": ")


_ALTERNATIVE = re.compile(
    r"\b(use|using|instead|consider|try|accepted|only|must|should|needs?|require[sd]?|pass|set|convert|dense)\b",
    re.IGNORECASE,
)


@contextmanager
def may_refuse(*found: str) -> Iterator[None]:
    """Judge an exception of the optimizer as a refusal of what the check tries.

    Parameters
    ----------
    *found
        Words of which the message must hold one, to say what was found.

    Raises
    ------
    Refusal
        The message names what was found and points to what to use instead.
    CheckFailure
        It does not.
    """
    try:
        yield
    except (CheckFailure, NotApplicable, Refusal):
        raise
    except Exception as error:
        text = str(error)
        if not any(word.casefold() in text.casefold() for word in found):
            raise CheckFailure(f"raised without naming what was found: {describe(error)}") from error
        if not _ALTERNATIVE.search(text):
            raise CheckFailure(f"refused without saying what to use instead: {describe(error)}") from error
        raise Refusal(describe(error)) from error
