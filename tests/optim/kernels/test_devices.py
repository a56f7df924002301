"""Records of kinds of devices: how they are read, what ``compile="auto"`` makes of them, and the script behind them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from optim.compiled import some_params
from waddington.errors import DataError
from waddington.optim import AMGT
from waddington.optim.amgt import AMGT_RULE
from waddington.optim.engine import dispatch
from waddington.optim.kernels import devices
from waddington.optim.kernels.devices import DeviceRecord, read_records, why_eager, with_record, written

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "gpu.py"
FINE = DeviceRecord(
    device="A GPU",
    date="2026-01-02",
    commit="abc",
    torch="2.13.0",
    checks={"contract": "passed", "graphs": "not applicable"},
    ratios={
        "float32": {"AMGT": {"eager": 3.0, "compiled": 1.1}, "AMVT": {"eager": 2.0, "compiled": 1.2}},
        "bfloat16": {"AMGT": {"eager": 2.0, "compiled": 2.5}},
    },
)


def changed(**changes):
    return dataclasses.replace(FINE, **changes)


def test_the_packages_records_can_be_read_and_name_each_device_once():
    records = read_records()
    assert [record.device for record in records] == sorted({record.device for record in records})


def test_records_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "devices.json"
    path.write_text(written([FINE]), encoding="utf-8")
    assert read_records(path) == [FINE]


@pytest.mark.parametrize("text", ["", "[]", '{"records": [{"device": "A GPU"}]}', '{"records": [3]}', '{"others": []}'])
def test_what_are_no_records_is_refused_by_name(text, tmp_path):
    path = tmp_path / "devices.json"
    with pytest.raises(DataError, match=r"devices\.json: .*; accepted is what benchmarks/gpu\.py writes"):
        read_records(path)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"devices\.json: .*; accepted is what benchmarks/gpu\.py writes"):
        read_records(path)


def test_a_devices_new_record_takes_the_place_of_its_last():
    other, newer = changed(device="Another"), changed(date="2026-02-03")
    assert with_record([FINE], other) == [FINE, other]
    assert with_record([FINE, other], newer) == [newer, other]


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([FINE], ""),
        ([], "no record of this kind of device (A GPU) says that kernels pay; compile=True asks for them"),
        ([changed(device="A GPU, larger")], "no record of this kind of device (A GPU) says that"),
        ([changed(checks={"contract": "passed", "graphs": "AMGT: differs"})], "did not pass graphs (2026-01-02)"),
        ([changed(ratios={})], "no compiled steps were timed (2026-01-02)"),
        (
            [changed(ratios={"float32": {"AMGT": {"eager": 2.0, "compiled": 3.0}}})],
            "compiled steps took 1.50 times as long as eager ones (2026-01-02)",
        ),
    ],
)
def test_only_a_record_with_all_checks_passed_and_faster_steps_compiles(records, reason):
    found = why_eager("A GPU", records)
    assert (not found) == (not reason)
    assert reason in found


@pytest.mark.parametrize(("records", "compiles"), [([], False), ([FINE], True)])
def test_auto_goes_by_the_record_of_the_gpu_at_hand(records, compiles, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index=None: "A GPU")
    monkeypatch.setattr(devices, "read_records", lambda: records)
    monkeypatch.setattr(dispatch, "why_unavailable", lambda device: "")
    devices.why_eager_on.cache_clear()
    try:
        auto = dispatch._why_eager(AMGT_RULE, {"compile": "auto"}, "cuda", 1 << 20)
        assert (not auto) == compiles
        assert compiles or "no record of this kind of device (A GPU)" in auto
        assert dispatch._why_eager(AMGT_RULE, {"compile": True}, "cuda", 1 << 20) == ""
    finally:
        devices.why_eager_on.cache_clear()


def test_a_processor_needs_no_record(monkeypatch):
    monkeypatch.setattr(devices, "read_records", lambda: pytest.fail("was read"))
    optimizer = AMGT(some_params((80, 80)))
    assert "record" not in optimizer.execution()[0].reason


def run(*arguments):
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_script_says_so_and_writes_nothing(tmp_path):
    out = tmp_path / "records.json"
    assert run("--out", str(out)).stdout == "No GPU is at hand: nothing was run, and nothing was written.\n"
    assert not out.exists()


@pytest.mark.slow
def test_the_script_tries_itself_out_on_a_processor(tmp_path):
    out = tmp_path / "records.json"
    found = run("--device", "cpu", "--quick", "--out", str(out)).stdout
    (record,) = read_records(out)
    assert (record.device, record.broken) == ("a processor", [])
    assert set(record.ratios) == {"float32", "bfloat16"}
    assert f"wrote {out}" in found
    assert json.loads(out.read_text(encoding="utf-8"))["records"][0]["checks"]["graphs"] == "not applicable"
