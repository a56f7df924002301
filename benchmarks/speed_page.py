"""Write the tables of docs/speed.md, and its pictures, from what the speed benchmarks measured.

Run by hand, after them: ``python benchmarks/speed_page.py [--records benchmarks/out]``. Everything between
``<!-- generated: NAME ... -->`` and ``<!-- end -->`` is written anew; the words around it are written by people and are
left alone, so they name no figure.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import speed_pictures
from contenders import ADAM, BYTES, FUSED, SMALL
from measuring import OUT, ROOT, paired, quartiles, reflowed
from waddington._files import write_text
from waddington.optim.kernels.devices import read_records

PAGE = ROOT / "docs" / "speed.md"
PICTURES = ROOT / "docs" / "pictures"
BLOCK = re.compile(r"(<!-- generated: ([a-z-]+)(?: ([^>]*?))? -->\n).*?(<!-- end -->)", re.DOTALL)
AIMS = {"ASGDAdam": 1.64, "ASGDAdam, relative": 1.15, "AMGT": 1.15, "AMVT": 1.48, "AlphaAdam": 1.64}
"""The most that the median ratio to fused AdamW on eight million parameters is to be: 1.15 × 40, 28, 28, 36, 40 by
28."""
PROPAGATE = ", propagate"
Records = dict[str, dict[str, Any]]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Give a Markdown table, the first column to the left and the others to the right."""
    lines = [f"| {' | '.join(heads)} |", f"| --- | {' | '.join('---:' for _ in heads[1:])} |"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def source(records: Records, name: str) -> list[str]:
    """Say by what command, when, on what a record was made."""
    record = records[name]
    machine, versions = record["machine"], record["versions"]
    libraries = ", ".join(f"{library} {version}" for library, version in versions.items() if version)
    return [
        f"`{record['command']}`, {record['date']}, commit {record['commit']}; {machine['processor']},"
        f" {machine['cores']} cores, {machine['vector_instructions']}, {machine['memory_gib']} GiB,"
        f" {machine['system']}, OMP_WAIT_POLICY={machine.get('wait_policy') or 'not set'};"
        f" {libraries}."
    ]


def find(records: Records, shape: str, dtype: str) -> dict[str, Any]:
    return next(
        r for r in records["step_time"]["results"] if (r["shapes"], r["dtype"], r["device"]) == (shape, dtype, "cpu")
    )


def ratio(result: dict[str, Any], label: str, to: str = FUSED) -> tuple[float, float, float]:
    """Give quartiles of the ratios of two contenders' times."""
    entries = result["contenders"]
    return quartiles(paired(entries[label]["seconds"], entries[to]["seconds"]))


def milliseconds(entry: dict[str, Any]) -> str:
    return figures(1e3 * quartiles([value for value in entry["seconds"] if value is not None])[1])


def figures(value: float) -> str:
    """Give three figures, the last ones too if they are zeros."""
    return f"{value:#.3g}".rstrip(".")


def spread(ratios: tuple[float, float, float]) -> str:
    low, middle, high = ratios
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def step_time(records: Records, shape: str, dtype: str) -> list[str]:
    """Give the whole table of one model."""
    result = find(records, shape, dtype)
    if "skipped" in result:
        return [f"Not measured: {result['skipped']}."]
    entries = result["contenders"]
    rows = []
    for label, entry in entries.items():
        ratios = ratio(result, label)
        floor = entry["bytes"] / entries[FUSED]["bytes"] if entry["bytes"] else None
        nearest = entry["nearest"] if entry["nearest"] in entries else ""
        rows.append(
            [
                f"{label} (pytorch_optimizer)" if entry["package"] == "pytorch_optimizer" else label,
                " · ".join(passes.replace(">", "→") for passes in entry["passes"]),
                f"{entry['bytes']:g}" if entry["bytes"] else "",
                milliseconds(entry),
                spread(ratios),
                f"{floor:.2f}" if floor else "",
                f"{ratios[1] / floor:.2f}" if floor else "",
                f"{ratio(result, nearest, label)[1]:.1f} × ({nearest})" if nearest else "",
            ]
        )
    heads = ["optimizer", "passes", "bytes", "ms", "to fused AdamW", "floor", "ratio by floor", "nearest takes"]
    lines = [
        f"{result['tensors']:,} tensors, {result['coordinates']:,} parameters, {result['dtype']},"
        f" {result['threads']} thread{'s' * (result['threads'] > 1)}, {result['rounds']} rounds.",
        "",
        *table(heads, rows),
    ]
    missing = [f"{name}: {reason}." for name, reason in result["missing"].items()]
    return lines + (["", *missing] if missing else [])


def aims(records: Records) -> list[str]:
    """Say which of the aims are met, and which are not."""
    result = find(records, "eight-million", "float32")
    rows = []
    for name, aim in AIMS.items():
        cells = []
        for label in (name, name + PROPAGATE):
            middle = ratio(result, label)[1]
            cells.append(f"{middle:.2f}, {'met' if middle <= aim else f'missed by {middle / aim - 1:.0%}'}")
        nearest = result["contenders"][name]["nearest"]
        times = ratio(result, nearest, name)[1]
        cells += [f"{times:.1f} ×, {'met' if times >= 10 else 'missed'}", f"{ratio(result, nearest, BYTES)[1]:.1f} ×"]
        rows.append([name, f"{aim:.2f}", *cells])
    heads = [
        "optimizer",
        "aim",
        "default",
        '`nonfinite="propagate"`',
        "nearest takes 10 × as long or more",
        f"and of {BYTES}",
    ]
    return table(heads, rows)


def small_aim(records: Records) -> list[str]:
    """Say which of ours cost no more than torch's default Adam on small models."""
    lines = []
    for shape in SMALL:
        result = find(records, shape, "float32")
        verdicts: dict[str, list[str]] = {"met by": [], "missed by": []}
        for name in AIMS:
            for label in (name, name + PROPAGATE):
                middle = ratio(result, label, ADAM)[1]
                verdicts["met by" if middle <= 1.0 else "missed by"].append(f"{label} ({middle:.2f})")
        lines += [f"- {shape}: {verdict} {'; '.join(labels)}." for verdict, labels in verdicts.items() if labels]
    return lines


def models(records: Records) -> list[str]:
    """Give the ratios of some optimizers on every model but the first."""
    results = [r for r in records["step_time"]["results"] if r["device"] == "cpu" and r["dtype"] == "float32"]
    results = [r for r in results[1:] if r["contenders"]]
    labels = [FUSED, BYTES, "AdamW, foreach", ADAM]
    labels += [label for name in AIMS for label in (name, name + PROPAGATE)]
    found = list(dict.fromkeys(label for r in results for label in r["contenders"]))
    labels += [
        label
        for label in found
        if any(r["contenders"].get(label, {}).get("package") in ("pytorch_optimizer", "heavyball") for r in results)
    ]
    rows = []
    for label in labels:
        cells = []
        for r in results:
            entry = r["contenders"].get(label)
            if entry is None:
                cells.append("")
            elif label == FUSED:
                cells.append(f"{milliseconds(entry)} ms")
            elif ADAM in r["contenders"] and label != ADAM:
                cells.append(f"{ratio(r, label)[1]:.2f} / {ratio(r, label, ADAM)[1]:.2f}")
            else:
                cells.append(f"{ratio(r, label)[1]:.2f}")
        rows.append([label, *cells])
    heads = [f"{r['shapes']}: {r['tensors']:,} tensors, {r['coordinates']:,}, {r['threads']} thr." for r in results]
    lines = table(["to fused AdamW / to Adam", *heads], rows)
    for r in results:
        lines += [line for name, reason in r["missing"].items() for line in ("", f"{r['shapes']}: {name} {reason}.")]
    skipped = [r for r in records["step_time"]["results"] if "skipped" in r]
    return lines + [
        line for r in skipped for line in ("", f"Not measured: {r['shapes']}, {r['dtype']}, {r['skipped']}.")
    ]


def memory(records: Records) -> list[str]:
    record = records["memory"]
    rows = []
    for label, found in record["results"].items():
        cells = [f"{found[name]:.2f}" for name in ("state", "held", "extra")]
        rows.append([label, *cells, f"{found['extra_bytes'] / 2**20:.1f}"])
    heads = ["optimizer", "state", "held", "extra of a step", "extra, MiB"]
    missing = [line for name, reason in record["missing"].items() for line in ("", f"{name}: {reason}.")]
    return [
        f"Model: {record['shape']}, float32, {record['coordinates']:,} parameters.",
        "",
        *table(heads, rows),
        *missing,
    ]


def first_steps(records: Records) -> list[str]:
    rows = []
    for row in records["compile_cost"]["first_steps"]:
        empty, filled = row["empty"], row["filled"]
        after = max(empty["after"].values()) - empty["kernels"]
        rows.append(
            [
                row["optimizer"],
                str(row["tensors"]),
                f"{empty['coordinates']:,}",
                f"{empty['first']:.1f}",
                f"{filled['first']:.2f}",
                f"{1e3 * empty['later']:.2f}",
                str(empty["kernels"]),
                str(filled["kernels"]),
                str(after),
            ]
        )
    heads = ["optimizer", "tensors", "parameters", "first step, empty cache, s", "filled cache, s", "later steps, ms"]
    return table([*heads, "kernels made, empty", "filled", "made after lr, betas, decay, another group"], rows)


def paid(records: Records) -> list[str]:
    record = records["compile_cost"]
    rows = []
    for row in record["savings"]:
        steps = [speed_pictures.steps_until_paid(record["costs"][which], row) for which in ("empty", "filled")]
        cells = [f"{count:,.0f}" if count is not None else "never" for count in steps]
        rows.append([f"{row['coordinates']:,}", figures(1e3 * row["eager"]), figures(1e3 * row["compiled"]), *cells])
    heads = ["parameters", "eager, ms", "compiled, ms", "steps to pay, empty cache", "filled cache"]
    text = f'{record["savings_of"]}. `compile="auto"` compiles from {record["compile_from"]:,} parameters on.'
    return [text, "", *table(heads, rows)]


def scaling(records: Records) -> list[str]:
    record = records["scaling"]
    labels = list(dict.fromkeys(label for row in record["results"] for label in row["seconds"]))
    rows = []
    for row in record["results"]:
        times = [row["seconds"].get(label) for label in labels]
        cells = [f"{1e9 * quartiles(each)[1] / row['coordinates']:.2f}" if each else "" for each in times]
        counts = {count for label, count in row["collectives"].items() if label != FUSED}
        who = f"{row['processes']} × {row['threads']} thread{'s' * (row['threads'] > 1)}"
        rows.append([f"{row['coordinates']:,}", who, *cells, ", ".join(map(str, sorted(counts)))])
    left = [f"{size:.0e}" for size in record["left_out"]]
    note = ["", f"Left out for want of memory: {', '.join(left)}."] if left else []
    return table(["parameters", "processes", *labels, "collectives a step, ours"], rows) + note


def gpu(records: Records) -> list[str]:
    """Give what is known of GPUs: the package's own records of devices (``make gpu``)."""
    found = read_records()
    if not found:
        return ["No GPU was at hand: `make gpu` makes a record where there is one, and none has been made."]
    rows = [
        (record.device, name, dtype, f"{paths['eager']:.2f}", f"{paths['compiled']:.2f}")
        for record in found
        for dtype, optimizers in record.ratios.items()
        for name, paths in optimizers.items()
    ]
    lines = [
        f"{record.device}: `make gpu`, {record.date}, commit {record.commit}, torch {record.torch}; "
        + ("all checks passed." if not record.broken else f"not passed: {', '.join(record.broken)}.")
        for record in found
    ]
    return [*table(["GPU", "optimizer", "dtype", "eager, to fused AdamW", "compiled"], rows), "", *lines]


BLOCKS: dict[str, Callable[..., list[str]]] = {
    "source": source,
    "step-time": step_time,
    "aims": aims,
    "small-aim": small_aim,
    "models": models,
    "memory": memory,
    "first-steps": first_steps,
    "paid": paid,
    "scaling": scaling,
    "gpu": gpu,
}


def rewritten(text: str, records: Records, only: str | None = None) -> str:
    """Give a page with all of its blocks, or those of one name, written anew."""

    def replaced(match: re.Match[str]) -> str:
        start, name, arguments, end = match.groups()
        if only not in (None, name):
            return match.group()
        return "\n".join([start.rstrip("\n"), "", *BLOCKS[name](records, *(arguments or "").split()), "", end])

    return BLOCK.sub(replaced, text)


def write_blocks(name: str) -> None:
    """Write blocks of one name anew that need no records of the speed benchmarks."""
    write_text(PAGE, reflowed(rewritten(PAGE.read_text(encoding="utf-8"), {}, name)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, default=OUT, help="folder of the JSON files (default: benchmarks/out)")
    options = parser.parse_args()
    records: Records = {}
    for name in speed_pictures.PICTURES:
        path = options.records / f"{name}.json"
        if not path.exists():
            parser.error(f"no {path}: run python benchmarks/{name}.py first, or make bench")
        records[name] = json.loads(path.read_text(encoding="utf-8"))
        speed_pictures.save(name, records[name], PICTURES / f"speed-{name.replace('_', '-')}.png")
    write_text(PAGE, reflowed(rewritten(PAGE.read_text(encoding="utf-8"), records)))
    print(f"wrote {PAGE.relative_to(ROOT)} and its pictures")


if __name__ == "__main__":
    main()
