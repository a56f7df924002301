"""Every Python snippet of the README and of the docs' pages runs; one that cannot says why, above it."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parents[2]
EVERY_PAGE = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in EVERY_PAGE if "```python" in page.read_text(encoding="utf-8")]
OTHERWISE_FENCED = re.compile(r"^(?:[ \t]+```|~~~|```(?!python$))[ \t]*(?:py|python|python3|pycon)\b", re.MULTILINE)
FENCED = re.compile(r"^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
OPTIONAL = {"lightning", "stable_baselines3"}
"""What a page may import and an environment may lack; any other name that cannot be found is misspelt."""
MARK = re.compile(r"<!--\s*not run\b(?P<reason>.*?)-->", re.DOTALL)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated:FutureWarning"),
]


@dataclass
class Snippet:
    """A fenced block; `reason` says why it cannot run, and is None where it can."""

    code: str
    line: int
    reason: str | None


def snippets_of(text: str) -> list[Snippet]:
    """Find the blocks of a page; a mark stands on the line above its block, and nowhere else."""
    found, used = [], set()
    for block in FENCED.finditer(text):
        mark = next((m for m in MARK.finditer(text) if m.end() + 1 == block.start()), None)
        reason = None
        if mark is not None:
            used.add(mark.start())
            reason = mark["reason"].removeprefix(":").strip()
        found.append(Snippet(block["code"], text[: block.start()].count("\n") + 2, reason))
    astray = [text[: m.start()].count("\n") + 1 for m in MARK.finditer(text) if m.start() not in used]
    assert not astray, f"marks without a block right below, at lines {astray}"
    return found


def missing_modules(code: str) -> set[str]:
    """Name what a block imports and this environment lacks."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {root for name in names if importlib.util.find_spec(root := name.split(".")[0]) is None}


def run_page(text: str, name: str) -> set[str]:
    """Run the blocks of a page in order and in one namespace; give the modules whose lack kept some from it."""
    # A module that can be found, as a dataclass needs one.
    module = sys.modules["snippets"] = ModuleType("snippets")
    lacking: set[str] = set()
    for snippet in snippets_of(text):
        if snippet.reason is not None:
            continue
        if missing := missing_modules(snippet.code):
            lacking |= missing
            continue
        # Empty lines first, so that a traceback names the line of the page.
        exec(compile("\n" * (snippet.line - 1) + snippet.code, name, "exec"), module.__dict__)
    return lacking


LONG = {"anndata", "conformance", "screen"}
"""Pages that take many seconds and whose every call another test makes, too."""


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.stem, marks=[pytest.mark.slow] if page.stem in LONG else []) for page in PAGES]
)
def test_snippets_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        lacking = run_page(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)))
    assert lacking <= OPTIONAL, f"cannot be imported: {sorted(lacking - OPTIONAL)}"
    if lacking:
        pytest.skip(f"the other snippets ran; not installed: {', '.join(sorted(lacking))}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_does_not_run_says_why(page: Path) -> None:
    unexplained = [s.line for s in snippets_of(page.read_text(encoding="utf-8")) if s.reason == ""]
    assert not unexplained, f"blocks that are marked as not run without a reason, at lines {unexplained}"


def test_every_python_block_is_found() -> None:
    """No block is written in a way that the pattern above would miss."""
    assert {ROOT / "docs" / "index.md", ROOT / "docs" / "optimizers" / "index.md"} <= set(PAGES)
    for text in ("```py\na\n```", "  ```python\na\n  ```", "``` python\na\n```", "~~~python\na\n~~~", "```python3\n"):
        assert OTHERWISE_FENCED.search(text), text
    assert not OTHERWISE_FENCED.search("```python\na = 1\n```\n")
    assert not [page.name for page in EVERY_PAGE if OTHERWISE_FENCED.search(page.read_text(encoding="utf-8"))]


def test_every_page_has_a_snippet_that_runs() -> None:
    silent = [page.name for page in PAGES if all(s.reason is not None for s in snippets_of(page.read_text("utf-8")))]
    assert not silent


def test_snippets_are_found_with_line_and_reason() -> None:
    text = "# Page\n\n```python\na = 1\n```\n\n<!-- not run: needs a GPU -->\n```python\nb = a\n```\n<!-- not run -->\n"
    first, second, third = snippets_of(text + "```python\n```\n")
    assert (first.code, first.line, first.reason) == ("a = 1\n", 4, None)
    assert (second.code, second.line, second.reason) == ("b = a\n", 9, "needs a GPU")
    assert third.reason == ""
    with pytest.raises(AssertionError, match=r"at lines \[11\]"):
        snippets_of(text + "\n```python\n```\n")


def test_a_broken_snippet_fails_at_its_line_of_the_page() -> None:
    page = "# Page\n\n```python\na = 1\n```\n\n```python\nb = a + c\n```\n"
    with pytest.raises(NameError) as caught:
        run_page(page, "page.md")
    assert (caught.traceback[-1].path, caught.traceback[-1].lineno + 1) == ("page.md", 8)


def test_a_snippet_that_warns_fails() -> None:
    with pytest.raises(UserWarning, match="loud"):
        run_page('```python\nimport warnings\n\nwarnings.warn("loud", stacklevel=1)\n```\n', "page.md")


def test_a_snippet_is_left_out_where_its_module_is_not_installed() -> None:
    page = "```python\nimport no_such_module.at_all\n```\n\n```python\na = 1\n```\n"
    assert run_page(page, "page.md") == {"no_such_module"}
