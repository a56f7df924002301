"""CPU time of PPO with its update written out against Stable-Baselines3's own, by optimizer: ratios of pairs.

The paper's agent: six layers of 256, 8 cells, rollouts of 2,048 transitions, mini-batches of 64, ten passes. The two
are run in turn, so that what else the machine does weighs on both; the ratio of a pair is what counts.

    python benchmarks/ppo_update.py --rounds 5 --json benchmarks/out/ppo_update.json
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from waddington.twin.plan.agent import AgentConfig, paper_config, train_agent
from waddington.twin.plan.agent.config import UPDATES
from waddington.twin.plan.env import CellVecEnv, PaperTask

CELLS = 8


def seconds(optimizer: str, config: AgentConfig, task: PaperTask, steps: int) -> float:
    """Train; give CPU seconds for a thousand transitions."""
    env = CellVecEnv(task, CELLS, seed=0)
    begun = time.process_time()
    train_agent(env, optimizer=optimizer, lr=1e-4, total_timesteps=steps, config=config)
    return (time.process_time() - begun) / steps * 1000.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--optimizers", default="Adam,AMSGrad,ASGDAdam,ASGDAMSGrad,Padam,SGD")
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cells = np.random.default_rng(0).standard_normal((500, options.features))
    task = PaperTask(cells=cells, order=np.arange(500.0), max_perturb=2)
    published = dataclasses.replace(paper_config(), n_steps=2048 // CELLS)
    configs = {update: dataclasses.replace(published, update=update) for update in UPDATES}
    rows = []
    for optimizer in options.optimizers.split(","):
        for config in configs.values():  # kernels are compiled, pages touched
            seconds(optimizer, config, task, options.steps)
        pairs = [
            {update: seconds(optimizer, config, task, options.steps) for update, config in configs.items()}
            for _ in range(options.rounds)
        ]
        ratios = [pair["autograd"] / pair["written-out"] for pair in pairs]
        row = {"optimizer": optimizer, "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
        row |= {update: min(pair[update] for pair in pairs) for update in UPDATES}
        rows.append(row)
        print(
            f"{optimizer:<12} {row['ratio']:.2f} times faster ({row['least']:.2f} to {row['most']:.2f}); best of each, "
            f"CPU s for 1,000 transitions: {row['autograd']:.2f} and {row['written-out']:.2f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps({"torch": torch.__version__, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
