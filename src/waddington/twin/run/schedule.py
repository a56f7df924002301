"""The order of a run's work: replicates, encoders tuned and trained, baselines, agents tuned and trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from waddington.jobs import Event, Executor, InProcess, Listener, Processes, Ray, Store, core_count, run
from waddington.twin.evaluate.summary import FIXED_POLICIES
from waddington.twin.run.agent_jobs import IDLE, RANDOM, AgentJob
from waddington.twin.run.choice import Chosen, choose
from waddington.twin.run.config import RunConfig
from waddington.twin.run.encoder_jobs import TRIAL, BaselineJob, EncoderJob
from waddington.twin.run.folder import RunFolder
from waddington.twin.run.jobs import TwinJob, as_text
from waddington.twin.run.prediction_jobs import PredictionJob
from waddington.twin.run.records import RunRecords, tabulate_trials
from waddington.twin.run.replicate_jobs import COLUMNS, ReplicateJob
from waddington.twin.run.search import Point, points

__all__ = ["run_schedule"]

Result = Mapping[str, Any]


def run_schedule(
    config: RunConfig, folder: RunFolder, listener: Listener, *, modalities: Iterable[str], judges: bool
) -> tuple[RunRecords, Chosen]:
    """Run every job of a run that has no record yet; give what they found, and the jobs whose weights are kept.

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
    judges
        Whether there are conditions that models of responses can be judged on.
    """
    with Store(folder.work, note=listener.note) as store, _executor(config) as executor:
        return _Schedule(config, folder.run_id, listener, store, executor, judges=judges).work(tuple(modalities))


def _executor(config: RunConfig) -> Executor:
    if config.executor == "ray":
        return Ray(config.workers)
    workers = config.workers or core_count()
    return Processes(workers) if workers > 1 else InProcess()


class _Schedule:
    """The stages of one run, each of which needs what the one before has found."""

    def __init__(
        self, config: RunConfig, run_id: str, listener: Listener, store: Store, executor: Executor, *, judges: bool
    ) -> None:
        self._config, self._run_id, self._listener, self._judges = config, run_id, listener, judges
        self._store, self._executor = store, executor
        self._tried: dict[TwinJob, Result] = {}
        self._records: dict[TwinJob, Result] = {}
        self._replicates: tuple[ReplicateJob, ...] = ()

    def work(self, modalities: tuple[str, ...]) -> tuple[RunRecords, Chosen]:
        """Run all stages; give what evaluated jobs found, and the jobs whose weights are kept."""
        measurability = self._measure(modalities)
        encoders, reference = self._train_encoders()
        judged = None
        if "held-out" in self._config.protocols:
            self._score_baselines()
            judged = self._judge_predictions()
        agents: dict[tuple[str, str, str, int], AgentJob] = {}
        for protocol in self._config.protocols:
            agents |= self._train_agents(protocol, reference)
        finished = RunRecords(
            records=self._records,
            protocols=self._config.protocols,
            tuned=tabulate_trials(self._tried),
            measurability=measurability,
            encoders=encoders,
            agents=agents,
            judged=judged,
        )
        return finished, self._in_one_space(choose(finished, self._config))

    def _in_one_space(self, chosen: Chosen) -> Chosen:
        """Train the chosen agent in the space of the chosen encoder, where it was trained in that of the reference.

        Agents are compared on one encoder, the same for all. What is kept is one model, in which the agent must stand
        on the encoder beside it. No figure of the run comes from this training.
        """
        agent = chosen.agent
        if agent is None or agent.encoder in (None, chosen.encoder):
            return chosen
        own = dataclasses.replace(agent, encoder=chosen.encoder)
        found = self._do("Training the agent of the model", [own])
        return dataclasses.replace(chosen, agent=own if found[own]["objective"] is not None else None)

    def _measure(self, modalities: tuple[str, ...]) -> pd.DataFrame:
        """Ask which conditions can be measured."""
        self._replicates = tuple(
            ReplicateJob(run_id=self._run_id, seed=self._config.seed, variant=modality) for modality in modalities
        )
        found = self._do("Comparing replicates", self._replicates)
        rows = [row for result in found.values() for row in result["conditions"]]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def _train_encoders(self) -> tuple[dict[tuple[str, int], EncoderJob], dict[int, EncoderJob]]:
        """Give the encoder of each optimizer and seed, and of each seed the one that held-out agents act in."""
        config, seeds = self._config, self._config.evaluation_seeds
        held_out = "held-out" in config.protocols

        def trial(name: str, at: Point) -> EncoderJob:
            return EncoderJob(
                run_id=self._run_id,
                optimizer=name,
                lr=at.lr,
                searched=at.searched,
                seed=config.tuning_seed,
                variant=TRIAL,
            )

        def encoder(name: str, seed: int) -> EncoderJob:
            return EncoderJob(
                run_id=self._run_id,
                optimizer=name,
                lr=best[name].lr,
                searched=best[name].searched,
                seed=seed,
                replicates=self._replicates,
            )

        names = tuple(dict.fromkeys((*(config.optimizer if held_out else ()), config.encoder.reference_optimizer)))
        best = self._tune("Tuning encoders", trial, names)
        reference = {
            seed: encoder(config.encoder.reference_optimizer, seed)
            for seed in (*seeds, *((config.tuning_seed,) if config.lr_grid else ()))
        }
        # The published protocol needs no trained encoder; one is trained for the pictures.
        encoders = {(name, seed): encoder(name, seed) for name in names for seed in (seeds if held_out else seeds[:1])}
        found = self._do("Training encoders", [*encoders.values(), *(reference.values() if held_out else ())])
        self._records |= {
            job: found[job] for (name, _), job in encoders.items() if name in config.optimizer or not held_out
        }
        return encoders, reference

    def _score_baselines(self) -> None:
        seeds = self._config.evaluation_seeds
        jobs = [BaselineJob(run_id=self._run_id, seed=seed, replicates=self._replicates) for seed in seeds]
        self._records |= self._do("Scoring baselines", jobs)

    def _judge_predictions(self) -> PredictionJob | None:
        """Judge response models of the features; stages of an order are no conditions that one could predict."""
        if not self._judges:
            return None
        job = PredictionJob(run_id=self._run_id, seed=self._config.seed)
        self._do("Judging predictions", [job])
        return job

    def _train_agents(
        self, protocol: str, reference: Mapping[int, EncoderJob]
    ) -> dict[tuple[str, str, str, int], AgentJob]:
        """Give the agent of each protocol, variant, optimizer and seed."""
        config = self._config
        is_paper = protocol == "paper"
        variants = [f"max{n}" for n in config.ppo.paper_perturbations] if is_paper else [""]

        def agent(name: str, at: Point, seed: int = config.tuning_seed, variant: str = variants[-1]) -> AgentJob:
            return AgentJob(
                run_id=self._run_id,
                protocol=protocol,
                optimizer=name,
                lr=at.lr,
                searched=at.searched,
                seed=seed,
                variant=variant,
                encoder=None if is_paper else reference[seed],
                replicates=() if is_paper else self._replicates,
            )

        best = self._tune(f"Tuning agents ({protocol})", agent, config.optimizer)
        fixed = FIXED_POLICIES if is_paper else (IDLE, RANDOM)
        everyone = [*((name, best[name]) for name in config.optimizer), *((name, Point(lr=0.0)) for name in fixed)]
        agents = {
            (protocol, variant, name, seed): agent(name, at, seed, variant)
            for variant in variants
            for name, at in everyone
            for seed in config.evaluation_seeds
        }
        self._records |= self._do(f"Training agents ({protocol})", agents.values())
        return agents

    def _tune(self, title: str, job_of: Callable[[str, Point], TwinJob], optimizers: Iterable[str]) -> dict[str, Point]:
        """Choose each optimizer's rate, and what else is searched, on a seed that is not evaluated."""
        config, names = self._config, list(optimizers)
        if not config.lr_grid:
            return {name: Point(lr=config.rate(name)) for name in names}
        tried = {job_of(name, point): point for name in names for point in points(config, name)}
        found = self._do(title, tried)
        self._tried |= found
        table = tabulate_trials(found)
        best = {tuple(row) for row in table[table["chosen"]][["optimizer", "lr", "searched"]].itertuples(index=False)}
        return {
            job.optimizer: point
            for job, point in tried.items()
            if (job.optimizer, job.lr, as_text(job.searched)) in best
        }

    def _do(self, title: str, jobs: Iterable[TwinJob]) -> dict[TwinJob, Result]:
        """Run one stage; its listener hears of its own jobs, not of those that they need."""
        wanted = list(dict.fromkeys(jobs))
        keys = {job.key for job in wanted}
        self._listener.stage(title, len(wanted))

        def listen(event: Event) -> None:
            if event.job.key in keys:
                self._listener.advance(event)

        records = run(wanted, self._store, executor=self._executor, listen=listen)
        return {job: record.result or {} for job, record in zip(wanted, records, strict=True)}
