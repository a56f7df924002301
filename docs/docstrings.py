"""How docstrings are read for the API pages (a griffe extension, for the docs alone).

Several parameters described at once, ``a, b``, become entries of their own, each with its own type and default; roles
such as ``:class:`~package.Name``` become links.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTIONS = ("Parameters", "Attributes")
_GROUP = re.compile(r"\w+(, \w+)+")
_ROLE = re.compile(r":(?:class|func|meth|mod|attr):`(~?)([\w.]+)`")


class Docstrings(griffe.Extension):
    """Rewrite every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = linked(ungrouped(obj.docstring.value))


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


def linked(text: str) -> str:
    """Turn roles into links where their target is documented, and into plain names elsewhere."""

    def link(match: re.Match[str]) -> str:
        short, target = match.groups()
        name = target.rsplit(".", 1)[-1] if short else target
        return f'<autoref identifier="{target}" optional><code>{name}</code></autoref>'

    return _ROLE.sub(link, text)
