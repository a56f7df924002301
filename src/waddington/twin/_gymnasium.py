"""``gymnasium.make("waddington/Cell-v0", data=...)``, without importing Gymnasium before somebody else does.

Gymnasium has no entry points for environments any more: whoever has some registers them. Where it is imported already
that is done at once, and else when it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

__all__ = ["ENVIRONMENT", "install", "register"]

ENVIRONMENT: Final = "waddington/Cell-v0"


def install() -> None:
    """Register the environment now, or as soon as Gymnasium is imported."""
    if "gymnasium" in sys.modules:
        register()
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def register() -> None:
    """Tell Gymnasium of the environment."""
    import gymnasium

    if ENVIRONMENT not in gymnasium.registry:
        gymnasium.register(ENVIRONMENT, entry_point="waddington.twin.tl:environment")


class _Finder(MetaPathFinder):
    """Finds Gymnasium where it is, and adds to its loading that the environment is registered afterwards.

    It stays: somebody may ask for Gymnasium's spec alone, to see whether it is installed, and import it later.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for Gymnasium only."""
        if fullname != "gymnasium" or (spec := PathFinder.find_spec(fullname)) is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        load = loader.exec_module

        def load_and_register(module: ModuleType) -> None:
            load(module)
            register()

        loader.exec_module = load_and_register
        return spec
