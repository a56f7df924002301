"""``gymnasium.make("waddington/Cell-v0", data=...)``, without importing Gymnasium before somebody else does.

Gymnasium has no entry points for environments any more: whoever has some registers them. Where it is imported already
that is done at once, and else when it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Final

__all__ = ["ENVIRONMENT", "install", "register"]

ENVIRONMENT: Final = "waddington/Cell-v0"


def install() -> None:
    """Register the environment now, or as soon as Gymnasium is imported."""
    if "gymnasium" in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, _Finder())


def register() -> None:
    """Tell Gymnasium of the environment."""
    import gymnasium

    if ENVIRONMENT not in gymnasium.registry:
        gymnasium.register(ENVIRONMENT, entry_point="waddington.twin.tl:environment")


class _Finder(MetaPathFinder):
    """Finds Gymnasium as the others do, once, and has it registered after it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for Gymnasium only."""
        if fullname != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads as the loader that it goes around does, and registers."""

    def __init__(self, inner: Loader) -> None:
        self._inner = inner

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module."""
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, give it its own loader back, and register."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._inner
        self._inner.exec_module(module)
        register()
