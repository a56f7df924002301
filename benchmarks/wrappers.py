"""What does a component around an optimizer cost, beside the optimizer alone?

Run by hand: ``python benchmarks/wrappers.py [--shapes eight-million ppo] [--repeats 21]``. Each component goes around
torch's fused Adam or AdamW, and is held against that optimizer alone, and where there is one against the optimizer of
this package that does the same. One thread, unless told otherwise; all in one process, in rounds, in another order each
round; a ratio is taken within a round.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch

from contenders import SHAPES, Contender, Run, coordinates
from measuring import interleaved, options_of, paired, quartiles, write
from waddington import optim

Params = list[torch.nn.Parameter]

ROUNDS = {"eight-million": 15, "ppo": 31}
WARM_UP = 25  # steps: what is decided every ten steps has been decided twice
ADAM, ADAMW = "Adam, fused", "AdamW, fused"


def _adam(params: Params) -> torch.optim.Optimizer:
    return torch.optim.Adam(params, lr=1e-3, fused=True)


def _adamw(params: Params) -> torch.optim.Optimizer:
    return torch.optim.AdamW(params, lr=1e-3, fused=True)


def _switched(switch: str) -> Callable[[Params], torch.optim.Optimizer]:
    return lambda params: optim.Switched(_adam(params), switch=switch)


WRAPPED: dict[str, tuple[Callable[[Params], torch.optim.Optimizer], str]] = {
    ADAM: (_adam, ADAM),
    ADAMW: (_adamw, ADAMW),
    "AlphaAdam": (lambda params: optim.AlphaAdam(params, weight_decay=1e-2), ADAMW),
    "ASGDAdam": (lambda params: optim.ASGDAdam(params), ADAM),
    "Switched, relative": (_switched("relative"), ADAM),
    "Switched, linear": (_switched("linear"), ADAM),
    "Switched, mean": (_switched("mean"), ADAM),
    "Switched, coordinate": (_switched("coordinate"), ADAM),
    "Masked": (lambda params: optim.Masked(_adamw(params)), "AlphaAdam"),
    "Masked, synchronous": (lambda params: optim.Masked(_adamw(params), mask="synchronous"), "AlphaAdam"),
    "Compressed, top-k": (lambda params: optim.Compressed(_adamw(params)), ADAMW),
    "Compressed, quantize": (lambda params: optim.Compressed(_adamw(params), method="quantize"), ADAMW),
    "Projected, ball": (lambda params: optim.Projected(_adamw(params), "ball"), ADAMW),
    "Lookahead": (lambda params: optim.Lookahead(_adamw(params)), ADAMW),
}
"""By label: how it is built, and what its time is held against."""


def measure(shape: str, labels: list[str], rounds: int) -> dict[str, Any]:
    """Measure all on one model; give seconds by round."""
    runs = {}
    for label in labels:
        runs[label] = run = Run(Contender(label, "", WRAPPED[label][0]), SHAPES[shape]())
        for _ in range(WARM_UP):
            run.prepare()
            run.step()
    seconds = interleaved(runs, rounds=rounds, inner=10)
    record = {"shapes": shape, "coordinates": coordinates(SHAPES[shape]()), "threads": torch.get_num_threads()}
    return record | {"rounds": rounds, "seconds": seconds}


def shown(record: dict[str, Any]) -> list[str]:
    """Give the lines of a table."""
    counted = f"{record['coordinates']:,} parameters, threads: {record['threads']}, {record['rounds']} rounds"
    lines = [f"\n{record['shapes']}: {counted}"]
    for label, seconds in record["seconds"].items():
        other = WRAPPED[label][1]
        low, middle, high = quartiles(paired(seconds, record["seconds"][other]))
        time_ms = 1e3 * quartiles(seconds)[1]
        lines.append(f"{label:24s}{time_ms:9.3f} ms{middle:8.2f} [{low:.2f}, {high:.2f}] times {other}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(ROUNDS), help="models")
    parser.add_argument("--only", nargs="+", choices=WRAPPED, help="some of them; the others' are left out")
    parser.add_argument("--repeats", type=int, help="rounds")
    options = options_of(parser, "wrappers", threads=1)
    chosen = set(options.only or WRAPPED)
    chosen |= {WRAPPED[label][1] for label in chosen}
    chosen |= {WRAPPED[label][1] for label in chosen}  # of those, too
    labels = [label for label in WRAPPED if label in chosen]
    results = []
    for shape in options.shapes if not options.quick else ["ppo"]:
        rounds = options.repeats or (3 if options.quick else ROUNDS.get(shape, 7))
        results.append(measure(shape, labels, rounds))
        print("\n".join(shown(results[-1])), flush=True)
    write(options.out, {"results": results})


if __name__ == "__main__":
    main()
