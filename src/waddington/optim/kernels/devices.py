"""What is known of kernels on kinds of devices: records of runs, which decide what ``compile="auto"`` does there.

On a processor kernels pay and are tested with the package. Of a GPU that is known only where somebody has run
``benchmarks/gpu.py`` on one of its kind: it checks the optimizers there, times them, and adds a record to
``devices.json`` beside this file. Without a record steps stay eager.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch

from waddington.errors import DataError

__all__ = ["RECORDS", "DeviceRecord", "read_records", "why_eager", "why_eager_on", "with_record", "written"]

RECORDS = Path(__file__).with_name("devices.json")
"""The records that come with the package."""

_FINE = ("passed", "not applicable")


@dataclass(frozen=True)
class DeviceRecord:
    """One run on one device.

    Attributes
    ----------
    device
        The kind, as its driver names it.
    date, commit, torch
        When, and of what.
    checks
        Outcome of each check by name: ``"passed"``, ``"not applicable"``, or what went wrong.
    ratios
        Times to torch's fused AdamW on the same model, by dtype, optimizer, and path: ``"eager"`` and ``"compiled"``.
    """

    device: str
    date: str
    commit: str
    torch: str
    checks: Mapping[str, str]
    ratios: Mapping[str, Mapping[str, Mapping[str, float]]]

    @property
    def broken(self) -> list[str]:
        """Names of the checks that were not passed."""
        return [name for name, outcome in self.checks.items() if outcome not in _FINE]

    @property
    def compiled_to_eager(self) -> float | None:
        """Median of how long a compiled step takes, in units of an eager one; None where none was timed."""
        pairs = [paths for optimizers in self.ratios.values() for paths in optimizers.values()]
        found = [paths["compiled"] / paths["eager"] for paths in pairs if {"compiled", "eager"} <= paths.keys()]
        return statistics.median(found) if found else None


def read_records(path: Path = RECORDS) -> list[DeviceRecord]:
    """Read records.

    Raises
    ------
    DataError
        The file is not there, or holds something else.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["records"]
        return [DeviceRecord(**entry) for entry in entries]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"cannot read the records of devices in {path}: {error}; accepted is what benchmarks/gpu.py writes"
        ) from error


def with_record(records: Sequence[DeviceRecord], new: DeviceRecord) -> list[DeviceRecord]:
    """Give records with a new one in place of its device's last, in the order of names."""
    return sorted([*(old for old in records if old.device != new.device), new], key=lambda record: record.device)


def written(records: Sequence[DeviceRecord]) -> str:
    """Write records as :func:`read_records` reads them."""
    return json.dumps({"records": [asdict(record) for record in records]}, indent=1) + "\n"


def why_eager(device: str, records: Sequence[DeviceRecord]) -> str:
    """Say why ``compile="auto"`` does not compile on a kind of device; empty where a record is for it."""
    record = next((record for record in records if record.device == device), None)
    if record is None:
        return f"no record of this kind of device ({device}) says that kernels pay; compile=True asks for them"
    if record.broken:
        return f"on {device} kernels did not pass {', '.join(record.broken)} ({record.date})"
    ratio = record.compiled_to_eager
    if ratio is None:
        return f"on {device} no compiled steps were timed ({record.date}); compile=True asks for them"
    if ratio >= 1.0:
        return f"on {device} compiled steps took {ratio:.2f} times as long as eager ones ({record.date})"
    return ""


@cache
def why_eager_on(kind: str) -> str:
    """Say the same of the devices of a type that this process sees; empty for processors."""
    if kind != "cuda":
        return ""
    names = {torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
    reasons = [why_eager(name, read_records()) for name in sorted(names or {"none that torch sees"})]
    return next(filter(None, reasons), "")
