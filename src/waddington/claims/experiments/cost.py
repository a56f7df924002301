"""What AMVT costs: bytes of state, share of a training's memory, time of a step and of an iteration to fused Adam."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from waddington import bench, jobs
from waddington._checks import check_count
from waddington.analysis.bounds import amvt as theory
from waddington.bench.statistics import number
from waddington.bench.statistics.intervals import bca_interval
from waddington.claims.experiments.arms import build_arm
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of
from waddington.claims.pictures import Row, bars, forest
from waddington.optim import AMVT

__all__ = ["is_below_two_percent", "is_five_to_seven", "memory", "memory_picture", "time_picture", "times"]

_BAND = (1.05, 1.07)
_REFERENCE = "Adam, fused"


@experiment()
def memory(
    seed: int, *, task: str, parameters: Mapping[str, Any], batch_size: int = 128, measured: int = 2
) -> Mapping[str, Any]:
    """Measure what one more buffer of the parameters' size is of all memory that training takes.

    Activations grow by the same bytes with every case of a batch: they are measured at two small batches, and a line
    through both gives those of the batch that is asked for.

    Parameters
    ----------
    seed
        Of the model.
    task, parameters
        Of the bench, on this machine's processor.
    batch_size
        Whose memory is asked for.
    measured
        The smaller batch; the other has twice as many.

    Returns
    -------
    dict
        ``weights``, their number; ``activations``, bytes for the whole batch; ``share``, of all memory with Adam; and
        ``state``, bytes a weight of AMVT, of AMVT without a third buffer, of Adam and of SGD with momentum.
    """
    sizes = (measured, 2 * measured)
    kept = []
    for size in sizes:
        problem = bench.get_task(task).problem(seed, **{**parameters, "batch_size": size})
        x, _ = problem.batch(torch.Generator().manual_seed(0), 0)
        kept.append(theory.activation_bytes(problem.model.train(), x))
        weights = sum(one.numel() for one in problem.model.parameters())
        del problem
    slope = (kept[1] - kept[0]) / measured
    activations = kept[0] + slope * (batch_size - measured)
    return {
        "task": task,
        "weights": weights,
        "batch_size": batch_size,
        "activations": activations,
        "share": theory.memory_share(weights, activations),
        "state": _state(),
    }


def _state() -> dict[str, float]:
    return {
        "AMVT": theory.state_bytes("AMVT"),
        "AMVT, variance of the moments": theory.state_bytes(
            lambda params: AMVT(params, variance="moments", compile=False)
        ),
        "Adam": theory.state_bytes("Adam"),
        "SGD": theory.state_bytes("SGD"),
    }


@experiment()
def times(
    seed: int,
    *,
    tasks: Mapping[str, Mapping[str, Any]],
    weights: int = 4_000_000,
    rounds: int = 21,
    steps: int = 3,
    iterations: int = 3,
) -> Mapping[str, Any]:
    """Time steps and whole iterations in turns: every round has all optimizers, one after the other.

    Figures are of the machine that measured them.

    Parameters
    ----------
    seed
        Of weights and gradients.
    tasks
        Tasks of the bench with their parameters, whose iterations (batch, loss, gradient, step) are timed.
    weights
        Of the steps that are timed alone, in ten tensors.
    rounds
        Turns; the first is not counted.
    steps, iterations
        Of one turn.

    Returns
    -------
    dict
        ``step`` and the tasks by name, each with the seconds of every round by optimizer; and ``state`` as of
        :func:`memory`.
    """
    check_count("rounds", rounds, 2)
    torch.manual_seed(seed)
    turns: dict[str, dict[str, Callable[[], None]]] = {"step": {}}
    for name in _TIMED:
        params = [nn.Parameter(torch.randn(weights // 10)) for _ in range(10)]
        for one in params:
            one.grad = torch.randn_like(one)
        turns["step"][name] = _repeated(_optimizer(name, nn.ParameterList(params)).step, steps)
    for task, parameters in tasks.items():
        turns[task] = {name: _repeated(_iteration(task, seed, parameters, name), iterations) for name in _TIMED}
    found: dict[str, dict[str, list[float]]] = {where: {name: [] for name in _TIMED} for where in turns}
    for turn in range(rounds + 1):
        for where, own in turns.items():
            for name in sorted(own, key=lambda name: (list(own).index(name) + turn) % len(own)):
                begun = time.perf_counter()
                own[name]()
                if turn:
                    found[where][name].append(time.perf_counter() - begun)
    return {"seconds": found, "state": _state()}


_TIMED = ("AMVT", "AMVT, variance of the moments", _REFERENCE, "Adam, tensor by tensor")


def _optimizer(name: str, model: nn.Module) -> Any:
    if name == "AMVT":
        return build_arm("AMVT", model, 1e-3)
    if name == _REFERENCE:
        return build_arm("Adam", model, 1e-3)
    if name == "Adam, tensor by tensor":
        return torch.optim.Adam(model.parameters(), lr=1e-3, foreach=False, fused=False)
    return build_arm("AMVT", model, 1e-3, variance="moments")


def _repeated(call: Callable[[], Any], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            call()

    return run


def _iteration(task: str, seed: int, parameters: Mapping[str, Any], name: str) -> Callable[[], None]:
    problem = bench.get_task(task).problem(seed, **parameters)
    optimizer = _optimizer(name, problem.model)
    generator = torch.Generator().manual_seed(seed)
    count = iter(range(10**9))

    def iterate() -> None:
        optimizer.zero_grad()
        problem.loss(problem.model, problem.batch(generator, next(count))).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return iterate


def _ratios(row: Mapping[str, Any], where: str, name: str = "AMVT") -> tuple[float, Any]:
    """Give the median ratio to fused Adam over the rounds, and its interval."""
    own, other = (np.asarray(row["seconds"][where][one]) for one in (name, _REFERENCE))
    ratios = own / other
    return float(np.median(ratios)), bca_interval(ratios, np.median)


def is_five_to_seven(records: Sequence[jobs.Record]) -> Finding:
    """Say whether an iteration takes 5 to 7 % longer than with fused Adam, on every network that was timed.

    It holds where the interval meets that band and leaves out 1; it cannot be told where an interval has both.
    """
    (row,) = results_of(records)
    networks = [where for where in row["seconds"] if where != "step"]
    found = {where: _ratios(row, where) for where in networks}
    answers = [_in_band(*one) for one in found.values()]
    step, step_interval = _ratios(row, "step")
    state = row["state"]
    said = "; ".join(f"{number(middle)} ({_ends(interval)}) on {where}" for where, (middle, interval) in found.items())
    words = (
        f"an iteration of AMVT takes, as a ratio to fused Adam's, {said}; the step alone takes {number(step)}"
        f" ({_ends(step_interval)}), without a third buffer"
        f" {number(_ratios(row, 'step', 'AMVT, variance of the moments')[0])}, and Adam tensor by tensor"
        f" {number(_ratios(row, 'step', 'Adam, tensor by tensor')[0])}; its state is {state['AMVT']:g} bytes a weight,"
        f" Adam's {state['Adam']:g}, both on this machine"
    )
    figures = {f"ratio of an iteration, {where}": middle for where, (middle, _) in found.items()}
    return Finding(
        holds=False if False in answers else True if None not in answers else None,
        words=words,
        figures={**figures, "ratio of a step": step, "bytes a weight": state["AMVT"], "of Adam": state["Adam"]},
        interval=found[networks[0]][1],
    )


def _in_band(middle: float, interval: Any) -> bool | None:
    if interval is None:
        return None
    meets = interval.low <= _BAND[1] and interval.high >= _BAND[0]
    return False if not meets else True if interval.low > 1.0 else None


def _ends(interval: Any) -> str:
    return "no interval" if interval is None else f"{number(interval.low)} to {number(interval.high)}"


def time_picture(records: Sequence[jobs.Record]) -> Any:
    """Draw the ratios to fused Adam."""
    (row,) = results_of(records)
    rows = []
    for where in row["seconds"]:
        for name in _TIMED:
            if name != _REFERENCE:
                middle, interval = _ratios(row, where, name)
                rows.append(Row(name=f"{name}, {where}", middle=middle, interval=interval))
    return forest(rows, label="time as a ratio to fused Adam's", line=1.0, is_log=True)


def is_below_two_percent(records: Sequence[jobs.Record]) -> Finding:
    """Say whether AMVT's third buffer is below 2 % of all memory on every network."""
    rows = results_of(records)
    said = "; ".join(f"{100 * row['share']:.2f} % of {_network(row)}" for row in rows)
    state = rows[0]["state"]
    spared = state["AMVT, variance of the moments"]
    words = (
        f"the third buffer is, of all memory that training with Adam takes, {said}; the state is {state['AMVT']:g}"
        f" bytes a weight, Adam's {state['Adam']:g}, and {spared:g} where the variance comes"
        " from the moments"
    )
    figures = {f"share of {_network(row)}, %": 100 * row["share"] for row in rows}
    return Finding(holds=max(row["share"] for row in rows) < 0.02, words=words, figures=figures)


def _network(row: Mapping[str, Any]) -> str:
    return f"{row['task']} of {row['weights'] / 1e6:.1f} million weights at batch {row['batch_size']}"


def memory_picture(records: Sequence[jobs.Record]) -> Any:
    """Draw the shares beside the paper's 2 %."""
    rows = [Row(name=_network(row), middle=100 * row["share"]) for row in results_of(records)]
    return bars(rows, label="third buffer, % of all memory", limit=2.0)
