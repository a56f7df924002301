"""How this door spells the options that messages name: the library says ``time_key=``, a shell ``--time-key``.

Messages and notes name an option as its Python keyword, with ``=`` behind it. A command spells it as its own flag, and
a field of a run that has none as ``--set name=``; so nothing is advised that the command at hand lacks. A setting that
was given in a TOML file or by ``--set`` is spelled as it was written there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from waddington.errors import WaddingtonError

__all__ = ["SpellingCommand", "Written", "spell", "spellings"]

_OPTION = re.compile(r"(?<![\w.\[\"'-])(?P<name>[a-z][a-z0-9_]*)=(?P<on>True\b)?(?P<value>(?=[^\s:;,.)]))?")


@dataclass(frozen=True, kw_only=True)
class Written:
    """Where settings of a run were written, if not as flags."""

    file: Path | None = None
    """A TOML file of settings."""
    in_file: Mapping[str, Any] = field(default_factory=dict)
    """Settings of that file that nothing else overrides, by name."""
    by_set: frozenset[str] = frozenset()
    """Names given by ``--set``."""
    by_flag: frozenset[str] = frozenset()
    """Names given as flags."""


def spellings(command: Any) -> dict[str, str]:
    """Give how a command spells each of its options, by the option's Python name."""
    return {
        str(parameter.name): next((opt for opt in parameter.opts if opt.startswith("--")), str(parameter.name).upper())
        for parameter in command.params
    }


def spell(text: str, command: Any, written: Written | None = None) -> str:
    """Spell every option that a text names as the command does, or as the user wrote it.

    Parameters
    ----------
    text
        A message or note of the library.
    command
        The command that prints it.
    written
        Where the user wrote settings otherwise than as flags. A text about a setting of a file begins with that file,
        and names other settings, too, as the file would.
    """
    written = written or Written()
    if any(match["name"] in written.in_file for match in _OPTION.finditer(text)):
        return f"{written.file}: {_spell_as_file(text, command, written)}"
    return _spell_as_flags(text, command, written.by_set)


def _spell_as_flags(text: str, command: Any, by_set: frozenset[str]) -> str:
    known = spellings(command)
    has_fields = {"config", "setting"} <= known.keys()  # the bench's --set fixes arguments of optimizers
    switches = {str(parameter.name) for parameter in command.params if getattr(parameter, "is_flag", False)}

    def spelled(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in known or name in by_set:
            return f"--set {match[0]}" if has_fields and name in _fields() else match[0]
        if match["on"]:
            return known[name] if name in switches else f"{known[name]} True"
        return known[name] + (" " if match["value"] is not None else "")

    return _OPTION.sub(spelled, text)


def _spell_as_file(text: str, command: Any, written: Written) -> str:
    """Spell settings as lines of a TOML file; what was given as a flag, or is no setting, stays the command's."""
    for name, value in written.in_file.items():
        text = text.replace(f"{name}={value!r}", f"{name}={_toml(value)}")
    lines = _fields() - written.by_flag - written.by_set

    def spelled(match: re.Match[str]) -> str:
        if match["name"] not in lines:
            return match[0]
        return f"{match['name']} = " if match["value"] is not None else match["name"]

    return _spell_as_flags(_OPTION.sub(spelled, text), command, written.by_set)


def _toml(value: Any) -> str:
    """Write a value as TOML does: JSON does the same for texts, whole numbers, true and false, and lists."""
    return repr(value) if isinstance(value, float) else json.dumps(value, default=str, ensure_ascii=False)


def _fields() -> frozenset[str]:
    """Name the fields of a run; imported late, because it is heavy and needed only where something went wrong."""
    from waddington.twin.run.config import FIELDS

    return frozenset(FIELDS)


class SpellingCommand(TyperCommand):
    """A command whose refusals name options as it spells them; ``context.obj`` may say what was written elsewhere."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what it refuses is said in its own spelling."""
        try:
            return super().invoke(ctx)
        except WaddingtonError as error:
            written = ctx.obj if isinstance(ctx.obj, Written) else None
            raise type(error)(spell(str(error), self, written)) from error
