from __future__ import annotations

import json
from pathlib import Path

import pytest

from waddington.jobs import Context, Store, run
from waddington.twin.run import RunConfig, jobs
from waddington.twin.run.agent_jobs import AgentJob
from waddington.twin.run.encoder_jobs import TRIAL, EncoderJob
from waddington.twin.run.replicate_jobs import ReplicateJob, measurable_pairs

ENCODER = EncoderJob(run_id="a", optimizer="Adam", lr=1e-3, seed=1)


def test_another_run_in_the_same_folder_is_not_mistaken_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "load", lambda folder: object())

    def read(*, seeds: int, data: str) -> tuple[object, RunConfig]:
        (tmp_path / "config.json").write_text(json.dumps(RunConfig.of("smoke", seeds=seeds).to_dict()))
        (tmp_path / "data.txt").write_text(data)
        return jobs.read_inputs(Context(tmp_path, "key"))

    first = read(seeds=1, data="a")
    assert read(seeds=1, data="a")[0] is first[0], "read once for one run"
    other = read(seeds=2, data="a")
    assert other[1].seeds == 2
    assert other[0] is not first[0]
    assert read(seeds=2, data="b")[0] is not other[0]


def test_keys_and_labels_tell_jobs_apart() -> None:
    agents = [
        AgentJob(run_id="a", protocol="paper", optimizer="Adam", lr=1e-3, seed=1, variant=v) for v in ("max1", "max2")
    ]
    trial = EncoderJob(run_id="a", optimizer="Adam", lr=1e-3, seed=1, variant=TRIAL)
    found = [*agents, trial, ENCODER]
    assert len({job.key for job in found}) == len({job.label for job in found}) == 4
    assert ENCODER.label == "encoder_held-out_Adam_0.001_1"
    assert EncoderJob(run_id="b", optimizer="Adam", lr=1e-3, seed=1).key != ENCODER.key, "another run's cells"


def test_an_agent_needs_the_encoder_that_it_acts_in_and_what_is_measurable() -> None:
    replicates = (ReplicateJob(run_id="a", seed=0, variant="rna"),)
    assert AgentJob(run_id="a", seed=0, encoder=ENCODER, replicates=replicates).needs == (ENCODER, *replicates)


def test_pairs_are_those_that_replicates_agree_on(tmp_path: Path) -> None:
    job = ReplicateJob(run_id="a", seed=0, variant="rna")
    rows = [{"condition": name, "modality": "rna", "measurable": known} for name, known in (("A", True), ("B", False))]
    context = Context(tmp_path, "key", {job.key: {"conditions": rows}})
    assert measurable_pairs(context, (job,)) == {("A", "rna")}


def test_a_failed_job_says_why_in_the_store(tmp_path: Path) -> None:
    """There are no cells to read."""
    with Store(tmp_path) as store:
        with pytest.raises(FileNotFoundError):
            run([ENCODER], store)
        record = store.get(ENCODER)
        assert record is not None
        assert "config.json" in str(record.error)
