"""SciPy and statsmodels, imported where they are first needed; without them the error names the extra."""

from __future__ import annotations

from types import ModuleType

from waddington._checks import require_extra

__all__ = ["scipy_stats", "statsmodels_anova", "statsmodels_multitest", "statsmodels_power"]


def scipy_stats() -> ModuleType:
    """Give ``scipy.stats``."""
    return require_extra("scipy.stats", "bench")


def statsmodels_anova() -> ModuleType:
    """Give ``statsmodels.stats.anova``."""
    return require_extra("statsmodels.stats.anova", "bench")


def statsmodels_multitest() -> ModuleType:
    """Give ``statsmodels.stats.multitest``."""
    return require_extra("statsmodels.stats.multitest", "bench")


def statsmodels_power() -> ModuleType:
    """Give ``statsmodels.stats.power``."""
    return require_extra("statsmodels.stats.power", "bench")
