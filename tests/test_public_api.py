"""`__all__` is the public API: it exists in every public module, is sorted, resolves, and every name is documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import waddington


def public_modules() -> list[str]:
    names = ["waddington"]
    for info in pkgutil.walk_packages(waddington.__path__, "waddington."):
        if not any(part.startswith("_") for part in info.name.split(".")):
            names.append(info.name)
    return names


@pytest.mark.parametrize("name", public_modules())
def test_all_is_the_public_api(name: str) -> None:
    module = importlib.import_module(name)
    exported = list(module.__all__)
    assert len(exported) == len(set(exported))
    for symbol in exported:
        value = getattr(module, symbol)
        if inspect.ismodule(value):
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            assert (inspect.getdoc(value) or "").strip(), f"{name}.{symbol} has no docstring"
    defined_here = {
        symbol
        for symbol, value in vars(module).items()
        if not symbol.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }
    assert defined_here <= set(exported), f"{name}: public but not in __all__: {sorted(defined_here - set(exported))}"


@pytest.mark.parametrize("name", ["waddington", "waddington.optim"])
def test_dir_shows_public_names_alone_and_all_of_them_are_there(name: str) -> None:
    module = importlib.import_module(name)
    assert dir(module) == sorted(module.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing


def test_optim_brings_its_rooms_when_they_are_asked_for() -> None:
    code = (
        "import sys; from waddington import optim; before = set(sys.modules);"
        "assert not {'waddington.optim.registry', 'waddington.optim.testing'} & before;"
        "rooms = (optim.schedules, optim.registry, optim.testing, optim.communication, optim.rule, optim.switching);"
        "assert all(room.__name__ in sys.modules for room in rooms)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
