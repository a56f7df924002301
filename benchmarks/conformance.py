"""What do optimizers owe their user, and who keeps it? Checks whole libraries and writes docs/conformance.md.

Run by hand: ``python benchmarks/conformance.py [--libraries torch waddington] [--jobs 2]``. About five minutes on two
cores. Libraries that are not installed are left out, and the page says so. The figures also go to
benchmarks/out/conformance.json.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib
import importlib.metadata
import inspect
import io
import json
import multiprocessing
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

# Before torch is imported, here and in every process that is started.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from measuring import commit, reflowed
from waddington.optim.engine import RuleOptimizer
from waddington.optim.projection import Box
from waddington.optim.registry.ours import CATALOGUE
from waddington.optim.testing import check_optimizer, checks
from waddington.optim.wrappers.base import OptimizerWrapper

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "conformance.md"
FIGURES = ROOT / "benchmarks" / "out" / "conformance.json"
TORCH = (
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "Adamax",
    "AdamW",
    "ASGD",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
)
TORCHAO = ("Adam8bit", "AdamW8bit", "Adam4bit", "AdamW4bit", "AdamWFp8")
SCHEDULE_FREE = ("AdamWScheduleFree", "RAdamScheduleFree", "SGDScheduleFree")
# Compiling and two processes take seconds each; a hundred optimizers of one library would take half an hour.
SLOW = ("torch", "waddington", "schedulefree")
# Of components that have no default: a box that no parameter comes near.
REQUIRED: dict[str, dict[str, Any]] = {"Projected": {"onto": Box(-1e3, 1e3)}}
FULFILLED = ("passed", "refused")
CURT = "refused without saying what to use instead"


class Variant:
    """An optimizer with arguments of ours: in training mode where it has one, and with a wrapper around it or none."""

    def __init__(self, cls: type, name: str = "", wrapper: type | None = None, **arguments: Any) -> None:
        self.cls, self.wrapper, self.arguments = cls, wrapper, arguments
        self.__name__ = name or cls.__name__
        self.__signature__ = inspect.signature(cls)

    def __call__(self, params: Any, **kwargs: Any) -> torch.optim.Optimizer:
        if self.wrapper is not None:
            return self.wrapper(self.cls(params, **kwargs), **self.arguments)
        optimizer = self.cls(params, **self.arguments, **kwargs)
        if hasattr(optimizer, "train"):
            optimizer.train()  # a schedule-free optimizer refuses to step without
        return optimizer


def ours() -> dict[str, Callable[..., torch.optim.Optimizer]]:
    """Give this package's optimizers, its components around torch's AdamW, and what the registry alone names."""
    module = importlib.import_module("waddington.optim")
    named_alone = [spec for spec in CATALOGUE if spec.cls.__module__.startswith("waddington.")]
    found: dict[str, Callable[..., torch.optim.Optimizer]] = {spec.name: spec.cls for spec in named_alone}
    for name in module.__all__:
        cls = getattr(module, name)
        if not (inspect.isclass(cls) and issubclass(cls, torch.optim.Optimizer)):
            continue
        if issubclass(cls, OptimizerWrapper):
            found[f"{name}(AdamW)"] = Variant(torch.optim.AdamW, f"{name}(AdamW)", cls, **REQUIRED.get(name, {}))
        elif cls is not RuleOptimizer:  # of which the others are made; it is none by itself
            found[name] = cls
    return dict(sorted(found.items(), key=lambda item: item[0].casefold()))


def pytorch_optimizer() -> dict[str, Callable[..., torch.optim.Optimizer]]:
    module = importlib.import_module("pytorch_optimizer.optimizer")
    # It hands some classes of torch on, which are judged under torch.
    own = {c.__name__: c for c in module.OPTIMIZERS.values() if c.__module__.startswith("pytorch_optimizer")}
    return dict(sorted(own.items(), key=lambda item: item[0].casefold()))


def of_torch() -> dict[str, Callable[..., torch.optim.Optimizer]]:
    momentum = Variant(torch.optim.SGD, "SGD with momentum", momentum=0.9)
    return {name: getattr(torch.optim, name) for name in TORCH} | {momentum.__name__: momentum}


def named(module: str, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(importlib.import_module(module), name) for name in names}


LIBRARIES: dict[str, Callable[[], dict[str, Callable[..., torch.optim.Optimizer]]]] = {
    "torch": of_torch,
    "waddington": ours,
    "pytorch_optimizer": pytorch_optimizer,
    "schedulefree": lambda: {name: Variant(cls) for name, cls in named("schedulefree", SCHEDULE_FREE).items()},
    "torchao": lambda: named("torchao.optim", TORCHAO),
    "transformers": lambda: named("transformers.optimization", ["Adafactor"]),
}


def examine(task: tuple[str, str]) -> dict[str, Any]:
    """Check one optimizer in a process of the pool; what it prints is not kept."""
    library, name = task
    torch.set_num_threads(1)
    # torchao's step compiles anew for each of the many shapes here, which takes minutes and is not what is judged.
    stance = torch.compiler.set_stance("force_eager") if library == "torchao" else contextlib.nullcontext()
    with stance, contextlib.redirect_stdout(io.StringIO()):
        report = check_optimizer(LIBRARIES[library]()[name], slow=library in SLOW)
    return {**report.to_dict(), "optimizer": name, "library": library}


def version_of(library: str) -> str:
    return f"{library} {importlib.metadata.version(library)}"


def examined(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [report for report in reports if any(result["status"] != "error" for result in report["results"])]


def counts(results: list[dict[str, Any]]) -> tuple[int, int]:
    """Count the fulfilled among the checks that apply."""
    statuses = Counter(result["status"] for result in results)
    return sum(statuses[status] for status in FULFILLED), sum(statuses.values()) - statuses["not applicable"]


def most_frequent(messages: list[str]) -> str:
    """Give one of the most frequent messages, those that differ in numbers alone taken together."""
    kinds = Counter(re.sub(r"[0-9.]+(e[+-]?[0-9]+)?", "#", message) for message in messages)
    wanted = kinds.most_common(1)[0][0] if kinds else ""
    return next((m for m in messages if re.sub(r"[0-9.]+(e[+-]?[0-9]+)?", "#", m) == wanted), "")


def plain(message: str) -> str:
    """Keep Markdown from reading a message as a table or a link."""
    return message.replace("|", r"\|").replace("[", r"\[").replace("]", r"\]")


def page(reports: list[dict[str, Any]], missing: list[str], command: str, seconds: float) -> str:
    libraries = list(dict.fromkeys(report["library"] for report in reports))
    judged = examined(reports)
    lines = [
        "# Conformance",
        "",
        f"<!-- generated by {command} -->",
        "",
        "What a torch optimizer owes its user, checked by `waddington.optim.testing.check_optimizer`, which runs on",
        "anybody's optimizer:",
        "",
        "```python",
        "import torch",
        "from waddington.optim.testing import check_optimizer",
        "",
        "print(check_optimizer(torch.optim.AdamW))",
        "```",
        "",
        f"`{command}`, {datetime.date.today()}, commit {commit()}, {seconds:.0f} s; Python {platform.python_version()},"
        f" {', '.join(version_of(library) for library in dict.fromkeys(['torch', *libraries]))}."
        + (f" Not installed: {', '.join(missing)}." if missing else ""),
        "",
        "Every optimizer has its own defaults. A refusal counts as fulfilled where it comes before anything has",
        "changed and its message names what was found and what to use instead. Some rows fail by design, and say what",
        "a user of such an optimizer has to know: Rprop and schedule-free methods do not go by the rate alone, and",
        "nearly all optimizers let a NaN through. `torch.compile` and FSDP2 are checked for",
        f"{', '.join(library for library in libraries if library in SLOW)} only. torchao runs with compilation off, on",
        "tensors too small for it to quantize. Wrappers of ours are checked around torch's AdamW; `Projected` keeps",
        "parameters in a box that none comes near.",
        "",
        "## How many of which kind fail what",
        "",
        "Failed of applicable; *by wording*: refused in good time, by a message that does not say what to use instead.",
        "The finding is the most frequent message.",
        "",
        f"| check | what the user gets | {' | '.join(libraries)} | most frequent finding |",
        f"| --- | --- | {' | '.join('---' for _ in libraries)} | --- |",
    ]
    for entry in checks():
        cells: list[str] = []
        messages: list[str] = []
        for library in libraries:
            results = [r for report in judged if report["library"] == library for r in report["results"]]
            mine = [r for r in results if r["name"] == entry.name and r["status"] != "not applicable"]
            wrong = [r for r in mine if r["status"] not in FULFILLED]
            messages += [r["message"] for r in wrong]
            curt = sum(r["message"].startswith(CURT) for r in wrong)
            cells.append(f"{len(wrong)} of {len(mine)}" + (f" ({curt} by wording)" if curt else "") if mine else "")
        finding = plain(most_frequent(messages))
        lines.append(f"| `{entry.name}` | {entry.title} | {' | '.join(cells)} | {finding} |")
    groups = list(dict.fromkeys(entry.group for entry in checks()))
    for library in libraries:
        rows = [report for report in judged if report["library"] == library]
        lines += [
            "",
            f"## {library}",
            "",
            "Fulfilled of applicable, by theme; then the checks that failed.",
            "",
            f"| optimizer | {' | '.join(groups)} | all | failed |",
            f"| --- | {' | '.join('---' for _ in groups)} | --- | --- |",
        ]
        for report in rows:
            cells = []
            for group in groups:
                good, total = counts([result for result in report["results"] if result["group"] == group])
                cells.append(f"{good}/{total}" if total else "")
            good, total = counts(report["results"])
            wrong = [f"`{r['name']}`" for r in report["results"] if r["status"] in ("failed", "error")]
            lines.append(f"| {report['optimizer']} | {' | '.join(cells)} | {good}/{total} | {', '.join(wrong)} |")
        left_out = [report for report in reports if report["library"] == library and report not in rows]
        if left_out:
            lines += [
                "",
                "Not to be judged this way, for an ordinary step on lists of parameters is not what they do:",
                "",
            ]
            lines += [f"- {report['optimizer']}: {plain(report['results'][0]['message'])}" for report in left_out]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--libraries", nargs="+", choices=list(LIBRARIES), default=list(LIBRARIES))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--page", type=Path, default=PAGE, help="where the Markdown goes")
    options = parser.parse_args()
    started = time.perf_counter()
    tasks, missing = [], []
    for library in options.libraries:
        try:
            tasks += [(library, name) for name in LIBRARIES[library]()]
        except ImportError:
            missing.append(library)
    reports = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
        for report in pool.map(examine, tasks):
            good, total = counts(report["results"])
            wrong = [result["name"] for result in report["results"] if result["status"] in ("failed", "error")]
            shown = ", ".join(wrong) if good else report["results"][0]["message"]
            print(f"{report['library']:18s}{report['optimizer']:24s}{good:3d}/{total:<3d} {shown}", flush=True)
            reports.append(report)
    seconds = time.perf_counter() - started
    command = "python benchmarks/conformance.py"
    if options.libraries != list(LIBRARIES):
        command += f" --libraries {' '.join(options.libraries)}"
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps({"command": command, "seconds": seconds, "reports": reports}, indent=1), "utf-8")
    options.page.write_text(reflowed(page(reports, missing, command, seconds)), "utf-8")
    print(f"{len(reports)} optimizers in {seconds:.0f} s: {options.page}, {FIGURES}")


if __name__ == "__main__":
    main()
