"""What the optimizers say of themselves on real runs: the pictures and the figures of docs/optimizers.

Run by hand: ``python benchmarks/diagnostics.py [--out docs/pictures] [--only amvt ...] [--json figures.json]``. One to
three minutes on one core. Most runs are on scikit-learn's digits, clean and with 20% of the training labels replaced at
random; those of single tensors are of a transformer that learns to continue sums (both in ``small_tasks.py``). Seeds
are fixed. Every figure that the pages quote from a picture is printed. The pictures of single optimizers are in
``optimizer_pictures.py``.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from optimizer_pictures import (
    Drawn,
    Figures,
    alphaadam,
    alphaadam_tensors,
    amgt,
    amvt,
    asgdadam,
    finish,
    lates,
    lines,
    low_memory,
    named,
    padam,
)
from small_tasks import STEPS, Build, Courses, Digits, follow
from waddington.optim import AMVT, Compressed, Lookahead, Masked, Switched, schedules
from waddington.optim.adaptation import curvature_momentum, secant_curvature
from waddington.optim.preprocessing import clip_factor, global_norm, noise_scale
from waddington.twin.plots.style import clean, colors_for, new_figure, styled

DPI = 110


@styled
def components() -> Drawn:
    sgd = {"lr": 0.1, "momentum": 0.9}

    def around(wrap: Callable[..., Any], **kwargs: Any) -> Build:
        return lambda params: wrap(torch.optim.SGD(params, **sgd), **kwargs)

    switched = {"Switched(SGD)": follow(around(Switched, alpha_min=0.01), every=1)}
    masked = {
        "asynchronous": follow(around(Masked)),
        "synchronous": follow(around(Masked, mask="synchronous")),
    }
    packed = {
        "top 10%": follow(around(Compressed, fraction=0.1)),
        "top 10%, no feedback": follow(around(Compressed, fraction=0.1, error_feedback=False)),
        "127 levels": follow(around(Compressed, method="quantize")),
    }
    figure = new_figure(7.6, 5.2)
    (first, second), (third, fourth) = figure.subplots(2, 2)
    run = switched["Switched(SGD)"]
    first.step(run["step"], run["base_rate"], where="post", color=colors_for(["a"])["a"], linewidth=1.1)
    first.set_yscale("log")
    finish(first, "a", "Switched(SGD): base rate", "rate")
    lines(second, masked, "keep_rate")
    finish(second, "b", "Masked(SGD): coordinates kept", "share", legend=2)
    lines(third, packed, "compression_error")
    third.set_yscale("log")
    finish(third, "c", "Compressed(SGD): what a step loses", "‖lost‖² / ‖given‖²", legend=3)
    distances = lookahead_distances()
    fourth.plot(range(1, len(distances) + 1), distances, marker=".", markersize=3, linewidth=0.9)
    finish(fourth, "d", "Lookahead(AMVT, k=5): distance", "‖θ - φ‖ / ‖φ‖")
    return figure, {
        "Switched(SGD)": {key: run[key][-1] for key in ("large_rate_fraction", "mean_rate")},
        **lates(masked, "keep_rate", "rate_multiplier", "loss"),
        **lates(packed, "compression_error", "bits_per_coordinate", "loss"),
        "Lookahead": {"before an update": max(distances[3::5]), "last before an update": max(distances[-6:])},
    }


def lookahead_distances(steps: int = 60) -> list[float]:
    """Distance of the fast weights from the slow ones after every step, by the norm of the slow."""
    task = Digits(0.0, seed=0)
    optimizer = Lookahead(AMVT(task.model.parameters(), lr=1e-2), k=5)
    distances = []
    for _ in range(steps):
        optimizer.zero_grad()
        task.loss().backward()
        optimizer.step()
        slow = optimizer.slow_weights()
        apart = sum(float((param.detach() - slow[param]).square().sum()) for param in slow)
        distances.append((apart / sum(float(value.square().sum()) for value in slow.values())) ** 0.5)
    return distances


@styled
def modules() -> Drawn:
    """Statistics that the modules take of a run of AMVT, on clean and on noisy labels."""
    figure = new_figure(7.6, 3.0)
    panels = figure.subplots(1, 3)
    runs = {"clean": module_courses(0.0), "20% random labels": module_courses(0.2)}
    for axes, letter, key, title, label in (
        (panels[0], "a", "norm", "Gradient norm", "norm"),
        (panels[1], "b", "noise_scale", "Noise scale", "examples"),
        (panels[2], "c", "momentum", "Suited momentum", "μ at a rate of 0.1"),
    ):
        lines(axes, runs, key)
        if key != "momentum":
            axes.set_yscale("log")
        finish(axes, letter, title, label, legend=1)
    return figure, lates(runs, "norm", "clip_factor", "noise_scale", "curvature", "momentum")


def module_courses(noise: float, steps: int = STEPS, every: int = 10) -> Courses:
    """Train with AMVT; look at gradients of 8 batches of 64 and of their 512 examples, 10 looks a figure."""
    task = Digits(noise, seed=0)
    params = list(task.model.parameters())
    optimizer = AMVT(params, lr=1e-2)
    drawing = torch.Generator().manual_seed(1)
    courses: Courses = {name: [] for name in ("step", "norm", "clip_factor", "noise_scale", "curvature", "momentum")}

    def gradient(chosen: torch.Tensor) -> torch.Tensor:
        scores = task.model(task.images[chosen])
        grads = torch.autograd.grad(torch.nn.functional.cross_entropy(scores, task.labels[chosen]), params)
        return torch.cat([grad.flatten() for grad in grads])

    everything = torch.arange(len(task.images))
    micro: deque[torch.Tensor] = deque(maxlen=10)
    full: deque[torch.Tensor] = deque(maxlen=10)
    before: tuple[torch.Tensor, torch.Tensor] | None = None
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        task.loss().backward()
        if step % every == 0:
            norm = global_norm(params)
            small = torch.stack([gradient(torch.randint(len(everything), (64,), generator=drawing)) for _ in range(8)])
            micro.append(small.square().sum(1))
            full.append(small.mean(0).square().sum())
            scale = noise_scale(torch.cat(list(micro)), torch.stack(list(full)), 64, 512)
            now = (gradient(everything), torch.cat([param.detach().flatten() for param in params]))
            if before is not None:
                curvature = secant_curvature(now[0], before[0], now[1], before[1])
                suited = curvature_momentum(curvature, 0.1)
                for name, value in zip(
                    courses, (step, norm, clip_factor(norm, 1.0), scale, curvature, suited), strict=True
                ):
                    courses[name].append(float(value))
            before = now
        optimizer.step()
    return courses


@styled
def schedule_rates() -> Drawn:
    makers: dict[str, Callable[[Any], Any]] = {
        "constant_with_warmup(40)": lambda o: schedules.constant_with_warmup(o, 40),
        "cosine(400, warmup_steps=40)": lambda o: schedules.cosine(o, 400, warmup_steps=40),
        "cosine_with_restarts(100)": lambda o: schedules.cosine_with_restarts(o, 100),
        "step_decay(100, gamma=0.5)": lambda o: schedules.step_decay(o, 100, gamma=0.5),
        "inverse_time(0.02)": lambda o: schedules.inverse_time(o, 0.02),
        "inverse_sqrt()": schedules.inverse_sqrt,
    }
    figure = new_figure(7.6, 3.8)
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    facts: Figures = {}
    for axes, (label, make) in zip(panels.flat, makers.items(), strict=True):
        rates, loss = scheduled(make)
        axes.plot(range(1, len(rates) + 1), rates, color=colors_for(["a"])["a"])
        clean(axes, grid="y")
        axes.set_title(label, fontsize=7.5)
        facts[label] = {"first rate": rates[0], "last rate": rates[-1], "test loss": loss}
    for axes in panels[1]:
        axes.set_xlabel("step")
    for axes in panels[:, 0]:
        axes.set_ylabel("rate")
    return figure, facts


def scheduled(make: Callable[[Any], Any], steps: int = 400) -> tuple[list[float], float]:
    task = Digits(0.0, seed=0)
    optimizer = AMVT(task.model.parameters(), lr=1e-2)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        optimizer.zero_grad()
        task.loss().backward()
        optimizer.step()
        rates.append(optimizer.diagnostics()["base_rate"])
        scheduler.step()
    return rates, task.judge()["loss"]


@styled
def common() -> Drawn:
    builds: dict[str, Build] = {
        "SGD 0.9, lr 0.1": lambda params: Masked(torch.optim.SGD(params, lr=0.1, momentum=0.9), mask="none"),
        "Adam": lambda params: Masked(torch.optim.Adam(params, lr=1e-2), mask="none"),
        "ASGDAdam": named("ASGDAdam", lr=1e-2, alpha_min=1e-3, switch="relative"),
        "ASGDAMSGrad": named("ASGDAMSGrad", lr=1e-2, alpha_min=1e-3, switch="relative"),
        "Padam, lr 0.1": named("Padam", lr=1e-1),
        "ASGD2, lr 0.001": named("ASGD2", lr=1e-3),
        "AMGT, γ = 1e4": named("AMGT", lr=1e-2, gamma=1e4),
        "AlphaAdam": named("AlphaAdam", lr=1e-2),
        "CAdamW": named("CAdamW", lr=1e-2, weight_decay=0.0),
        "AMVT": named("AMVT", lr=1e-2),
    }
    runs = {label: follow(build) for label, build in builds.items()}
    figure = new_figure(7.6, 3.9)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, letter, key, title, xlabel in (
        (panels[0], "a", "update_ratio", "Length of the update", "‖update‖ / ‖parameters‖"),
        (panels[1], "b", "update_cosine", "Cosine of update and gradient", "1 is steepest descent"),
    ):
        for place, run in enumerate(runs.values()):
            half = len(run[key]) // 6
            for offset, values, color, marker in (
                (-0.16, run[key][:half], "#0072B2", "o"),
                (0.16, run[key][-half:], "#D55E00", "s"),
            ):
                ends = statistics.quantiles(values, n=10)
                axes.plot([ends[0], ends[8]], [place + offset] * 2, color=color, linewidth=1.6, alpha=0.6)
                axes.plot([ends[4]], [place + offset], marker, color=color, markersize=4.5)
        finish(axes, letter, title, "", xlabel=xlabel)
        axes.grid(True, axis="x", color="#e4e7eb")
    panels[0].set_xscale("log")
    panels[0].set_yticks(range(len(runs)), list(runs))
    panels[0].invert_yaxis()
    names = (("steps 1 to 100", "#0072B2", "o"), ("steps 500 to 600", "#D55E00", "s"))
    handles = [panels[0].plot([], [], marker, color=color, label=label)[0] for label, color, marker in names]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure, lates(runs, "update_ratio", "update_cosine", "loss")


PICTURES: dict[str, Callable[[], Drawn]] = {
    "asgdadam": asgdadam,
    "padam": padam,
    "amgt": amgt,
    "alphaadam": alphaadam,
    "alphaadam-tensors": alphaadam_tensors,
    "amvt": amvt,
    "low-memory": low_memory,
    "components": components,
    "modules": modules,
    "schedules": schedule_rates,
    "common": common,
}


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    return float(f"{value:.3g}") if isinstance(value, float) else value


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"), help="folder for the pictures")
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=list(PICTURES))
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args(None if arguments is None else list(arguments))
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    everything: Figures = {}
    for name in options.only:
        figure, facts = PICTURES[name]()
        path = options.out / f"optim-{name}.png"
        figure.savefig(path, dpi=DPI, metadata={"Software": None})
        everything[name] = rounded(facts)
        print(f"\n{path} ({path.stat().st_size / 1024:.0f} KB)")
        for label, found in everything[name].items():
            print(f"  {label}: {found}")
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
