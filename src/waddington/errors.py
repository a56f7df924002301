"""The exceptions of the package.

::

    WaddingtonError
    ├── ArgumentError (ValueError)        an argument outside what is accepted
    │   └── UnknownNameError              a name that no registry holds
    ├── DataError (ValueError)            input data that cannot be used as it is
    ├── OutputError (OSError)             a place that cannot be written, or is taken
    ├── MissingExtraError (ImportError)   an optional dependency that is not installed
    └── UnsupportedError (RuntimeError)   a combination that cannot work, with the reason

Every message names the thing, the value found and what would be accepted. The command line turns each of them into one
line and exit code 2.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "DataError",
    "MissingExtraError",
    "OutputError",
    "UnknownNameError",
    "UnsupportedError",
    "WaddingtonError",
]


class WaddingtonError(Exception):
    """Base of every error that the package raises on purpose."""


class ArgumentError(WaddingtonError, ValueError):
    """An argument lies outside what is accepted."""


class UnknownNameError(ArgumentError):
    """A name that no registry holds."""


class DataError(WaddingtonError, ValueError):
    """Input data cannot be used as it is."""


class OutputError(WaddingtonError, OSError):
    """An output place cannot be written, or already holds something else."""


class MissingExtraError(WaddingtonError, ImportError):
    """An optional dependency is not installed."""


class UnsupportedError(WaddingtonError, RuntimeError):
    """A combination that cannot work here, with the reason."""
