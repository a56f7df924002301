"""Transitions a second of the environments: ``OMP_NUM_THREADS=1 python benchmarks/env_throughput.py [--json FILE]``.

First without a policy, many cells at once; then PPO training in :class:`CellVecEnv` beside the same task one cell at a
time (``DummyVecEnv`` of :class:`CellEnv`). Processor time is printed beside wall time, because a busy machine stretches
the latter only.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import numpy as np
import torch
from stable_baselines3.common.vec_env import DummyVecEnv

from measuring import threading
from waddington.twin.dynamics.latent import Dynamics
from waddington.twin.plan.agent import AgentConfig, build_agent
from waddington.twin.plan.env import CellEnv, CellTask, CellVecEnv, PaperTask

GOAL = 200_000


def make_tasks(n_features: int, n_edits: int) -> dict[str, Any]:
    """Make one task of each kind, with drift, noise and disturbances."""
    rng = np.random.default_rng(0)
    dynamics = Dynamics(
        effects=0.5 * rng.standard_normal((n_edits, n_features)),
        perturbations=tuple(f"edit {k}" for k in range(n_edits)),
        scale=0.8,
        landmarks=rng.standard_normal((64, n_features)),
        drift=rng.standard_normal((64, n_features)),
        noise_sd=np.full(n_features, 0.05),
    )
    cells = rng.standard_normal((2000, n_features))
    discrete = CellTask(dynamics=dynamics, starts=cells, goals=cells[:50])
    return {
        "discrete": discrete,
        "continuous": CellTask(dynamics=dynamics, starts=cells, goals=cells[:50], actions="continuous"),
        "paper": PaperTask(cells=cells, max_perturb=2, max_steps=1000),
    }


def environment_rate(task: Any, n_cells: int, *, steps: int = 60, repeats: int = 5) -> dict[str, float]:
    """Step with prepared actions; give the best of a few repeats, in transitions a second."""
    env, rng = CellVecEnv(task, n_cells, seed=0), np.random.default_rng(1)
    shape = env.action_space.shape
    plan = [
        rng.uniform(-1, 1, (n_cells, *shape)).astype(np.float32)
        if shape
        else rng.integers(env.action_space.n, size=n_cells)
        for _ in range(8)
    ]
    env.reset()
    rates: dict[str, list[float]] = {"wall": [], "cpu": []}
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        for step in range(steps):
            env.step(plan[step % len(plan)])
        rates["wall"].append(steps * n_cells / (time.perf_counter() - wall))
        rates["cpu"].append(steps * n_cells / (time.process_time() - cpu))
    return {"per_s": max(rates["wall"]), "per_cpu_s": max(rates["cpu"])}


def ppo_rate(env: Any, config: AgentConfig, *, timesteps: int) -> dict[str, float]:
    """Train with Adam; give transitions a second, policy and updates included."""
    model = build_agent(env, optimizer="Adam", lr=1e-3, config=config)
    model.learn(1)  # one rollout to warm up
    wall, cpu = time.perf_counter(), time.process_time()
    model.learn(timesteps)
    done = model.num_timesteps
    return {"per_s": done / (time.perf_counter() - wall), "per_cpu_s": done / (time.process_time() - cpu)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--edits", type=int, default=20)
    parser.add_argument("--cells", type=int, default=1024)
    parser.add_argument("--ppo-cells", type=int, default=64)
    parser.add_argument("--timesteps", type=int, default=9216)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(threading())

    tasks = make_tasks(options.features, options.edits)
    rows: list[dict[str, Any]] = []
    for name, task in tasks.items():
        rows.append({"what": f"environment, {name}", "cells": options.cells, **environment_rate(task, options.cells)})
    for name, cells in (("discrete", 1), ("discrete", options.ppo_cells)):
        rows.append({"what": f"environment, {name}", "cells": cells, **environment_rate(tasks[name], cells)})
    task, config = tasks["discrete"], AgentConfig()
    batched = CellVecEnv(task, options.ppo_cells)
    one_by_one = DummyVecEnv([lambda: CellEnv(task)] * options.ppo_cells)
    for what, env in (("PPO, CellVecEnv", batched), ("PPO, DummyVecEnv of CellEnv", one_by_one)):
        rows.append({"what": what, "cells": options.ppo_cells, **ppo_rate(env, config, timesteps=options.timesteps)})
    single = ppo_rate(DummyVecEnv([lambda: CellEnv(task)]), config, timesteps=options.timesteps // 8)
    rows.append({"what": "PPO, one CellEnv", "cells": 1, **single})

    for row in rows:
        print(f"{row['what']:<28}{row['cells']:>6} cells {row['per_s']:>12,.0f} /s {row['per_cpu_s']:>12,.0f} /cpu s")
    first = rows[0]
    verdict = "reached" if first["per_cpu_s"] >= GOAL else "NOT reached"
    print(
        f"{first['per_cpu_s']:,.0f} transitions a second of one core ({first['per_s']:,.0f} of wall time) with "
        f"{options.features} features and {options.cells} cells, without policy: the goal of {GOAL:,} is {verdict}"
    )
    record = {
        "features": options.features,
        "edits": options.edits,
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "rows": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(record, indent=1))
    else:
        print(json.dumps(record))


if __name__ == "__main__":
    main()
