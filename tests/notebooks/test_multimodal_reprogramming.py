from __future__ import annotations

import itertools
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from tests.notebooks.small import SMALL

from waddington.twin.run import GUIDE_OPTIMIZERS

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "multimodal_reprogramming.ipynb"


def read() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def parameters(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    return cell


@pytest.mark.slow
def test_run_all_leaves_the_guides_four_files(tmp_path: Path) -> None:
    notebook = read()
    small = {
        "OUT": str(tmp_path / "results"), "PRESET": "smoke", "OPTIMIZERS": ["Adam", "ASGDAdam", "Padam"],
        "SETTINGS": {"workers": 1, **SMALL},
    }  # fmt: skip
    parameters(notebook).source += "".join(f"\n{name} = {value!r}" for name, value in small.items())
    NotebookClient(notebook, timeout=None, startup_timeout=1200, kernel_name="python3").execute()
    outputs = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output for output in outputs) == 5
    assert sum("text/html" in output for output in outputs) == 6
    for name in ("metrics.csv", "loss_curves.png", "landscape.png", "final_model.pt"):
        assert (tmp_path / "results" / name).stat().st_size > 0


def test_it_compares_the_optimizers_of_the_guide() -> None:
    known: dict[str, list[str]] = {}
    exec(parameters(read()).source, {}, known)
    assert set(known["OPTIMIZERS"]) == set(GUIDE_OPTIMIZERS) - {"SGD"}


def test_every_table_and_picture_follows_words_that_say_what_it_measures() -> None:
    cells = read().cells
    for before, cell in itertools.pairwise(cells):
        if cell.cell_type == "code" and ("display(" in cell.source or "over_seeds(" in cell.source):
            assert before.cell_type == "markdown", cell.source


def test_it_is_committed_without_outputs() -> None:
    assert not any(cell.get("outputs") for cell in read().cells)
