"""A user's file as a module: run once for each of its versions, and known by the hash of its text and its helpers'."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from waddington.errors import ArgumentError

__all__ = ["Fresh", "load"]

_OURS: dict[str, ModuleType] = {}
"""Helpers that a user's file has imported, by name: another version, or another folder, does not get them."""


def load(path: Path) -> tuple[ModuleType, str, str]:
    """Run a file.

    Returns
    -------
    module, source, digest
        The module, the file's whole path, and 16 digits of the hash of its text and of that of the modules beside it
        which it imports, and which those import.

    Raises
    ------
    OSError
        It cannot be read.
    ArgumentError
        It raises or exits when it is run; the message is its own.
    """
    path = path.expanduser().resolve()
    helpers: dict[str, Path] = {}
    _gather(path, path.parent, helpers)
    hashed = hashlib.sha256(path.read_bytes())
    for helper in sorted(helpers):
        hashed.update(b"\0" + helper.encode() + b"\0" + helpers[helper].read_bytes())
    digest = hashed.hexdigest()[:16]
    return _run(str(path), digest, tuple(helpers)), str(path), digest


def _gather(path: Path, folder: Path, found: dict[str, Path]) -> None:
    """Add the modules in a folder that a file imports, and those that they import, by name."""
    for name in _imported(path.read_bytes(), path.relative_to(folder).parts):
        place = folder.joinpath(*name.split("."))
        helper = next((one for one in (place / "__init__.py", place.with_suffix(".py")) if one.is_file()), None)
        if name not in found and helper is not None:
            found[name] = helper
            _gather(helper, folder, found)


@functools.lru_cache(maxsize=256)
def _imported(text: bytes, parts: tuple[str, ...]) -> tuple[str, ...]:
    """Give what may be modules among the names that a file imports; `parts` is its path, for relative imports."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()  # running the file says so
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = parts[: len(parts) - node.level] if node.level else ()
            base = [*package, *(node.module or "").split(".")] if node.module else [*package]
            names += [".".join([*base, alias.name]) for alias in node.names]
    split = [name.split(".") for name in names]
    prefixes = (".".join(each[:length]) for each in split for length in range(1, len(each) + 1))
    return tuple(name for name in dict.fromkeys(prefixes) if name.partition(".")[0] != "waddington")


class Fresh(SourceFileLoader):
    """Compiles a file's present text: bytecode is taken for it by second and size, and an edit may change neither."""

    def get_code(self, fullname: str) -> Any:
        """Compile."""
        return self.source_to_code(self.get_data(self.path), self.path)


@functools.lru_cache(maxsize=64)
def _run(path: str, digest: str, helpers: tuple[str, ...]) -> ModuleType:
    """Run a file as a module of its own; once for each of its versions."""
    name = f"waddington_task_{Path(path).stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path, loader=Fresh(name, path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their classes up there
    for helper in helpers:
        if helper in _OURS and sys.modules.get(helper) is _OURS[helper]:
            del sys.modules[helper]
    beside = str(Path(path).parent)
    sys.path.insert(0, beside)
    importlib.invalidate_caches()
    writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # of helpers, which may be edited as quickly
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        raise ArgumentError(f"cannot run {path}: {said}; accepted: a file that can be imported") from error
    finally:
        sys.dont_write_bytecode = writes_none
        sys.path.remove(beside)
        _OURS.update({helper: sys.modules[helper] for helper in helpers if helper in sys.modules})
    return module
