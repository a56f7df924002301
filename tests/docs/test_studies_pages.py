"""The pages of the registered studies are of the studies that are registered: nobody has changed one afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from waddington.bench.studies import STUDIES, get_study

PAGES = Path(__file__).parents[2] / "docs" / "studies"


@pytest.mark.parametrize("name", STUDIES)
def test_a_page_has_its_studys_name_hash_and_contrasts(name: str) -> None:
    study, text = get_study(name), (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {study.name}\n")
    assert f"Hash `{study.hash}`" in text.replace("\n", " ")
    if "Registered, not run" in text:
        assert not (PAGES / "pictures" / f"{name}.png").exists()
        return
    for first, second in study.contrasts:
        rows = [line for line in text.splitlines() if f"| {first} − {second} |" in line]
        assert len(rows) == len(study.entries) * len(study.horizons)
    assert (PAGES / "pictures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_first_page_has_every_study() -> None:
    text = (PAGES / "index.md").read_text(encoding="utf-8")
    for name in STUDIES:
        study = get_study(name)
        assert f"[{study.name}]({name}.md)" in text
        assert f"\n## {study.name}\n" in text
