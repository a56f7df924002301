"""Whose weights are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from waddington.twin.run.agent_jobs import AgentJob
from waddington.twin.run.config import RunConfig
from waddington.twin.run.encoder_jobs import EncoderJob
from waddington.twin.run.jobs import TwinJob
from waddington.twin.run.records import RunRecords, best_optimizer

__all__ = ["Chosen", "choose"]

J = TypeVar("J", bound=TwinJob)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The jobs whose weights are kept, chosen on training and validation cells, never on test cells."""

    encoder: EncoderJob
    agent: AgentJob | None
    """Of the held-out protocol, where that was asked for: it acts in the space of `encoder`. Else of the paper's, which
    acts in a space of its own."""


def choose(finished: RunRecords, config: RunConfig) -> Chosen:
    """Choose the optimizer that is best by the mean over seeds, as verdicts do, and of its jobs the best one.

    Of encoders that is the least validation loss, of agents the greatest return in their training world.
    """
    protocol = config.protocols[-1]
    encoder = _best(finished, finished.encoders.values(), "encoder", "held-out")
    agent = _best(finished, [job for (p, *_), job in finished.agents.items() if p == protocol], "agent", protocol)
    fallback = agent.encoder if agent is not None and agent.encoder else next(iter(finished.encoders.values()))
    return Chosen(encoder=encoder or fallback, agent=agent)


def _best(finished: RunRecords, jobs: Collection[J], kind: str, protocol: str) -> J | None:
    results: dict[TwinJob, Mapping[str, Any]] = {job: finished.records[job] for job in jobs if job in finished.records}
    optimizer = best_optimizer(results, kind=kind, protocol=protocol)
    known = [
        (results[job]["objective"], job)
        for job in jobs
        if job in results and job.optimizer == optimizer and results[job]["objective"] is not None
    ]
    return max(known, key=lambda pair: (pair[0], pair[1].label))[1] if known else None
