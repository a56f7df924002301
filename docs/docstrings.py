"""How docstrings are read for the API pages (a griffe extension, for the docs alone).

Several parameters described at once, ``a, b``, become entries of their own, each with its own type and default. Roles
such as ``:class:`~package.Name``` become links, a term with an indented text below it becomes an entry of a list, and
the second colon before a literal block goes. ``__post_init__``, which nobody calls, is not shown.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTIONS = ("Parameters", "Attributes")
_GROUP = re.compile(r"\w+(, \w+)+")
_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`(?:([\w.]+)\s+<)?(~?)([\w.]+)>?`")


class Docstrings(griffe.Extension):
    """Rewrite every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.name == "__post_init__":
            obj.docstring = None
        if obj.docstring is not None:
            obj.docstring.value = linked(as_markdown(ungrouped(obj.docstring.value)), obj)


def ungrouped(text: str) -> str:
    """Write entries that describe several names once for each of them."""
    lines, found = text.split("\n"), []
    section = ""
    for at, line in enumerate(lines):
        if set(line) == {"-"} and at:
            section = lines[at - 1]
        if section in _SECTIONS and _GROUP.fullmatch(line):
            body = []
            for following in lines[at + 1 :]:
                if following and not following.startswith(" "):
                    break
                body.append(following)
            *others, line = line.split(", ")
            found += [entry for name in others for entry in (name, *body)]
        found.append(line)
    return "\n".join(found)


def as_markdown(text: str) -> str:
    """Write literal blocks and lists of terms, outside of sections, as Markdown has them."""
    lines = text.split("\n")
    end = next((i - 1 for i, line in enumerate(lines) if line and set(line) == {"-"}), len(lines))
    found: list[str] = []
    for line, following in zip(lines[:end], [*lines[1:end], ""], strict=True):
        if line and not line.startswith(" ") and following.startswith("    "):
            found += ["", line]
        elif line.startswith("    ") and found and found[-1] and not found[-1].startswith((" ", ":")):
            found.append(":   " + line[4:])
        else:
            found.append(line.removesuffix(":") if line.endswith("::") and line != "::" else line.removesuffix("::"))
    return "\n".join(found + lines[end:])


def linked(text: str, obj: griffe.Object) -> str:
    """Turn roles into links where their target is documented, and into plain names elsewhere."""

    def link(match: re.Match[str]) -> str:
        title, short, target = match.groups()
        name = title or (target.rsplit(".", 1)[-1] if short else target.lstrip("."))
        return f'<autoref identifier="{address(target, obj)}" optional><code>{name}</code></autoref>'

    return _ROLE.sub(link, text)


def address(target: str, obj: griffe.Object) -> str:
    """Find what a name means where a docstring uses it: in its class, its module, or beside that (``.state``)."""
    if target.startswith("waddington."):
        return target
    if target.startswith("."):
        name = target.lstrip(".")
        above = len(target) - len(name) - obj.module.is_init_module
        return ".".join([*obj.module.path.split(".")[: -above or None], name])
    first, dot, rest = target.partition(".")
    try:
        return obj.resolve(first) + dot + rest
    except griffe.NameResolutionError:
        return target
