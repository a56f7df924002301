"""The order of a run's work: baselines, encoders tuned and trained, agents tuned and trained."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd

from waddington._files import write_text
from waddington.twin.run.agent_jobs import IDLE, RANDOM
from waddington.twin.run.config import RunConfig
from waddington.twin.run.encoder_jobs import TRIAL
from waddington.twin.run.executor import Executor, Record, Unit, core_count
from waddington.twin.run.folder import RunFolder
from waddington.twin.run.listener import Listener
from waddington.twin.run.replicate_jobs import COLUMNS as MEASURED
from waddington.twin.run.replicate_jobs import FILE as MEASURABLE
from waddington.twin.run.units import run_unit

__all__ = ["Finished", "best_optimizer", "run_stages"]

COLUMNS = ("protocol", "predictor", "optimizer", "seed", "modality", "split", "conditions", "n", "metric", "value")
"""Columns of `metrics.csv`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """What all units of a run found."""

    records: dict[Unit, Record]
    """Evaluated units only; those of tuning are in `tuned`."""
    protocols: tuple[str, ...]
    """Protocols that were asked for; an encoder that only pictures need is not scored."""
    tuned: pd.DataFrame
    """Every rate tried: kind, protocol, optimizer, lr, objective, chosen."""
    measurability: pd.DataFrame
    """Which conditions can be measured: the columns of `measurability.csv`."""
    encoders: dict[tuple[str, int], Unit]
    """Encoder unit by optimizer and seed."""
    agents: dict[tuple[str, str, str, int], Unit]
    """Agent unit by protocol, variant, optimizer and seed."""

    def best(self) -> dict[str, str]:
        """Name the best optimizer of encoders (``response``) and of held-out agents (``agent``), where there are any.

        See :func:`best_optimizer`.
        """
        found = {
            "response": best_optimizer(self.records, kind="encoder", protocol="held-out"),
            "agent": best_optimizer(self.records, kind="agent", protocol="held-out"),
        }
        return {name: optimizer for name, optimizer in found.items() if optimizer is not None}

    def metrics(self) -> pd.DataFrame:
        """Give tidy metrics, one row a measurement."""
        rows = []
        for unit, record in self.records.items():
            if unit.protocol not in self.protocols:
                continue
            predictor = {"encoder": "response", "agent": "agent", "baseline": unit.variant}[unit.kind]
            trained = unit.optimizer not in (IDLE, RANDOM, "none")
            about = {
                "protocol": unit.protocol,
                "predictor": predictor if trained or unit.kind == "baseline" else unit.optimizer,
                "optimizer": unit.optimizer if trained else "none",
                "seed": unit.seed,
            }
            for score in record["scores"]:
                about_baseline = {"predictor": score["predictor"]} if "predictor" in score else {}
                rows.append({**about, **score, **about_baseline})
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": "float64"})

    def history(self) -> pd.DataFrame:
        """Give tidy losses of the encoders: optimizer, seed, epoch, split, loss."""
        rows = [
            {"optimizer": optimizer, "seed": seed, "epoch": epoch, "split": split, "loss": loss}
            for (optimizer, seed), unit in self.encoders.items()
            if unit in self.records
            for epoch, split, loss in zip(
                *(self.records[unit]["history"][name] for name in ("epoch", "split", "loss")), strict=True
            )
        ]
        return pd.DataFrame(rows, columns=["optimizer", "seed", "epoch", "split", "loss"]).astype({"loss": "float64"})


def best_optimizer(records: Mapping[Unit, Record], *, kind: str, protocol: str) -> str | None:
    """Name the optimizer of greatest mean objective over seeds (and variants): the one rule for "best" of a run.

    The objective of an encoder is minus its validation loss, of an agent its return in the training world; no test cell
    takes part. A diverged training is worse than any other, so the fewest of them come first. None where nothing was
    trained; the first optimizer on a tie.
    """
    seen: dict[str, list[float | None]] = {}
    for unit, record in records.items():
        if unit.kind == kind and unit.protocol == protocol and unit.optimizer not in (IDLE, RANDOM):
            seen.setdefault(unit.optimizer, []).append(record["objective"])

    def merit(optimizer: str) -> tuple[float, float]:
        known = [objective for objective in seen[optimizer] if objective is not None]
        return -(1.0 - len(known) / len(seen[optimizer])), float(np.mean(known)) if known else -np.inf

    return max(seen, key=merit) if seen else None


def run_stages(config: RunConfig, folder: RunFolder, listener: Listener, *, modalities: Iterable[str]) -> Finished:
    """Run every unit of a run that has no record yet.

    Parameters
    ----------
    config
        The run.
    folder
        Claimed, with prepared cells in it.
    listener
        Hears of every stage.
    modalities
        Names of the modalities of the prepared cells.
    """
    with Executor(config.workers or core_count()) as executor:
        return _run_stages(config, folder, listener, executor, tuple(modalities))


def _run_stages(
    config: RunConfig, folder: RunFolder, listener: Listener, executor: Executor, modalities: tuple[str, ...]
) -> Finished:
    tried: dict[Unit, Record] = {}
    records: dict[Unit, Record] = {}

    def do(title: str, units: Iterable[Unit]) -> dict[Unit, Record]:
        wanted = list(dict.fromkeys(units))
        listener.stage(title, len(wanted))
        return executor.run(wanted, run_unit, folder=folder.units, tell=listener.advance)

    def tune(title: str, unit_of: Callable[[str, float], Unit], optimizers: Iterable[str]) -> dict[str, float]:
        names = list(optimizers)
        if not config.lr_grid:
            return {name: config.rate(name) for name in names}
        trials = [unit_of(name, lr) for name in names for lr in config.lr_grid]
        found = do(title, trials)
        tried.update(found)
        table = _trials(found)
        return dict(table[table["chosen"]].set_index("optimizer")["lr"])

    replicates = [
        Unit(kind="replicates", protocol="held-out", optimizer="none", lr=0.0, seed=config.seed, variant=modality)
        for modality in modalities
    ]
    measured = [row for record in do("Comparing replicates", replicates).values() for row in record["conditions"]]
    write_text(folder.work / MEASURABLE, json.dumps(measured))

    held_out = "held-out" in config.protocols
    seeds = config.evaluation_seeds

    def encoder(name: str, lr: float, seed: int, variant: str = "") -> Unit:
        return Unit(kind="encoder", protocol="held-out", optimizer=name, lr=lr, seed=seed, variant=variant)

    names = tuple(dict.fromkeys((*(config.optimizer if held_out else ()), config.reference_optimizer)))
    rates = tune("Tuning encoders", lambda name, lr: encoder(name, lr, config.tuning_seed, TRIAL), names)
    reference = {
        str(seed): encoder(config.reference_optimizer, rates[config.reference_optimizer], seed)
        for seed in (*seeds, *((config.tuning_seed,) if config.lr_grid else ()))
    }
    # The published protocol needs no trained encoder; one is trained for the pictures.
    trained = [(name, seed) for name in names for seed in (seeds if held_out else seeds[:1])]
    encoders = {(name, seed): encoder(name, rates[name], seed) for name, seed in trained}
    found = do("Training encoders", [*encoders.values(), *(reference.values() if held_out else ())])
    records |= {unit: found[unit] for (name, _), unit in encoders.items() if name in config.optimizer or not held_out}
    write_text(
        folder.work / "reference.json", json.dumps({seed: dataclasses.asdict(u) for seed, u in reference.items()})
    )
    if held_out:
        baselines = [Unit(kind="baseline", protocol="held-out", optimizer="none", lr=0.0, seed=seed) for seed in seeds]
        records |= do("Scoring baselines", baselines)

    agents: dict[tuple[str, str, str, int], Unit] = {}
    for protocol in config.protocols:
        variants = [f"max{n}" for n in config.paper_perturbations] if protocol == "paper" else [""]

        def agent(
            name: str, lr: float, seed: int = config.tuning_seed, variant: str = variants[-1], protocol: str = protocol
        ) -> Unit:
            return Unit(kind="agent", protocol=protocol, optimizer=name, lr=lr, seed=seed, variant=variant)

        agent_rates = tune(f"Tuning agents ({protocol})", agent, config.optimizer)
        everyone = [*((name, agent_rates[name]) for name in config.optimizer), (IDLE, 0.0), (RANDOM, 0.0)]
        here = {
            (protocol, variant, name, seed): agent(name, lr, seed, variant)
            for variant in variants
            for name, lr in everyone
            for seed in seeds
        }
        agents |= here
        records |= do(f"Training agents ({protocol})", here.values())
    return Finished(
        records=records,
        protocols=config.protocols,
        tuned=_trials(tried),
        measurability=pd.DataFrame(measured, columns=list(MEASURED)),
        encoders=encoders,
        agents=agents,
    )


def _trials(found: dict[Unit, Record]) -> pd.DataFrame:
    """Table the rates that were tried; the best objective of each optimizer is chosen, the smaller rate on a tie."""
    table = pd.DataFrame(
        [
            {
                "kind": unit.kind,
                "protocol": unit.protocol,
                "optimizer": unit.optimizer,
                "lr": unit.lr,
                "objective": float("-inf") if record["objective"] is None else record["objective"],
            }
            for unit, record in found.items()
        ],
        columns=["kind", "protocol", "optimizer", "lr", "objective"],
    ).sort_values(["kind", "protocol", "optimizer", "lr"], ignore_index=True)
    best = (
        table.groupby(["kind", "protocol", "optimizer"])["objective"].transform("idxmax") if len(table) else table.index
    )
    return table.assign(chosen=table.index == best)
