"""Running the experiment: cells, embeddings, agents at given rates, the search, agents at tuned rates; resumable."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from waddington._checks import check_count
from waddington.errors import DataError
from waddington.jobs import (
    Event,
    Executor,
    InProcess,
    Job,
    Listener,
    Processes,
    Record,
    Store,
    core_count,
    run,
)
from waddington.twin.evaluate.summary import FIXED_POLICIES
from waddington.twin.run.jobs import as_text
from waddington.twin.run.search import Point
from waddington.twin.tables.agents import TableJob
from waddington.twin.tables.config import TablesConfig
from waddington.twin.tables.embeddings import EmbeddingJob, Protocol
from waddington.twin.tables.rows import Row
from waddington.twin.tables.sources import CellsJob, CellSource
from waddington.twin.tables.summary import About, Tables

__all__ = ["read_tables", "run_tables"]

_WORK = "work"
"""Folder of the records in that of the tables."""


def run_tables(
    config: TablesConfig,
    out: str | os.PathLike[str],
    *,
    workers: int = 1,
    executor: Executor | None = None,
    listener: Listener | None = None,
) -> Tables:
    """Run what has no record yet, and give the tables.

    Parameters
    ----------
    config
        The experiment.
    out
        Folder of the records. What lies there already is not computed again, whichever experiment it was part of, so
        one that was killed goes on, and one with more seeds or rows computes those.
    workers
        Processes that share the work; 0: one for each core.
    executor
        In the place of workers.
    listener
        Told how far it is.

    Raises
    ------
    ArgumentError
        When workers is no number of processes.
    DataError
        When cells cannot be used.
    OutputError
        When the folder cannot be written.
    """
    check_count("workers", workers, 0)
    workers = workers or core_count()
    chosen = executor or (Processes(workers) if workers > 1 else InProcess())
    try:
        with Store(Path(out) / _WORK) as store:
            return _Experiment(config, store, chosen, listener or Listener()).tables()
    finally:
        if executor is None:
            chosen.close()


def read_tables(config: TablesConfig, out: str | os.PathLike[str]) -> Tables:
    """Give the tables of what is recorded so far; nothing runs.

    Parameters
    ----------
    config
        The experiment.
    out
        Folder of the records.

    Raises
    ------
    DataError
        When there are no records.
    """
    folder = Path(out) / _WORK
    if not folder.is_dir():
        raise DataError(f"cannot read tables from {str(out)!r}: it holds no records; accepted: a folder of run_tables")
    with Store(folder) as store:
        return _Experiment(config, store, None, Listener()).tables()


class _Experiment:
    """The stages, each of which needs what the one before has found; without an executor nothing runs."""

    def __init__(self, config: TablesConfig, store: Store, executor: Executor | None, listener: Listener) -> None:
        self._config, self._store, self._executor, self._listener = config, store, executor, listener

    def tables(self) -> Tables:
        config = self._config
        self._do("Preparing cells", [CellsJob(source=source) for source in config.cells])
        seeds = (*config.evaluation_seeds, *((config.tuning_seed,) if config.tuned else ()))
        self._do("Embedding cells", [self._embedding(*at) for at in itertools.product(*self._places, seeds)])
        jobs = self._fixed()
        tried = pd.DataFrame()
        if config.given:
            points: dict[tuple[str, str, str], Point] = {
                (source.name, protocol, row.name): config.given_point(row)
                for source, protocol, row in itertools.product(*self._places, config.rows)
            }
            jobs |= self._jobs("given", points)
        if config.tuned:
            best, tried = self._search()
            jobs |= self._jobs("tuned", best)
        records = self._do("Training and judging agents", jobs.values(), keep=True)
        found = [(about, records[job.key]) for about, job in jobs.items() if job.key in records]
        found.sort(key=lambda pair: pair[0].rates == "none")  # shown last, though they ran first
        return Tables.of(found, tried=tried, missing=len(jobs) - len(found))

    @property
    def _places(self) -> tuple[tuple[CellSource, ...], tuple[Protocol, ...]]:
        return self._config.cells, self._config.protocols

    def _embedding(self, source: CellSource, protocol: Protocol, seed: int) -> EmbeddingJob:
        config = self._config
        is_paper = protocol == "paper"
        turn = seed
        if not is_paper and config.encoders and seed != config.tuning_seed:
            turn = config.seed + (seed - config.seed) % config.encoders
        epochs = 0 if is_paper else config.encoder_epochs
        return EmbeddingJob(cells=CellsJob(source=source), protocol=protocol, seed=turn, epochs=epochs)

    def _job(
        self, source: CellSource, protocol: Protocol, regime: int, seed: int, *, policy: str, **more: Any
    ) -> TableJob:
        config = self._config
        shared = {
            "steps": config.steps,
            "net": config.net,
            "batch_size": config.batch_size,
            "n_envs": config.n_envs,
            "horizon": config.horizon,
            "episodes": config.episodes,
            "update": config.update,
        }
        embedding = self._embedding(source, protocol, seed)
        return TableJob(embedding=embedding, max_perturb=regime, seed=seed, policy=policy, **{**shared, **more})

    def _trained(self, *where: Any, row: Row, point: Point, **more: Any) -> TableJob:
        config = self._config
        arguments = tuple(sorted(config.arguments(row, point).items()))
        return self._job(*where, policy=config.optimizer(row), arguments=arguments, **more)

    def _jobs(self, rates: str, points: Mapping[tuple[str, str, str], Point]) -> dict[About, TableJob]:
        """Give the jobs of all rows at the points that they have on cells and in a protocol."""
        config = self._config
        found: dict[About, TableJob] = {}
        for source, protocol, regime, seed in itertools.product(*self._places, config.regimes, config.evaluation_seeds):
            for row in config.rows:
                point = points.get((source.name, protocol, row.name))
                if point is None:  # its search has not ended
                    continue
                about = About(
                    cells=source.name, protocol=protocol, regime=regime, rates=rates, row=row.name,
                    optimizer=row.optimizer, lr=point.lr, searched=point.searched, seed=seed,
                )  # fmt: skip
                found[about] = self._trained(
                    source, protocol, regime, seed, row=row, point=point, anisotropy=config.anisotropy
                )
        return found

    def _fixed(self) -> dict[About, TableJob]:
        """Give the jobs of policies that are not trained."""
        config = self._config
        found: dict[About, TableJob] = {}
        for source, protocol, regime, seed in itertools.product(*self._places, config.regimes, config.evaluation_seeds):
            for name in FIXED_POLICIES:
                about = About(
                    cells=source.name, protocol=protocol, regime=regime, rates="none", row=name, optimizer="none",
                    lr=0.0, searched=(), seed=seed,
                )  # fmt: skip
                found[about] = self._job(source, protocol, regime, seed, policy=name)
        return found

    def _search(self) -> tuple[dict[tuple[str, str, str], Point], pd.DataFrame]:
        """Try every row's points; the greatest return in training wins, the smaller rate on a tie."""
        config = self._config
        where = (config.regimes[-1], config.tuning_seed)
        tried = {
            (source.name, protocol, row.name, point): self._trained(
                source, protocol, *where, row=row, point=point, episodes=0
            )
            for source, protocol, row in itertools.product(*self._places, config.rows)
            for point in config.points(row)
        }
        records = self._do("Searching rates", tried.values(), keep=True)
        rows: list[dict[str, Any]] = []
        best: dict[tuple[str, str, str], tuple[float, Point]] = {}
        open_ones = {key[:3] for key, job in tried.items() if job.key not in records}
        for (cells, protocol, name, point), job in tried.items():
            if (cells, protocol, name) in open_ones:
                continue
            objective = (records[job.key].result or {}).get("objective")
            merit = -math.inf if objective is None else float(objective)
            rows.append({"cells": cells, "protocol": protocol, "row": name, "lr": point.lr,
                         "searched": as_text(point.searched), "objective": objective})  # fmt: skip
            if (cells, protocol, name) not in best or merit > best[cells, protocol, name][0]:
                best[cells, protocol, name] = merit, point
        return {key: point for key, (_, point) in best.items()}, pd.DataFrame(rows)

    def _do(self, title: str, jobs: Iterable[Job], *, keep: bool = False) -> dict[str, Record]:
        """Run one stage; with `keep` a failure is recorded and no reason to stop."""
        wanted = list(dict.fromkeys(jobs))
        if self._executor is None:
            return {record.key: record for job in wanted if (record := self._store.get(job)) is not None}
        keys = {job.key for job in wanted}
        self._listener.stage(title, len(wanted))

        def listen(event: Event) -> None:
            if event.job.key in keys:
                self._listener.advance(event)

        records = run(
            wanted, self._store, executor=self._executor, listen=listen, on_failure="record" if keep else "stop"
        )
        return {record.key: record for record in records}
