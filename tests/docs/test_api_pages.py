"""Every name of every public room has its entry on one page under API, once, and nothing else has one."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import griffe
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = {page: page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").rglob("*.md"))}
ENTRY = re.compile(r"^::: waddington\.(?P<name>[\w.]+)\n(?P<options>(?:    .*\n)*)", re.MULTILINE)
LINK = re.compile(r"\]\[waddington\.([\w.]+)\]")


@cache
def package() -> Any:
    """Read the package as mkdocstrings does."""
    return griffe.load("waddington", search_paths=[str(ROOT / "src")], resolve_aliases=True)


def defined(name: str) -> Any:
    """Find an object where it is defined, whatever room hands it on."""
    found = package()[name]
    return found.final_target if found.is_alias else found


def entries(text: str) -> list[tuple[str, dict[str, Any]]]:
    """List what a page has mkdocstrings show, each with its options."""
    return [(m["name"], (yaml.safe_load(m["options"]) or {}).get("options", {})) for m in ENTRY.finditer(text)]


def shown_by(name: str, options: dict[str, Any]) -> list[str]:
    """Name what an entry shows, by the address where it is defined: an object, or those of a module."""
    found = package()[name]
    if not found.is_module:
        return [defined(name).path]
    inner = [defined(f"{name}.{part}") for part in options.get("members", found.exports) or ()]
    return [part.path for part in inner if part.has_docstring and not part.is_module]


def room_of(name: str) -> str:
    """Name the room of an entry: the module itself, or that of the object."""
    return name if package()[name].is_module else name.rpartition(".")[0]


def named_rooms(name: str) -> list[str]:
    """Name the rooms that a room's `__all__` names, and those below."""
    parts = [part for part in package()[name].exports if package()[f"{name}.{part}"].is_module]
    return [name, *(below for part in parts for below in named_rooms(f"{name}.{part}"))]


@cache
def named() -> list[str]:
    """Name all rooms that `__all__` of the package's own name."""
    return [room for name in ("analysis", "errors", "jobs", "optim", "twin") for room in named_rooms(name)]


@cache
def opened() -> dict[str, Path]:
    """Say on which page the entries of a room are."""
    return {room_of(name): page for page, text in PAGES.items() for name, _ in entries(text)}


def rooms() -> list[str]:
    """Name all public rooms. The package is read where a test runs: every worker would read it to collect them."""
    return sorted({*named(), *opened()})


@cache
def pages_by_name() -> dict[str, list[Path]]:
    """Say where each object has entries."""
    found: dict[str, list[Path]] = {}
    for page, text in PAGES.items():
        for entry in entries(text):
            for name in shown_by(*entry):
                found.setdefault(name, []).append(page)
    return found


def faults_of(room: str) -> Iterator[str]:
    """Say which names of a room have no entry or several, or none that its page leads to."""
    page = opened()[room]
    linked = {defined(name).path for name in LINK.findall(PAGES[page])}
    for name in package()[room].exports:
        address = defined(f"{room}.{name}")
        if address.is_module:
            if address.path.partition(".")[2] not in opened():
                yield f"{room}.{name} has no page"
            continue
        at = pages_by_name().get(address.path, [])
        if len(at) != 1:
            yield f"{room}.{name} has {len(at)} entries: {[str(p) for p in at]}"
        elif at != [page] and address.path not in linked:
            yield f"{page} does not lead to {room}.{name}"


def test_every_name_of_a_public_room_has_one_entry_and_its_page_leads_there() -> None:
    assert len(rooms()) > 30
    assert [fault for room in rooms() for fault in faults_of(room)] == []


def test_entries_stand_under_api_and_are_public() -> None:
    public = {defined(f"{room}.{name}").path for room in rooms() for name in package()[room].exports}
    for page, text in PAGES.items():
        for entry in entries(text):
            assert page.is_relative_to(ROOT / "docs" / "api"), f"{page} has an entry: {entry}"
            assert set(shown_by(*entry)) <= public


def test_the_house_page_says_which_rooms_are_public() -> None:
    section = PAGES[ROOT / "docs" / "house.md"].partition("## What is public")[2].partition("\n## ")[0]
    for room in set(opened()) - set(named()):
        assert re.search(rf"`([\w.]+\.)?{room.rpartition('.')[2]}`", section), room


def test_what_an_entry_shows() -> None:
    assert shown_by("optim.Masked", {}) == ["waddington.optim.wrappers.masked.Masked"]
    assert shown_by("optim.wrappers", {"members": ["Masked"]}) == ["waddington.optim.wrappers.masked.Masked"]
    assert shown_by("twin.data", {}) == shown_by("twin.pp", {"members": False}) == []
    assert entries("::: waddington.jobs\n    options:\n      members: [run]\n\nAnd\n\n::: waddington.twin\n") == [
        ("jobs", {"members": ["run"]}),
        ("twin", {}),
    ]


@pytest.mark.slow
def test_the_built_site_has_an_anchor_for_every_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    subprocess.run(command, check=True, cwd=ROOT)
    inventory = zlib.decompress((tmp_path / "site" / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    anchors = {line.split()[0] for line in inventory.splitlines()}
    wanted = {f"waddington.{room}.{name}" for room in rooms() for name in package()[room].exports}
    assert len(wanted) > 300
    assert wanted - anchors == set()


@pytest.mark.parametrize(
    ("role", "name", "address"),
    [
        (":class:`~waddington.twin.embed.History`", "History", "waddington.twin.embed.History"),
        (":meth:`predict`", "predict", "waddington.twin.models.twin.Twin.predict"),
        (":data:`Cells`", "Cells", "waddington.twin.data.setup.Cells"),
        (":func:`Twin.load`", "Twin.load", "waddington.twin.models.twin.Twin.load"),
        (":mod:`.learning`", "learning", "waddington.twin.models.learning"),
        (":func:`~..pp.split`", "split", "waddington.twin.pp.split"),
        (":meth:`loss <waddington.twin.pl.losses>`", "loss", "waddington.twin.pl.losses"),
        (":class:`torch.Tensor`", "torch.Tensor", "torch.Tensor"),
    ],
)
def test_roles_of_docstrings_become_links(role: str, name: str, address: str) -> None:
    linked = runpy.run_path(str(ROOT / "docs" / "docstrings.py"))["linked"]
    written = linked(f"see {role}.", package()["twin.models.twin.Twin.save"])
    assert written == f'see <autoref identifier="{address}" optional><code>{name}</code></autoref>.'


def test_terms_and_literal_blocks_of_docstrings_become_markdown() -> None:
    as_markdown = runpy.run_path(str(ROOT / "docs" / "docstrings.py"))["as_markdown"]
    head = "Head.\n\n``a``\n    One\n    thing.\n``b``\n    Other.\n\nSo::\n\n    code\n\n"
    section = "Parameters\n----------\nx\n    Of it::\n"
    written, end, rest = as_markdown(head + section).partition(section)
    assert [line for line in written.split("\n") if line] == [
        "Head.",
        "``a``",
        ":   One",
        "    thing.",
        "``b``",
        ":   Other.",
        "So:",
        "    code",
    ]
    assert (end, rest) == (section, "")
