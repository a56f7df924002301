"""``python -m waddington``, where the ``waddington`` script is not on the path."""

from __future__ import annotations

from waddington.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
