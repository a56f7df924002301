"""Fetch data sets: ``python -m waddington.bench.datasets NAME...``; without a name, say which there are."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from waddington.bench.datasets.published import PUBLISHED, get_data_set
from waddington.bench.datasets.source import download, find
from waddington.errors import DataError, WaddingtonError

__all__ = ["main"]


def main(names: Sequence[str]) -> int:
    """Fetch what is named, or list what there is; give the exit code."""
    try:
        for name in names:
            for path in download(get_data_set(name)):
                print(path)
    except WaddingtonError as error:
        print(error, file=sys.stderr)
        return 2
    for one in () if names else PUBLISHED.values():
        try:
            at_hand = f"at hand ({find(one)[0].name})"
        except DataError:
            at_hand = f"get it from {one.page}"
        print(f"{one.name:<20} {one.about}; {at_hand}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
