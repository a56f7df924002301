from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

from waddington.bench import catalog

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_what_the_commands_say() -> None:
    generated = runpy.run_path(str(DOCS / "generate.py"))["cli_reference"]()
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == generated, "run: python docs/generate.py"


def test_every_task_that_the_package_registers_has_its_rows() -> None:
    page = (DOCS / "tasks.md").read_text(encoding="utf-8").partition("<!-- end -->")[0]
    registered = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    names = (*catalog.HOMES, *registered["waddington.tasks"])
    assert {"twin-encoder", "twin-ppo"} <= set(names)
    assert {name: page.count(f"\n| `{name}` |") for name in names} == dict.fromkeys(names, 2)


def test_the_tables_of_tasks_and_data_are_what_the_catalogues_say() -> None:
    generated = runpy.run_path(str(DOCS / "generate.py"))["tasks_page"]()
    assert (DOCS / "tasks.md").read_text(encoding="utf-8") == generated, "run: python docs/generate.py"
