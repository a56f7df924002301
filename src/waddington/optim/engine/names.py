"""What a rule's functions are given, by name: what they read and nobody gives is refused, with what there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from waddington.errors import ArgumentError

__all__ = ["Flags", "Given", "listed"]


class Flags(dict[str, Any]):
    """The settings that functions of coordinates may read: words, True and False.

    Parameters
    ----------
    values
        Those settings.
    others
        The other settings, if they are known, which are refused by name.
    """

    def __init__(self, values: Iterable[tuple[str, Any]], others: Mapping[str, Any] | None = None) -> None:
        super().__init__(values)
        self._others = others or {}

    def __missing__(self, name: str) -> Any:
        found = f"={self._others[name]!r}" if name in self._others else ""
        raise ArgumentError(
            f"cannot read the setting {name}{found} in a function of coordinates: these are given the settings that are"
            f" words, True or False ({listed(self)}); what is computed with belongs to what `scalars` gives, and"
            f" is read as scalars[{name!r}]"
        )

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (name in self._others and bool(self[str(name)]))

    def get(self, name: str, default: Any = None) -> Any:
        """Give a setting, or the default where there is none of the name."""
        return self[name] if name in self._others else super().get(name, default)


class Given(dict[str, Any]):
    """What a function of a rule is given, by name.

    Parameters
    ----------
    values
        What there is.
    what
        What it is, for messages.
    """

    def __init__(self, values: Mapping[str, Any], what: str) -> None:
        super().__init__(values)
        self._what = what

    def __missing__(self, name: str) -> Any:
        close = difflib.get_close_matches(str(name), self, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(
            f"cannot read {name!r} in a rule: it is none of {self._what} ({listed(self) or 'there are none'}).{hint}"
        )


def listed(names: Iterable[object]) -> str:
    """Put names side by side."""
    return ", ".join(map(repr, names))
