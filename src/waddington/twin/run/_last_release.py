"""What the last release called otherwise and no name of this one replaces; it goes with the next release."""

from __future__ import annotations

from typing import Any

from waddington.jobs import Event
from waddington.twin.run.agent_jobs import AgentJob
from waddington.twin.run.encoder_jobs import BaselineJob, EncoderJob
from waddington.twin.run.jobs import TwinJob
from waddington.twin.run.replicate_jobs import ReplicateJob

__all__ = ["Event", "Unit"]

_KINDS: dict[str, type[TwinJob]] = {job.kind: job for job in (AgentJob, BaselineJob, EncoderJob, ReplicateJob)}


def Unit(*, kind: str, **fields: Any) -> TwinJob:
    """Make the job that a unit of this kind has become."""
    return _KINDS[kind](run_id="", **fields)
