"""What the optimizers say of themselves on real runs: the pictures and the figures of docs/optimizers.

Run by hand: ``python benchmarks/diagnostics.py [--out docs/pictures] [--only amvt ...] [--json figures.json]``. One to
three minutes on one core. Most runs are on scikit-learn's digits, clean and with 20% of the training labels replaced at
random; those of single tensors are of a transformer that learns to continue sums (both in ``small_tasks.py``). Seeds
are fixed. Every figure that the pages quote from a picture is printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from small_tasks import STEPS, Build, Courses, Digits, follow, follow_tensors
from waddington.optim import AMGT, AMVT, Compressed, Lookahead, Masked, Switched, registry, schedules
from waddington.optim.adaptation import curvature_momentum, secant_curvature
from waddington.optim.preprocessing import clip_factor, global_norm, noise_scale
from waddington.twin.plots.style import MUTED, clean, colors_for, new_figure, panel_letter, styled

DPI = 110
Figures = dict[str, Any]
Drawn = tuple[Figure, Figures]


def named(name: str, **kwargs: Any) -> Build:
    """Build an optimizer of the registry from parameters."""
    return lambda params: registry.build(name, params, **kwargs)


def smooth(values: list[float], width: int = 9) -> list[float]:
    """Mean over a centred window, shorter at the ends."""
    half = width // 2
    return [statistics.fmean(values[max(i - half, 0) : i + half + 1]) for i in range(len(values))]


def lines(axes: Axes, runs: Mapping[str, Courses], key: str, *, smoothed: bool = True, **kwargs: Any) -> None:
    """Draw one figure of several runs over their steps."""
    colors = colors_for(list(runs))
    for (label, run), style in zip(runs.items(), ("-", "--", "-.", ":", "-", "--"), strict=False):
        drawn = smooth(run[key]) if smoothed else run[key]
        axes.plot(run["step"], drawn, style, label=label, color=colors[label], **kwargs)


def finish(axes: Axes, letter: str, title: str, ylabel: str, *, legend: int = 0, xlabel: str = "step") -> None:
    """Label a panel; a legend of so many columns goes below it, where it covers nothing."""
    clean(axes, grid="y")
    axes.set(title=title, ylabel=ylabel, xlabel=xlabel)
    panel_letter(axes, letter)
    if legend:
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(0.0, -0.24),
            ncols=legend,
            borderaxespad=0.0,
            columnspacing=1.2,
            handlelength=1.8,
        )


def late(run: Courses, key: str) -> float:
    """Median over the second half of a run."""
    return statistics.median(run[key][len(run[key]) // 2 :])


def lates(runs: Mapping[str, Courses], *keys: str) -> Figures:
    return {label: {key: late(run, key) for key in keys if key in run} for label, run in runs.items()}


@styled
def asgdadam() -> Drawn:
    runs = {
        f"{switch}, {kind}": follow(named("ASGDAdam", lr=1e-2, alpha_min=1e-3, switch=switch), noise=noise, every=1)
        for switch in ("relative", "linear")
        for kind, noise in (("clean", 0.0), ("20% random labels", 0.2))
    }
    figure = new_figure(7.6, 6.9)
    top, middle, bottom = figure.subplots(3, 1)
    shown = {switch: runs[f"{switch}, 20% random labels"] for switch in ("relative", "linear")}
    colors = colors_for(list(shown))
    for label, run in shown.items():
        top.step(run["step"], run["base_rate"], where="post", label=label, color=colors[label], linewidth=1.1)
    top.set_yscale("log")
    finish(top, "a", "Base rate, 20% random labels", "rate", legend=2)
    middle.axhspan(-0.1, 0.1, color="#d7dde3", label="hysteresis", zorder=0)
    middle.step(shown["relative"]["step"], shown["relative"]["statistic"], where="post", color=colors["relative"])
    finish(middle, "b", "Statistic of the same run (relative)", "z", legend=1)
    lines(bottom, runs, "large_rate_fraction", smoothed=False)
    bottom.set_ylim(0, 1.02)
    finish(bottom, "c", "Share of steps at the large rate so far", "share", legend=4)
    keys = ("large_rate_fraction", "mean_rate")
    return figure, {label: {key: run[key][-1] for key in keys} for label, run in runs.items()}


@styled
def padam() -> Drawn:
    runs = {
        "Padam p=1/16, lr 0.1": follow(named("Padam", lr=0.1, p=1 / 16)),
        "Padam p=1/8, lr 0.1": follow(named("Padam", lr=0.1, p=1 / 8)),
        "p=1/2 (AMSGrad), lr 0.01": follow(named("Padam", lr=1e-2, p=1 / 2)),
        "ASGD2 p=3/4, lr 0.001": follow(named("ASGD2", lr=1e-3, p=3 / 4)),
    }
    return common_panels(runs)


def common_panels(runs: Mapping[str, Courses]) -> Drawn:
    figure = new_figure(7.6, 3.0)
    panels = figure.subplots(1, 3)
    for axes, letter, key, title in zip(
        panels,
        "abc",
        ("loss", "update_ratio", "update_cosine"),
        ("Training loss", "Update by parameters", "Cosine to the gradient"),
        strict=True,
    ):
        lines(axes, runs, key)
        if key != "update_cosine":
            axes.set_yscale("log")
        finish(axes, letter, title, "")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure, lates(runs, "loss", "update_ratio", "update_cosine")


@styled
def amgt() -> Drawn:
    rate = {"lr": 1e-2}
    factors = {
        f"γ = {gamma:g}, {kind}": follow(named("AMGT", gamma=gamma, **rate), noise=noise)
        for gamma in (1.0, 1e2, 1e4)
        for kind, noise in (("clean", 0.0), ("noisy", 0.2))
    }
    slowed = {
        "constant": follow(named("AMGT", **rate)),
        "inverse time, decay 0.01": follow(named("AMGT", schedule="inverse_time", decay=0.01, **rate), every=1),
        "strongly convex, mu 1": follow(named("AMGT", schedule="strongly_convex", lr=1.0), every=1),
    }
    hits = {f"τ0 = {tau:g}": follow(named("AMGT", threshold=tau, **rate)) for tau in (1e-3, 1e-2, 1e-1, 1.0)}
    packed = {
        label: follow(lambda params, kwargs=kwargs: Compressed(AMGT(params, **rate), **kwargs))
        for label, kwargs in (
            ("top 10%, with feedback", {"method": "top_k", "fraction": 0.1}),
            ("7 levels", {"method": "quantize", "levels": 7}),
            ("127 levels", {"method": "quantize", "levels": 127}),
        )
    }
    figure = new_figure(7.6, 6.2)
    (first, second), (third, fourth) = figure.subplots(2, 2)
    lines(first, factors, "momentum_factor")
    finish(first, "a", "Momentum factor λ", "mean of tensors", legend=2)
    lines(second, slowed, "rate_factor", smoothed=False)
    second.set(yscale="log", xscale="log")
    finish(second, "b", "What the schedule leaves of lr", "factor", legend=1)
    lines(third, hits, "threshold_hit_rate")
    finish(third, "c", "Coordinates below the threshold τ0/k", "share", legend=2)
    lines(fourth, packed, "compression_error")
    fourth.set_yscale("log")
    finish(fourth, "d", "Compressed(AMGT): what a step loses", "‖lost‖² / ‖given‖²", legend=1)
    return figure, {
        **lates(factors, "momentum_factor", "grad_variance", "loss"),
        **lates(slowed, "rate_factor", "loss"),
        **lates(hits, "threshold_hit_rate", "loss"),
        **lates(packed, "compression_error", "bits_per_coordinate", "loss"),
    }


@styled
def alphaadam() -> Drawn:
    masks = {
        "asynchronous": follow(named("AlphaAdam", lr=3e-3)),
        "asynchronous, strict": follow(named("AlphaAdam", lr=3e-3, strict_mask=True)),
        "synchronous (CAdamW)": follow(named("CAdamW", lr=3e-3, weight_decay=0.0)),
    }
    forms = {
        "full, squared (default)": masks["asynchronous"],
        "count": follow(named("AlphaAdam", lr=3e-3, compensation="count")),
        "norm, squared": follow(named("AlphaAdam", lr=3e-3, compensation="norm")),
        "norm, root": follow(named("AlphaAdam", lr=3e-3, compensation="norm", alpha_form="root")),
    }
    figure = new_figure(7.6, 3.0)
    panels = figure.subplots(1, 3)
    lines(panels[0], masks, "keep_rate")
    finish(panels[0], "a", "Coordinates kept", "share", legend=1)
    lines(panels[1], {"squared": forms["full, squared (default)"], "root": forms["norm, root"]}, "alpha")
    finish(panels[1], "b", "Strength α", "mean of tensors", legend=1)
    lines(panels[2], forms, "rate_multiplier")
    panels[2].set_ylim(0.9, None)
    finish(panels[2], "c", "Effective rate by lr", "mean of tensors", legend=1)
    keys = ("keep_rate", "alpha", "rate_multiplier", "update_ratio", "loss")
    return figure, {**lates(masks, *keys), **lates(forms, *keys)}


KINDS = {
    "attention": ("self_attn",),
    "MLP": ("linear1", "linear2"),
    "norm": ("norm",),
    "embedding, head": ("token", "place", "head"),
}


def kind_of(name: str) -> str:
    return next(kind for kind, parts in KINDS.items() if any(part in name for part in parts))


@styled
def alphaadam_tensors() -> Drawn:
    seen, found, model = follow_tensors(named("AlphaAdam", lr=1e-3))
    names = [name for name, _ in model.named_parameters()]
    figure = new_figure(7.6, 5.6)
    upper, lower = figure.subplots(2, 2, width_ratios=(2.2, 1))
    colors = dict(zip(KINDS, colors_for(list(KINDS)).values(), strict=True))
    facts: Figures = {"tensors": len(names)}
    for row, letters, key, title in (
        (upper, "ab", "alpha", "Strength α"),
        (lower, "cd", "rate_multiplier", "Effective rate by lr"),
    ):
        values = [found[-1][name][key] for name in names]
        for kind, marker in zip(KINDS, "o^sD", strict=True):
            places = [place for place, name in enumerate(names) if kind_of(name) == kind]
            row[0].plot(
                places, [values[p] for p in places], marker, color=colors[kind], label=kind, markersize=4.5, alpha=0.9
            )
        finish(row[0], letters[0], f"{title} at step {seen[-1]}, tensor by tensor", "", xlabel="tensor")
        quantiles = [statistics.quantiles([tensors[name][key] for name in names], n=10) for tensors in found]
        row[1].fill_between(
            seen, [q[0] for q in quantiles], [q[8] for q in quantiles], color="#cfe0ee", label="10% to 90%"
        )
        row[1].plot(seen, [q[4] for q in quantiles], color=colors["attention"], label="median")
        finish(row[1], letters[1], "Over training", "", legend=1)
        facts[key] = {"10%": quantiles[-1][0], "median": quantiles[-1][4], "90%": quantiles[-1][8], "max": max(values)}
        facts[f"{key}, medians over training"] = [min(q[4] for q in quantiles), max(q[4] for q in quantiles)]
    facts["at the bound"] = sum(found[-1][name]["alpha"] >= 2.0 for name in names) / len(names)
    by_kind = {kind: [found[-1][n]["alpha"] for n in names if kind_of(n) == kind] for kind in KINDS}
    facts["median alpha by kind"] = {kind: statistics.median(values) for kind, values in by_kind.items()}
    handles, labels = upper[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure, facts


@styled
def amvt() -> Drawn:
    runs = {
        f"{variance}, {kind}": follow(named("AMVT", lr=1e-2, variance=variance), noise=noise)
        for variance in ("tracked", "moments")
        for kind, noise in (("clean", 0.0), ("20% random labels", 0.2))
    }
    figure = new_figure(7.6, 3.0)
    left, right = figure.subplots(1, 2)
    lines(left, runs, "penalty")
    left.set_ylim(0.68, 1.02)
    left.axhline(0.5**0.5, color=MUTED, linewidth=0.8, linestyle=":")
    left.annotate("nothing but noise: 1/√2", (STEPS, 0.5**0.5), ha="right", va="bottom", fontsize=7, color=MUTED)
    finish(left, "a", "Penalty", "mean of coordinates")
    lines(right, runs, "signal_to_noise")
    right.set_yscale("log")
    finish(right, "b", "Signal-to-noise ratio", "Σ m̂² / Σ ŝ")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure, lates(runs, "penalty", "signal_to_noise", "loss")


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
        "ASGDAdam": named("ASGDAdam", lr=1e-2, alpha_min=1e-3),
        "ASGDAMSGrad": named("ASGDAMSGrad", lr=1e-2, alpha_min=1e-3),
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
