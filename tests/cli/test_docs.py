from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_what_the_commands_say() -> None:
    generated = runpy.run_path(str(DOCS / "generate.py"))["cli_reference"]()
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == generated, "run: python docs/generate.py"


def test_the_tables_of_tasks_and_data_are_what_the_catalogues_say() -> None:
    generated = runpy.run_path(str(DOCS / "generate.py"))["tasks_page"]()
    assert (DOCS / "tasks.md").read_text(encoding="utf-8") == generated, "run: python docs/generate.py"
