"""A study that never ran, with everything that a report must show: found and not found, diverged, on the boundary."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from waddington.bench import report
from waddington.bench.statistics import (
    attempts_to_success,
    corrected,
    expected_best,
    pooled,
    profiles,
    regrets,
    several,
)

HORIZONS = {"known": "known horizon (cosine)", "open": "open horizon (constant)"}


def made_up(
    tasks: Sequence[str] = ("quadratic", "digits", "char_transformer", "autoencoder"),
    arms: Sequence[str] = ("AdamW", "AMVT", "ASGDAdam", "SGD"),
    horizons: Sequence[str] = ("known", "open"),
    seeds: int = 10,
    n_resamples: int = 200,
) -> report.ReportData:
    """Make the data of a report."""
    rng = np.random.default_rng(0)
    contrasts = [(arm, arms[0]) for arm in arms[1:4]]
    rows: dict[str, list] = {
        name: [] for name in ("results", "pooled", "regrets", "tuning", "budgets", "curves", "divergences")
    }
    profile_rows = []
    for horizon in horizons:
        finals = {}
        for at, task in enumerate(tasks):
            luck = rng.lognormal(0, 0.1, size=seeds)
            level = 10.0**-at
            values = np.stack([level * luck * rng.lognormal(-0.05 * (i % 3), 0.05, seeds) for i in range(len(arms))], 1)
            if at == len(tasks) - 1:
                values[: seeds // 4, -1] = math.inf
            finals[task] = values
            rows["results"].append(
                report.TaskResult(
                    task=task,
                    horizon=horizon,
                    finals=dict(zip(arms, values.T, strict=True)),
                    several=several(values, arms, contrasts, n_resamples=n_resamples),
                )
            )
            for i, arm in enumerate(arms):
                add_arm(rows, rng, task, horizon, arm, values[:, i], level, i)
        found = [
            pooled(
                *(np.stack([finals[task][:, list(arms).index(name)] for task in tasks], 1) for name in pair),
                n_contrasts=len(contrasts),
                n_resamples=200,
            )
            for pair in contrasts
        ]
        rows["pooled"] += [
            report.PooledContrast(horizon=horizon, first=pair[0], second=pair[1], pooled=one, p_holm=p)
            for pair, one, p in zip(contrasts, found, corrected([one.p for one in found]), strict=True)
        ]
        everything = np.stack([finals[task] for task in tasks], 1)
        rows["regrets"] += [
            report.ArmRegret(horizon=horizon, arm=one.arm, regret=one, tasks=tuple(tasks))
            for one in regrets(everything, arms, n_resamples=n_resamples)
        ]
        for quantity in ("steps", "seconds"):
            times = rng.lognormal(3, 0.5, size=(seeds, len(tasks), len(arms)))
            times[:, -1, -1] = math.inf
            found_profiles = profiles(times, n_resamples=n_resamples)
            profile_rows.append(
                report.Profile(horizon=horizon, quantity=quantity, arms=tuple(arms), profiles=found_profiles)
            )
    return report.ReportData(
        title="Made up: four optimizers on four tasks",
        tasks=tasks,
        arms=arms,
        horizons={name: HORIZONS[name] for name in horizons},
        profiles=profile_rows,
        costs=[
            report.StepCost(
                task=task,
                arm=arm,
                seconds=0.001 * (1 + i) * (1 + j),
                ratio=1 + 0.3 * j + 0.1 * i,
                state_bytes=8000 * (2 + j) * 10**i,
            )
            for i, task in enumerate(tasks)
            for j, arm in enumerate(arms)
        ],
        notes=["These numbers were made up."],
        method=["Every arm has 20 trials on 3 tuning seeds; its best point was run on 10 fresh seeds."],
        study_hash="0123456789abcdef0123456789abcdef",
        commit="abcdef0",
        command="waddington bench run quadratic digits --optimizer AdamW --optimizer AMVT --out results",
        machine={"processor": "2 cores", "memory": "23 GB"},
        versions={"torch": "2.13.0", "waddington": "0.2"},
        **rows,
    )


def add_arm(
    rows: dict[str, list],
    rng: np.random.Generator,
    task: str,
    horizon: str,
    arm: str,
    finals: np.ndarray,
    level: float,
    at: int,
) -> None:
    """Add an arm's tuning, curves and divergences on a task."""
    rates = np.sort(10 ** rng.uniform(-4, 0, 20))
    best = 10.0 ** (-3 + 0.7 * at)
    values = level * (1 + 0.5 * np.log10(rates / best) ** 2) * rng.lognormal(0, 0.05, 20)
    values[rates > 30 * best] = math.inf
    chosen = int(np.argmin(values))
    for i in range(20):
        edge = ("lr",) if i == chosen and at == 1 and task == "digits" else ()
        rows["tuning"].append(
            report.TuningPoint(
                task=task,
                horizon=horizon,
                arm=arm,
                arguments={"lr": float(rates[i]), "beta": 0.9},
                value=float(values[i]),
                is_chosen=i == chosen,
                on_boundary=edge,
            )
        )
    bought = expected_best(values, n_resamples=200)
    tries = attempts_to_success(values, 1.2 * level)
    rows["budgets"].append(report.Budget(task=task, horizon=horizon, arm=arm, best=bought, attempts=tries))
    steps = np.linspace(50, 1000, 20)
    decay = np.exp(-steps / 200)
    ends = np.where(np.isinf(finals), level, finals)
    curves = ends[:, None] * (1 + 5 * decay) * rng.lognormal(0, 0.03, size=(len(finals), 20))
    curves[np.isinf(finals), 12:] = np.nan
    rows["curves"].append(report.Curves(task=task, horizon=horizon, arm=arm, steps=steps, values=curves))
    diverged = int(np.isinf(finals).sum())
    rows["divergences"] += [
        report.Divergence(
            task=task, horizon=horizon, arm=arm, purpose="evaluation", runs=len(finals), diverged=diverged
        ),
        report.Divergence(task=task, horizon=horizon, arm=arm, purpose="tuning", runs=60, failed=int(at == 3)),
    ]
