"""A user's file as a module: run once for each of its versions, and known by the hash of its text."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from waddington.errors import ArgumentError

__all__ = ["load"]


def load(path: Path) -> tuple[ModuleType, str, str]:
    """Run a file.

    Returns
    -------
    module, source, digest
        The module, the file's whole path, and 16 digits of the hash of its text.

    Raises
    ------
    OSError
        It cannot be read.
    ArgumentError
        It raises when it is run; the message is its own.
    """
    path = path.expanduser().resolve()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return _run(str(path), digest), str(path), digest


@functools.lru_cache(maxsize=64)
def _run(path: str, digest: str) -> ModuleType:
    """Run a file as a module of its own; once for each of its versions."""
    name = f"waddington_task_{Path(path).stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their classes up there
    beside = str(Path(path).parent)
    sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ArgumentError(f"cannot run {path}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(beside)
    return module
