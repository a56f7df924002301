"""Records of studies as one small file, to be kept beside the code: what is in it is not run again.

A file of records is text, one JSON object a line in the order of keys, compressed by xz. Curves keep six digits: as
many as a reader needs, and few enough for thousands of runs to be a file of a few megabytes. Test values, which the
comparisons go by, keep all of theirs.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from waddington import jobs
from waddington._files import replacing
from waddington.errors import DataError

__all__ = ["pack", "unpack"]

_DIGITS = 6


def pack(records: Iterable[jobs.Record], path: str | Path) -> int:
    """Write records into a file; give the number of those written. Runs that failed are left out, to be tried again.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    lines = {
        record.key: json.dumps(_small(json.loads(record.to_json())), separators=(",", ":"))
        for record in records
        if record.status == "done"
    }
    text = "".join(lines[key] + "\n" for key in sorted(lines))
    with replacing(Path(path)) as beside:
        beside.write_bytes(lzma.compress(text.encode("utf-8"), preset=9 | lzma.PRESET_EXTREME))
    return len(lines)


def unpack(path: str | Path) -> Iterator[jobs.Record]:
    """Read the records of a file, one after the other.

    Raises
    ------
    DataError
        It cannot be read, or is no file of records.
    """
    try:
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield jobs.Record.from_json(line)
    except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise DataError(
            f"cannot read records from {str(path)!r}: {error}; accepted: a file that `waddington bench"
            " pack` or `waddington claims pack` wrote"
        ) from error


def _small(record: dict[str, Any]) -> dict[str, Any]:
    result = record["result"]
    if isinstance(result, dict):
        result |= {name: _short(result[name]) for name in ("curve", "clock") if name in result}
    record["seconds"] = _short(record["seconds"])
    return record


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {name: _short(one) for name, one in value.items()}
    return [_short(one) for one in value] if isinstance(value, list) else value
