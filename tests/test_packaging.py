"""What is built: a source distribution that can check itself, a wheel with its version, a page without dead links."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import waddington

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://code.example/people/waddington"
RELATIVE = re.compile(r"\]\((?!https?:|#)")


def build(source: Path, target: str, out: Path, repository: str = "") -> Path:
    """Build a wheel or a source distribution as any front end would, without the network."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(out)]
    environment = {**os.environ, "WADDINGTON_REPOSITORY": repository}
    ended = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (built,) = out.iterdir()
    return built


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack a source distribution that was told its address."""
    folder = tmp_path_factory.mktemp("packaging")
    with tarfile.open(build(ROOT, "sdist", folder / "built", REPOSITORY)) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return unpacked


def test_the_source_distribution_holds_what_checks_it(source: Path) -> None:
    needed = ["Makefile", "constraints.txt", "mkdocs.yml", "docs/index.md", "docs/pictures/landscape.png"]
    needed += [f"notebooks/{name}.ipynb" for name in ("quickstart", "multimodal_reprogramming")]
    needed += ["tests/conftest.py", "tests/optim/table.py", "benchmarks/conformance.py"]
    needed += ["SECURITY.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "CITATION.cff", "LICENSE"]
    assert not [name for name in needed if not (source / name).is_file()]
    tests = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py")}
    assert tests == {str(path.relative_to(source)) for path in (source / "tests").rglob("*.py")}


def test_a_wheel_of_the_source_distribution_keeps_its_address_and_links(source: Path, tmp_path: Path) -> None:
    metadata = metadata_of(build(source, "wheel", tmp_path / "wheel"))
    addresses = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))
    assert addresses["Repository"] == REPOSITORY
    assert addresses["Changelog"] == f"{REPOSITORY}/blob/v{waddington.__version__}/CHANGELOG.md"
    page = metadata.get_payload()
    assert f"]({REPOSITORY}/blob/v{waddington.__version__}/docs/run.md)" in page
    assert f"]({REPOSITORY}/raw/v{waddington.__version__}/docs/pictures/landscape.png)" in page
    assert not RELATIVE.search(page)


def test_without_an_address_none_is_guessed(tmp_path: Path) -> None:
    wheel = build(ROOT, "wheel", tmp_path / "wheel")
    metadata = metadata_of(wheel)
    assert metadata["Version"] == waddington.__version__
    assert metadata.get_all("Project-URL") is None
    assert not RELATIVE.search(metadata.get_payload())
    with zipfile.ZipFile(wheel) as archive:
        assert "waddington/py.typed" in archive.namelist()


def test_the_citation_names_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE).group(1) == waddington.__version__


def test_every_benchmark_that_make_runs_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = [name for names in re.findall(r"SCRIPTS = (.*)", makefile) for name in names.split()]
    named = [f"benchmarks/{name}.py" for name in listed] + re.findall(r"benchmarks/\w+\.py", makefile)
    assert len(named) > len(listed) > 0
    assert not [name for name in named if not (ROOT / name).is_file()]
