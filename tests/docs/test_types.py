"""A strict type checker accepts the pages that a user copies from."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md", "docs/index.md", "docs/tutorials/anndata.md", "docs/tutorials/screen.md",
    "docs/tutorials/swap.md",
    "docs/optimizers/write-your-own.md",
)  # fmt: skip
FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_a_strict_type_checker_accepts_what_is_copied_from_the_pages(tmp_path):
    for page in PAGES:
        code = "\n".join(FENCED.findall((ROOT / page).read_text(encoding="utf-8")))
        assert code
        (tmp_path / f"page_{re.sub(r'[^a-z]', '_', page.lower())}.py").write_text(code, encoding="utf-8")
    # torch's Tensor.backward bears no types.
    options = ["--strict", "--allow-untyped-calls", "--no-error-summary", "--cache-dir", str(ROOT / ".mypy_cache")]
    command = [sys.executable, "-m", "mypy", *options, *sorted(path.name for path in tmp_path.glob("*.py"))]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
