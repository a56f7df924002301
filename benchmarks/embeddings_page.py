"""Write the tables of docs/embeddings.md from what the embedding benchmarks measured.

Run by hand, after them: ``python benchmarks/embeddings_page.py [--records benchmarks/out/embeddings]``. The folder has
what ``embeddings.py`` wrote with ``--json``, a file a data set (simulator.json, scicar.json, …), and links.json of
``links.py``. Everything between ``<!-- generated: NAME -->`` and ``<!-- end -->`` is written anew; a block whose record
is not there stays as it is. The words around blocks are written by people, and name no figure.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from measuring import OUT, ROOT, reflowed, say
from response_page import BLOCK, Record, source
from speed_page import table
from waddington._files import write_text

PAGE = ROOT / "docs" / "embeddings.md"
METHODS = ("PCA/LSI", "trained encoder", "as it was", "untrained encoder", "random projection", "noise")


def embeddings(record: Record) -> list[str]:
    """Tabulate what each representation is worth, and the trained encoder's difference to components."""
    rows = [row for row in record["scores"] if not row["method"].startswith("no representation")]
    methods = [name for name in METHODS if any(row["method"] == name for row in rows)]
    asked = list(dict.fromkeys((row["task"], row["space"]) for row in rows))
    cells = []
    for task, space in asked:
        of = {row["method"]: row for row in rows if (row["task"], row["space"]) == (task, space)}
        values = [f"{of[name]['value']:.3f}" if name in of else "" for name in methods]
        cells.append((f"{task}: {space}", *values[:2], gain(of.get("trained encoder")), *values[2:]))
    others = [row for row in record["scores"] if row["method"].startswith("no representation")]
    lines = [f"{source(record)} {record['seeds']} splits.", ""]
    lines += table(("asked", *methods[:2], "trained less PCA/LSI", *methods[2:]), cells)
    if others:
        told = "; ".join(f"{row['method'].split(': ')[1]} {row['value']:.3f}" for row in others)
        lines += ["", f"Prediction by models of the features themselves: {told}."]
    return lines


def gain(row: dict[str, Any] | None) -> str:
    """Write the paired difference with its interval, bold where the interval excludes 0."""
    if row is None or row.get("gain") is None or not np.isfinite(row.get("gain", np.nan)):
        return ""
    shown = f"{row['gain']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
    return f"**{shown}**" if row["low"] > 0 or row["high"] < 0 else shown


def links(record: Record) -> list[str]:
    """Tabulate how known links rank, and what is called a link."""
    lines = [f"{source(record)} Mean over {record['seeds']} draws.", ""]
    heads = ("cells", "pair", "score", "AUROC", "permuted", "AUPRC", "permuted", "above the neighbour's")
    cells = []
    for row in record["scores"]:
        beside = row["above the neighbour's"]
        values = [f"{row[name]:.3f}" for name in ("AUROC", "AUROC, permuted")]
        values += [f"{row[name]:.4f}" for name in ("AUPRC", "AUPRC, permuted")]
        shown = "" if beside is None or beside != beside else f"{beside:.3f}"
        cells.append((row["cells"], row["pair"], row["score"], *values, shown))
    lines += [*table(heads, cells), "", "What `twin.tl.links` calls links:", ""]
    counts = [
        (row["cells"], row["pair"], row["candidates"], *(f"{row[name]:,.0f}" for name in ("tested", "links", "known")))
        for row in record["links"]
    ]
    return [*lines, *table(("cells", "pair", "candidates", "tested", "links", "known among them"), counts)]


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, default=OUT / "embeddings", help="folder of the records")
    folder = parser.parse_args().records

    def written(block: Any) -> str:
        path = folder / f"{block[2]}.json"
        if not path.exists():
            say(f"{block[2]}: no record in {folder}, left as it is")
            return str(block[0])
        record = json.loads(path.read_text(encoding="utf-8"))
        lines = links(record) if block[2] == "links" else embeddings(record)
        return block[1] + "\n" + "\n".join(lines) + "\n\n" + block[3]

    write_text(PAGE, reflowed(BLOCK.sub(written, PAGE.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
