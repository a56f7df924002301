"""What the evaluator finds where the answer is known: measured screens, a negative control, permuted labels.

    WADDINGTON_DATA=... python benchmarks/evaluator.py [--repeats 10] [--null-repeats 20] [--json FILE]

Run by hand; ten minutes on a quiet core. Of each screen it says how many conditions are measurable, how well the
hierarchical additive model and its rivals predict them, and what all of them score on permuted labels: mean Pearson r
over all conditions and splits, and how many conditions count as measurable then.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from measuring import say, write
from waddington.twin.evaluate.protocol.evaluation import EVERY
from waddington.twin.run import evaluate_file

MODELS = ("mean", "scaled additive", "similarity-weighted", "hierarchical additive")


@dataclass(frozen=True)
class Screen:
    """A file below the data folder, and how it is read."""

    name: str
    file: str
    options: dict[str, Any] = field(default_factory=dict)


SCREENS = (
    Screen("K562, X as given", "perturbseq_norman19/norman19_subset.h5ad", {"normalization": "none"}),
    Screen("K562, panel median", "perturbseq_norman19/norman19_subset.h5ad"),
    Screen(
        "glioma by line",
        "perturbseq_mcfaline23/mcfaline23_subset.h5ad",
        {"normalization": "none", "group_key": "cell_type"},
    ),
)


def judge(screen: Screen, data: Path, repeats: int, null_repeats: int) -> dict[str, Any]:
    """Evaluate one screen; give counts and scores."""
    with tempfile.TemporaryDirectory() as out:
        found = evaluate_file(
            data / screen.file, out, models=MODELS, repeats=repeats, null_repeats=null_repeats, **screen.options
        ).evaluation
    summary = found.summary[found.summary["conditions"] == "all"]
    scores = {
        f"{row.split}/{row.model}/{row.metric}": [row.value, row.low, row.high, row.n]
        for row in summary[summary["metric"].isin(["pearson", "ncse"])].itertuples(index=False)
    }
    null = found.null[found.null["split"] == EVERY]
    return {
        **asdict(screen),
        "measurable": int(found.conditions["measurable"].sum()),
        "conditions": len(found.conditions),
        "scores": scores,
        "null": {row.model: row.pearson for row in null.itertuples(index=False)},
        "null_measurable": int(null["n_measurable"].iloc[0]) if len(null) else None,
        "null_conditions": int(null["n_conditions"].iloc[0]) if len(null) else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10, help="halvings")
    parser.add_argument("--null-repeats", type=int, default=20, help="draws of labels")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    data = os.environ.get("WADDINGTON_DATA")
    if data is None:
        parser.error("WADDINGTON_DATA is not set: it names the folder of the data sets (see CONTRIBUTING.md)")
    found = []
    for screen in SCREENS:
        result = judge(screen, Path(data), options.repeats, options.null_repeats)
        found.append(result)
        say(f"\n{screen.name}: {result['measurable']} of {result['conditions']} conditions are measurable")
        for key, (value, low, high, n) in result["scores"].items():
            split, model, metric = key.split("/")
            say(f"  {split:16s}{model:24s}{metric:9s}{value:7.3f} [{low:.3f}, {high:.3f}]  n = {n}")
        shown = ", ".join(f"{model} {r:.3f}" for model, r in result["null"].items())
        say(f"  permuted labels: {shown}; measurable {result['null_measurable']} of {result['null_conditions']}")
    if options.json:
        write(options.json, {"screens": found})


if __name__ == "__main__":
    main()
