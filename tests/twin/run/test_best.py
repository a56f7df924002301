"""One rule for "best": verdicts, weights and predictions are of the same optimizer."""

from __future__ import annotations

import dataclasses

import pandas as pd

from waddington.twin.run import RunConfig
from waddington.twin.run.agent_jobs import AgentJob
from waddington.twin.run.choice import choose
from waddington.twin.run.encoder_jobs import EncoderJob
from waddington.twin.run.records import RunRecords, best_optimizer


def finished(objectives: dict[tuple[str, str, int], float | None]) -> RunRecords:
    """Give a run whose jobs (kind, optimizer, seed) reached these objectives."""
    classes = {"encoder": EncoderJob, "agent": AgentJob}
    jobs = {key: classes[key[0]](run_id="", optimizer=key[1], lr=0.1, seed=key[2]) for key in objectives}
    return RunRecords(
        records={jobs[key]: {"objective": value, "scores": [], "history": {}} for key, value in objectives.items()},
        protocols=("held-out",),
        tuned=pd.DataFrame(),
        measurability=pd.DataFrame(),
        encoders={(job.optimizer, job.seed): job for job in jobs.values() if isinstance(job, EncoderJob)},
        agents={("held-out", "", job.optimizer, job.seed): job for job in jobs.values() if isinstance(job, AgentJob)},
    )


def test_a_lucky_seed_does_not_make_the_best() -> None:
    found = finished(
        {
            ("encoder", "Adam", 0): -1.0,
            ("encoder", "Adam", 1): -3.0,
            ("encoder", "ASGDAdam", 0): -1.6,
            ("encoder", "ASGDAdam", 1): -1.5,
            ("agent", "Adam", 0): 2.0,
            ("agent", "Adam", 1): 2.2,
            ("agent", "ASGDAdam", 0): 9.0,
            ("agent", "ASGDAdam", 1): -9.0,
        }
    )
    chosen = choose(found, RunConfig.of(optimizer=["Adam", "ASGDAdam"], protocol="held-out"))
    assert found.best() == {"response": "ASGDAdam", "agent": "Adam"}
    assert (chosen.encoder.optimizer, chosen.encoder.seed) == ("ASGDAdam", 1), "the best seed of the best optimizer"
    assert chosen.agent is not None
    assert (chosen.agent.optimizer, chosen.agent.seed) == ("Adam", 1)


def test_a_diverged_seed_counts_as_the_worst() -> None:
    found = finished({("encoder", "Adam", 0): None, ("encoder", "Adam", 1): -0.1, ("encoder", "SGD", 0): -9.0})
    assert best_optimizer(found.records, kind="encoder", protocol="held-out") == "SGD"
    both = finished({("encoder", "Adam", 0): None, ("encoder", "SGD", 0): None})
    assert best_optimizer(both.records, kind="encoder", protocol="held-out") == "Adam"
    assert choose(both, RunConfig.of(optimizer=["Adam", "SGD"], protocol="held-out")).encoder.optimizer == "Adam"


def test_where_all_compared_encoders_diverged_the_one_of_the_agent_is_kept() -> None:
    found = finished({("encoder", "Adam", 0): None, ("encoder", "SGD", 0): None, ("agent", "Adam", 0): 1.0})
    reference = EncoderJob(run_id="", optimizer="AdamW", lr=0.1, seed=0)
    (agent,) = found.agents.values()
    own = dataclasses.replace(agent, encoder=reference)
    moved = dataclasses.replace(
        found,
        agents=dict.fromkeys(found.agents, own),
        records={own if job is agent else job: record for job, record in found.records.items()},
    )
    assert choose(moved, RunConfig.of(optimizer=["Adam", "SGD"], protocol="held-out")).encoder == reference


def test_where_nothing_was_trained_nothing_is_best() -> None:
    assert best_optimizer({}, kind="agent", protocol="held-out") is None
