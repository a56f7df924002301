"""How this door spells the options that messages name: the library says ``time_key=``, a shell ``--time-key``.

Messages and notes name an option as its Python keyword, with ``=`` behind it. A command spells it as its own flag, and
a field of a run that has none as ``--set name=``; so nothing is advised that the command at hand lacks.
"""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

from waddington._errors import WaddingtonError

__all__ = ["SpellingCommand", "spell", "spellings"]

_OPTION = re.compile(r"(?<![\w.\[\"'-])(?P<name>[a-z][a-z0-9_]*)=(?P<on>True\b)?(?P<value>(?=[^\s:;,.)]))?")


def spellings(command: Any) -> dict[str, str]:
    """Give how a command spells each of its options, by the option's Python name."""
    return {
        str(parameter.name): next((opt for opt in parameter.opts if opt.startswith("--")), str(parameter.name).upper())
        for parameter in command.params
    }


def spell(text: str, command: Any) -> str:
    """Spell every option that a text names as the command does.

    Parameters
    ----------
    text
        A message or note of the library.
    command
        The command that prints it.
    """
    known = spellings(command)

    def spelled(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in known:
            return f"--set {match[0]}" if "setting" in known and name in _fields() else match[0]
        if match["on"]:
            return known[name]
        return known[name] + (" " if match["value"] is not None else "")

    return _OPTION.sub(spelled, text)


def _fields() -> frozenset[str]:
    """Name the fields of a run; imported late, because it is heavy and needed only where something went wrong."""
    import dataclasses

    from waddington.twin.pipeline import RunConfig

    return frozenset(field.name for field in dataclasses.fields(RunConfig))


class SpellingCommand(TyperCommand):
    """A command whose refusals name options as it spells them."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what it refuses is said in its own spelling."""
        try:
            return super().invoke(ctx)
        except WaddingtonError as error:
            raise type(error)(spell(str(error), self)) from error
