"""Write the tables of docs/responses.md from what the response benchmarks measured.

Run by hand, after them: ``python benchmarks/response_page.py [--records benchmarks/out]``. The folder holds what they
wrote with ``--json``: simulator.json, k562.json, papalexi.json, kang.json and protein.json of ``responses.py``,
gears.json of ``responses_gears.py``, evaluator.json of ``evaluator.py``, intervals.json of ``intervals.py``,
scaling.json of ``response_scaling.py``; what others published stands in ``published_responses.py``. Everything between
``<!-- generated: NAME -->`` and ``<!-- end -->`` is written anew; a block whose record is not there stays as it is. The
words around blocks are written by people, and name no figure.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from measuring import OUT, ROOT, reflowed, say
from published_responses import PUBLISHED, SOURCES
from speed_page import table
from waddington._files import write_text

PAGE = ROOT / "docs" / "responses.md"
BLOCK = re.compile(r"(<!-- generated: ([a-z0-9]+) -->\n).*?(<!-- end -->)", re.DOTALL)
SHOWN = (
    *("no change", "mean", "denoised mean", "mean shift", "strongest single", "additive", "scaled additive"),
    *("empirical-Bayes additive", "similarity-weighted", "same type in the other", "hierarchical additive"),
    *("without a pair kernel", "unlimited"),
)
"""Models in the order of the tables; others follow as they come."""

Record = dict[str, Any]


def source(record: Record) -> str:
    """Say by what command, when, on what a record was made."""
    command = re.sub(r"--data \S+", "--data FILE", re.sub(r" --json \S+", "", record["command"]))
    return f"`{command}`, {record['date']}, commit {record['commit']}."


def interval(row: Record, name: str, digits: int = 3) -> str:
    """Write a value with its interval."""
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    shown = f"{row[name]:.{digits}f}"
    return shown if low is None or low != low else f"{shown} [{low:.{digits}f}, {high:.{digits}f}]"


def scores(record: Record) -> list[str]:
    """Tabulate models by split: ncSE and r with intervals over conditions, and the ratio to the reference."""
    rows = sorted(record["scores"], key=lambda row: SHOWN.index(row["model"]) if row["model"] in SHOWN else 99)
    splits = dict.fromkeys(row["split"] for row in record["scores"])
    lines = [source(record)]
    for split in splits:
        part = [row for row in rows if row["split"] == split]
        cells = [
            (row["model"], str(row["conditions"]), interval(row, "ncse"), interval(row, "r"), interval(row, "ratio", 2))
            for row in part
        ]
        lines += ["", f"**{split}**", "", *table(("model", "conditions", "ncSE", "r", "ncSE, ratio"), cells)]
    return lines + covered(record.get("coverage", []))


def covered(rows: Iterable[Record]) -> list[str]:
    """Tabulate the coverage of the posterior's intervals."""
    kept = [row for row in rows if row["kind"] == "posterior"]
    if not kept:
        return []
    genes = list(dict.fromkeys(row["genes"] for row in kept))
    cells = []
    for split in dict.fromkeys(row["split"] for row in kept):
        of = {row["genes"]: row for row in kept if row["split"] == split}
        cells.append((split, *(f"{of[one]['inside'] / of[one]['n']:.3f}" if one in of else "" for one in genes)))
    return ["", "Coverage of 90 % intervals of observed effects, by features:", "", *table(("split", *genes), cells)]


def evaluator(record: Record) -> list[str]:
    """Tabulate what is measurable, and what permuted labels score."""
    cells = []
    for screen in record["screens"]:
        largest = max((abs(r) for r in screen["null"].values() if r == r), default=float("nan"))
        null = f"{screen['null_measurable']} of {screen['null_conditions']}"
        cells.append((screen["name"], f"{screen['measurable']} of {screen['conditions']}", f"{largest:.3f}", null))
    heads = ("screen", "measurable", "permuted labels: largest mean r", "permuted labels: measurable")
    return [source(record), "", *table(heads, cells)]


def scaling(record: Record) -> list[str]:
    """Tabulate time and memory of fit and prediction."""
    cells = [
        (
            f"{row['singles']:,} singles, {row['doubles']:,} doubles, {row['genes']:,} features",
            str(row["threads"]),
            f"{row['processor']:.1f}",
            f"{row['wall']:.1f}",
            f"{row['load']:.1f}",
            f"{row['peak']:.2f}",
        )
        for row in record["screens"]
    ]
    tail = f"Slope of time over the number of singles: {record['slope']:.2f}."
    names = ("screen", "threads", "processor seconds", "wall seconds", "load", "peak GiB")
    return [source(record), "", *table(names, cells), "", tail]


def intervals(record: Record) -> list[str]:
    """Tabulate how many changes the intervals hold, by what answers rest on, with their width and score."""
    cells = [
        (
            row["split"], row["support"], row["interval"], str(row["conditions"]),
            *(f"{row[kind]:.3f} {row[f'{kind}, 95 %']}" for kind in ("expressed", "changed")),
            *(f"{row[f'expressed, {what}']:.2f}" for what in ("width", "score")),
        )
        for row in record["coverage"]
    ]  # fmt: skip
    names = ("screen", "answers", "interval", "conditions", "expressed", "changed", "width", "score")
    return [source(record), "", *table(names, cells)]


def published() -> list[str]:
    """Tabulate what others published."""
    cells = []
    for split, at in dict.fromkeys((one.split, one.source) for one in PUBLISHED):
        here = [one for one in PUBLISHED if (one.split, one.source) == (split, at)]
        cells.append((split, ", ".join(f"{one.model} {one.pearson:g}" for one in here), at))
    lines = [f"- {at}: {words}." for at, words in SOURCES.items()]
    return [*table(("split", "r, as published", "source"), cells), "", *lines]


BLOCKS: dict[str, Callable[[Record], list[str]]] = {
    **dict.fromkeys(("simulator", "k562", "gears", "papalexi", "kang", "protein"), scores),
    "evaluator": evaluator,
    "intervals": intervals,
    "scaling": scaling,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, default=OUT, help="folder of the records")
    folder = parser.parse_args().records

    def written(block: re.Match[str]) -> str:
        if block[2] == "published":
            return block[1] + "\n" + "\n".join(published()) + "\n\n" + block[3]
        path = folder / f"{block[2]}.json"
        if not path.exists():
            say(f"{block[2]}: no record in {folder}, left as it is")
            return block[0]
        lines = BLOCKS[block[2]](json.loads(path.read_text(encoding="utf-8")))
        return block[1] + "\n" + "\n".join(lines) + "\n\n" + block[3]

    write_text(PAGE, reflowed(BLOCK.sub(written, PAGE.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
