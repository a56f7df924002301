"""What the package index shows: the readme with links that work there, and the addresses of the project.

Whoever builds gives the address of the repository, as ``WADDINGTON_REPOSITORY`` (``make dist REPOSITORY=https://...``):
a copy never sends people to another's pages. Without it nothing is guessed: no addresses, and links to files become the
words they stood on.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"!\[(?P<words>[^\]]*)\]\((?!https?:)(?P<path>[^)#]+)\)\n*")
_LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]*)\]\((?!https?:|#)(?P<path>[^)]+)\)")


def project_urls(repository: str, version: str) -> dict[str, str]:
    """Give the addresses of the project's pages; none where its own is not known."""
    if not repository:
        return {}
    return {
        "Repository": repository,
        "Documentation": f"{repository}/tree/v{version}/docs",
        "Changelog": f"{repository}/blob/v{version}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }


def index_readme(text: str, repository: str, version: str) -> str:
    """Make links to files of the repository absolute; where its address is not known, keep their words alone."""
    if not repository:
        return _LINK.sub(r"\g<words>", _PICTURE.sub("", text))
    text = _PICTURE.sub(rf"![\g<words>]({repository}/raw/v{version}/\g<path>)\n\n", text)
    return _LINK.sub(rf"[\g<words>]({repository}/blob/v{version}/\g<path>)", text)


class CustomMetadataHook(MetadataHookInterface):
    """Sets the fields that pyproject.toml calls dynamic, but for the version."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``readme`` and ``urls``."""
        repository = os.environ.get("WADDINGTON_REPOSITORY", "").rstrip("/")
        if repository and not re.fullmatch(r"https://[^\s()]+", repository):
            raise ValueError(f"WADDINGTON_REPOSITORY is {repository!r}: an address that begins with https:// is wanted")
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        readme = index_readme(text, repository, metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}
        metadata["urls"] = project_urls(repository, metadata["version"])
