"""A strict type checker accepts the pages that a user copies from, and refuses a typo in an optimizer's argument."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.test_write_your_own import SOURCE

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md", "docs/index.md", "docs/tutorials/anndata.md", "docs/tutorials/screen.md",
    "docs/tutorials/swap.md",
    "docs/optimizers/write-your-own.md",
)  # fmt: skip
FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
UNTYPED = "# mypy: allow-untyped-calls\n"
"""Above what calls torch's Tensor.backward, which bears no types."""
TYPO = """
from waddington.optim import AMVT, ASGDAdam, AlphaAdam, Switched
import torch
params = [torch.zeros(3, requires_grad=True)]
ASGDAdam(params, switch="relatve")
ASGDAdam(params, large_rate_in="steep")
AMVT(params, nonfinite="ignore")
AMVT(params, compile="always")
AlphaAdam(params, compensation="half")
Switched(AMVT(params), switch="mena")
Lion(params, nonfinite="ignore")
Lion(params, weight_decy=0.1)
ASGDAdam(params, 1e-3, (0.9, 0.99), switch="linear", compile=False)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Check all at once, for most of the time is torch's."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("typed")
    for page in PAGES:
        code = "\n".join(FENCED.findall((ROOT / page).read_text(encoding="utf-8")))
        assert code
        path = folder / f"page_{re.sub(r'[^a-z]', '_', page.lower())}.py"
        path.write_text(UNTYPED + code, encoding="utf-8")
    (folder / "own.py").write_text(SOURCE, encoding="utf-8")
    (folder / "typo.py").write_text("from own import Lion\n" + TYPO, encoding="utf-8")
    options = ["--strict", "--no-error-summary", "--cache-dir", str(ROOT / ".mypy_cache")]
    command = [sys.executable, "-m", "mypy", *options, *sorted(path.name for path in folder.glob("*.py"))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr  # the typos
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_strict_type_checker_accepts_what_is_copied_from_the_pages(found: str) -> None:
    assert "page_" not in found, found


@pytest.mark.slow
def test_a_strict_type_checker_accepts_the_tutorial_and_refuses_a_typo(found: str) -> None:
    assert "own.py" not in found, found
    assert {int(error.split(":")[1]) for error in found.splitlines() if ": error:" in error} == set(range(6, 14)), found
