"""The command line: ``waddington run``, ``simulate``, ``optimizers`` and ``data describe``."""

from __future__ import annotations

import sys

from waddington.errors import MissingExtraError

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and exit with its code: 0 done, 2 refused input, 130 interrupted.

    Without the extra ``cli`` this says how to install it.
    """
    try:
        from waddington.cli._app import run_app
    except ModuleNotFoundError as error:
        missing = MissingExtraError(
            f"{error.name!r} is not installed; the command line belongs to the extra 'cli': "
            "pip install 'waddington[twin,cli]'"
        )
        sys.stderr.write(f"error: {missing}\n")
        sys.exit(2)
    sys.exit(run_app(arguments))
