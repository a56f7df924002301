"""Do the optimizers keep their promises on this machine's GPU, and what does a step cost there?

Run by hand where there is a GPU: ``make gpu``, or ``python benchmarks/gpu.py``; some ten minutes. It checks there

- the contract (:func:`waddington.optim.testing.check_optimizer`) of every optimizer,
- that no step waits for the device (``torch.cuda.set_sync_debug_mode("error")``),
- that a step captured in a CUDA graph does, replayed, what it does otherwise,
- that compiled steps are eager ones,

and times steps on the shapes of GPT-2 (124M), in float32 and bfloat16, beside torch's fused AdamW. What comes out is a
record with a date. It goes into the package (``optim/kernels/devices.json``), where ``compile="auto"`` finds what to do
on GPUs of this kind, and into docs/speed.md. Where no GPU is at hand it says so, and nothing is written.
``--device cpu`` tries the script out on a processor; its record goes to benchmarks/out alone.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import speed_page
from contenders import FUSED, SHAPES, Contender, Run, ours, torchs
from measuring import OUT, commit, interleaved, paired, say
from waddington import optim
from waddington._files import write_text
from waddington.optim.kernels.devices import RECORDS, DeviceRecord, read_records, why_eager, with_record, written
from waddington.optim.testing import check_optimizer

Params = list[torch.Tensor]
Build = Callable[..., torch.optim.Optimizer]

TIMED = ("ASGDAdam", "ASGDAdam, relative", "AMGT", "AMVT", "AlphaAdam")
CHECKED: dict[str, Build] = {
    name: getattr(optim, name) for name in optim.__all__ if hasattr(getattr(optim, name), "_rule")
}
"""The optimizers with a rule of their own; components around torch's are checked beside them."""
WRAPPED: dict[str, Build] = {
    "Switched(Adam)": lambda params, **kw: optim.Switched(torch.optim.Adam(params, **kw)),
    "Masked(AdamW)": lambda params, **kw: optim.Masked(torch.optim.AdamW(params, **kw)),
    "Projected(AdamW)": lambda params, **kw: optim.Projected(torch.optim.AdamW(params, **kw), "ball"),
}
WAITS = {"LDAdam": "decomposes matrices, for which torch waits"}
NEVER_WAITING = {name: build for name, build in CHECKED.items() if name not in WAITS}
SMALL = [(64, 32), (64,), (33, 5)]
STEPS = 5


def some_params(device: str, dtype: torch.dtype = torch.float32) -> Params:
    """Give parameters with gradients, the same at every call."""
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(shape, generator=generator).to(device, dtype).requires_grad_() for shape in SMALL]
    for param in made:
        param.grad = torch.randn(param.shape, generator=generator).to(device, dtype)
    return made


def stepped(build: Build, device: str, dtype: torch.dtype = torch.float32, **settings: Any) -> Params:
    """Take steps; give the parameters."""
    params = some_params(device, dtype)
    optimizer = build(params, **settings)
    for _ in range(STEPS):
        optimizer.step()
    return params


def contract(device: str, *, quick: bool) -> str:
    """Check every optimizer with the kit; say which fails in what."""
    failed = []
    for name, build in {**CHECKED, **WRAPPED}.items():
        report = check_optimizer(build, only=["step", "tensors"] if quick else None, device=device)
        failed += [f"{name}: {result.name}" for result in report.results if result.status in ("failed", "error")]
        say(f"contract of {name}: {'passed' if report.passed else 'failed'}")
        if quick and name == "AlphaAdam":
            break
    return "; ".join(failed) or "passed"


def no_waiting(device: str) -> str:
    """Take steps under torch's sync debugging, once all state is there."""
    if device != "cuda":
        return "not applicable"
    failed = []
    for name, build in NEVER_WAITING.items():
        for compiles in (False, True) if not build._rule.whole_tensor_reason else (False,):  # type: ignore[attr-defined]
            params = some_params(device)
            optimizer = build(params, compile=compiles)
            optimizer.step()
            try:
                with _sync_is_an_error():
                    optimizer.step()
            except RuntimeError as error:
                failed.append(f"{name}, compile={compiles}: {str(error).splitlines()[0]}")
    return "; ".join(failed) or "passed"


@contextmanager
def _sync_is_an_error() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def graphs(device: str) -> str:
    """Capture a step in a CUDA graph and replay it: the steps are those taken without."""
    if device != "cuda":
        return "not applicable"
    failed = []
    for name, build in NEVER_WAITING.items():
        plain, params = stepped(build, device, compile=False), some_params(device)
        optimizer = build(params, compile=False)
        try:
            stream = torch.cuda.Stream()
            with torch.cuda.stream(stream):  # a first step makes the state, as torch's own page has it
                optimizer.step()
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                optimizer.step()
            for _ in range(STEPS - 1):
                graph.replay()
            _require_close(params, plain)
        except (RuntimeError, AssertionError) as error:
            failed.append(f"{name}: {str(error).strip().splitlines()[0]}")
    return "; ".join(failed) or "passed"


def compiled_is_eager(device: str) -> str:
    """Hold compiled steps against eager ones, in float32 and bfloat16."""
    failed = []
    for name, build in CHECKED.items():
        if build._rule.whole_tensor_reason:  # type: ignore[attr-defined]
            continue  # refuses compile=True
        for dtype in (torch.float32, torch.bfloat16):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", RuntimeWarning)
                    _require_close(
                        stepped(build, device, dtype, compile=True), stepped(build, device, dtype, compile=False)
                    )
            except Exception as error:  # noqa: BLE001 - whatever it is belongs into the record
                failed.append(f"{name}, {dtype}: {str(error).strip().splitlines()[0]}")
    return "; ".join(failed) or "passed"


def _require_close(found: Params, expected: Params) -> None:
    for a, b in zip(found, expected, strict=True):
        tolerance = 4 * torch.finfo(a.dtype).eps ** (1.0 if a.dtype == torch.bfloat16 else 0.75)
        torch.testing.assert_close(a.detach(), b.detach(), rtol=tolerance, atol=tolerance)


def step_times(device: str, shape: str, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Time steps on both paths; give median ratios to fused AdamW by dtype, optimizer and path."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for dtype in (torch.float32, torch.bfloat16):
        name_of_dtype = str(dtype).removeprefix("torch.")
        found[name_of_dtype] = {}
        fused = torchs()[0]
        for name in TIMED:  # one at a time, for memory
            paths = {"eager": ours(name, compile=False), "compiled": ours(name, compile=True)}
            seconds = _seconds({FUSED: fused, **paths}, shape, dtype, device, rounds)
            ratios = {path: statistics.median(paired(seconds[path], seconds[FUSED])) for path in paths}
            found[name_of_dtype][name] = {path: round(ratio, 3) for path, ratio in ratios.items()}
            say(f"{shape}, {name_of_dtype}, {name}: {found[name_of_dtype][name]}")
    return found


def _seconds(
    entries: dict[str, Contender], shape: str, dtype: torch.dtype, device: str, rounds: int
) -> dict[str, list[float | None]]:
    shapes = SHAPES[shape]()
    grads = [torch.randn(s, dtype=dtype, device=device) for s in shapes]
    runs = {label: Run(entry, shapes, dtype, device, grads) for label, entry in entries.items()}
    for run in runs.values():
        for _ in range(3):
            run.step()
    return interleaved(runs, rounds=rounds, device=device)


def record_of(device: str, *, quick: bool) -> DeviceRecord:
    """Run everything."""
    checks = {
        "contract": contract(device, quick=quick),
        "no waiting": no_waiting(device),
        "graphs": graphs(device),
        "compiled = eager": compiled_is_eager(device),
    }
    for name, outcome in checks.items():
        say(f"{name}: {outcome}")
    ratios = step_times(device, "ppo" if quick else "gpt2-124m", 3 if quick else 15)
    name = torch.cuda.get_device_name() if device == "cuda" else "a processor"
    return DeviceRecord(name, str(datetime.date.today()), commit(), torch.__version__, checks, ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="few checks and a tiny model, to see whether all works")
    parser.add_argument("--out", type=Path, help="file of the records (default: the package's; of a processor, "
                        "benchmarks/out/gpu.json)")  # fmt: skip
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("No GPU is at hand: nothing was run, and nothing was written.")
        return
    of_package = options.device == "cuda" and not options.quick
    out = options.out or (RECORDS if of_package else OUT / "gpu.json")
    record = record_of(options.device, quick=options.quick)
    records = with_record(read_records(out) if out.exists() else [], record)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, written(records))
    if out == RECORDS:
        speed_page.write_blocks("gpu")
    decision = why_eager(record.device, records) or f"compile='auto' compiles on {record.device}"
    print(f"{record.device}: {'all checks passed' if not record.broken else 'failed: ' + ', '.join(record.broken)}")
    print(f"{decision}\nwrote {out}")


if __name__ == "__main__":
    main()
