"""The pictures of single optimizers, and how all pictures of ``diagnostics.py`` are drawn. Does nothing by itself."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from small_tasks import STEPS, Build, Courses, follow, follow_tensors
from waddington.optim import AMGT, Compressed, Masked, registry
from waddington.twin.plots.style import MUTED, clean, colors_for, new_figure, panel_letter, styled

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
    rules = {
        "clock": {},
        "relative": {"switch": "relative", "alpha_min": 1e-3},
        "linear": {"switch": "linear", "alpha_min": 1e-3},
    }
    runs = {
        f"{rule}, {kind}": follow(named("ASGDAdam", lr=1e-2, **settings), noise=noise, every=1)
        for rule, settings in rules.items()
        for kind, noise in (("clean", 0.0), ("20% random labels", 0.2))
    }
    figure = new_figure(7.6, 8.9)
    top, cosine, middle, bottom = figure.subplots(4, 1)
    shown = {rule: runs[f"{rule}, 20% random labels"] for rule in rules}
    colors = colors_for(list(shown))
    for label, run in shown.items():
        top.step(run["step"], run["base_rate"], where="post", label=label, color=colors[label], linewidth=1.1)
    top.set_yscale("log")
    finish(top, "a", "Base rate, 20% random labels", "rate", legend=3)
    cosine.axhline(0.0, color="#8a949e", linewidth=0.8)
    cosine.plot(shown["clock"]["step"], shown["clock"]["statistic"], color=colors["clock"], linewidth=1.1)
    finish(cosine, "b", "Mean cosine of gradient and previous update (clock)", "S")
    middle.axhspan(-0.1, 0.1, color="#d7dde3", label="hysteresis", zorder=0)
    middle.step(shown["relative"]["step"], shown["relative"]["statistic"], where="post", color=colors["relative"])
    finish(middle, "c", "Curvature against its own course (relative)", "z", legend=1)
    lines(
        bottom,
        {label: run for label, run in runs.items() if "clock" not in label},
        "large_rate_fraction",
        smoothed=False,
    )
    bottom.set_ylim(0, 1.02)
    finish(bottom, "d", "Share of steps at the large rate so far", "share", legend=4)
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
def low_memory() -> Drawn:
    noises = {"clean": 0.0, "noisy": 0.2}

    def adam(params: Any) -> torch.optim.Optimizer:
        return Masked(torch.optim.Adam(params, lr=1e-2), mask="none")

    micro = {
        f"density {density:.0%}, {kind}": follow(named("MicroAdam", lr=1e-2, density=density), noise=noise)
        for density in (0.01, 0.1)
        for kind, noise in noises.items()
    }
    low = {
        f"rank {rank}, {kind}": follow(named("LDAdam", lr=1e-2, rank=rank), noise=noise)
        for rank in (4, 16)
        for kind, noise in noises.items()
    }
    bare = follow(named("LDAdam", lr=1e-2, rank=4, error_feedback=False))
    losses = {
        "Adam": follow(adam),
        "MicroAdam 1%": micro["density 1%, clean"],
        "MicroAdam 10%": micro["density 10%, clean"],
        "LDAdam 4": low["rank 4, clean"],
        "LDAdam 4, no debt": bare,
        "LDAdam 16": low["rank 16, clean"],
    }
    figure = new_figure(7.6, 6.0)
    upper, lower = figure.subplots(2, 3)
    for axes, letter, runs, key, title, label in (
        (upper[0], "a", micro, "kept_energy", "MicroAdam: kept", "share of ‖kept‖² + ‖debt‖²"),
        (upper[1], "b", micro, "moved_share", "MicroAdam: moved", "share of coordinates"),
        (upper[2], "c", micro, "debt_energy", "MicroAdam: debt", "‖debt‖² / ‖gradient‖²"),
        (lower[0], "d", low, "subspace_energy", "LDAdam: in the subspace", "share of ‖gradient‖²"),
        (lower[1], "e", low, "debt_energy", "LDAdam: debt", "‖debt‖² / ‖gradient‖²"),
        (lower[2], "f", losses, "loss", "Loss, clean labels", "batch"),
    ):
        lines(axes, runs, key)
        if key in ("debt_energy", "loss"):
            axes.set_yscale("log")
        else:
            axes.set_ylim(0.0, 1.02)
        finish(axes, letter, title, label, legend=1 if letter in "adf" else 0)
    keys = ("kept_energy", "moved_share", "subspace_energy", "debt_energy", "update_ratio", "loss")
    return figure, {**lates(micro, *keys), **lates(low, *keys), **lates(losses, "loss", "update_ratio")}
