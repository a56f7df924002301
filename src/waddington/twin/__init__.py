"""The digital twin: multimodal single cells in; embeddings, predicted responses, agents and pictures out.

Names are imported on first use, because the single-cell stack takes seconds to load::

    from waddington import twin

    result = twin.run("cells.h5mu", out="results", optimizer=["Adam", "ASGDAdam"])
    result.metrics          # tidy DataFrame
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from waddington._checks import missing_extra

if TYPE_CHECKING:
    from waddington.twin import conditions, env, graph, io, metrics, plots, simulate
    from waddington.twin.model import TwinEncoder
    from waddington.twin.pipeline import RunConfig, RunResult, run
    from waddington.twin.preprocess import Preprocessor
    from waddington.twin.pseudotime import diffusion_pseudotime
    from waddington.twin.response import LatentResponse

__all__ = [
    "LatentResponse",
    "Preprocessor",
    "RunConfig",
    "RunResult",
    "TwinEncoder",
    "conditions",
    "diffusion_pseudotime",
    "env",
    "graph",
    "io",
    "metrics",
    "plots",
    "run",
    "simulate",
]

_HOMES = {
    "LatentResponse": "response",
    "Preprocessor": "preprocess",
    "RunConfig": "pipeline",
    "RunResult": "pipeline",
    "TwinEncoder": "model",
    "diffusion_pseudotime": "pseudotime",
    "run": "pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = importlib.import_module(f"{__name__}.{_HOMES.get(name, name)}")
    except ModuleNotFoundError as error:
        raise missing_extra(error, "twin") from error
    return getattr(home, name) if name in _HOMES else home


def __dir__() -> list[str]:
    return sorted(__all__)
