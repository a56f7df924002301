"""The one place where the version is written; the build, the command line and `CITATION.cff` agree with it."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

__all__ = ["__version__", "commit"]

__version__ = "0.1.0"


@functools.cache
def commit() -> str:
    """Ask git which commit this code is of, with ``-dirty`` where files differ; empty for an installed package."""
    package = Path(__file__).resolve().parent
    try:
        asked = ["git", "-C", str(package), "rev-parse", "--show-toplevel"]
        top = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        if Path(top).resolve() != package.parents[1]:  # the checkout of somebody else, around an installed package
            return ""
        asked = ["git", "-C", str(package), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
