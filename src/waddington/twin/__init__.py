"""The digital twin: multimodal single cells in; embeddings, predicted responses, agents and pictures out.

Names are imported on first use, because the single-cell stack takes seconds to load::

    from waddington import twin

    result = twin.run("cells.h5mu", out="results", optimizer=["Adam", "ASGDAdam"])
    result.metrics          # tidy DataFrame
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from waddington._checks import missing_extra
from waddington.twin import _gymnasium, _moved

if TYPE_CHECKING:
    from waddington.twin import (
        data,
        datasets,
        dynamics,
        embed,
        evaluate,
        links,
        models,
        pl,
        plan,
        plots,
        pp,
        preprocess,
        report,
        respond,
        tables,
        tl,
        trajectory,
    )
    from waddington.twin.embed.encoder import TwinEncoder
    from waddington.twin.models import Response, Twin
    from waddington.twin.preprocess import Preprocessor
    from waddington.twin.respond.latent import LatentResponse
    from waddington.twin.run import RunConfig, RunResult, run
    from waddington.twin.trajectory.pseudotime import diffusion_pseudotime

__all__ = [
    "LatentResponse",
    "Preprocessor",
    "Response",
    "RunConfig",
    "RunResult",
    "Twin",
    "TwinEncoder",
    "data",
    "datasets",
    "diffusion_pseudotime",
    "dynamics",
    "embed",
    "evaluate",
    "links",
    "models",
    "pl",
    "plan",
    "plots",
    "pp",
    "preprocess",
    "report",
    "respond",
    "run",
    "tables",
    "tl",
    "trajectory",
]

_HOMES = {
    "LatentResponse": "respond",
    "Preprocessor": "preprocess",
    "Response": "models",
    "RunConfig": "run",
    "RunResult": "run",
    "Twin": "models",
    "TwinEncoder": "embed",
    "diffusion_pseudotime": "trajectory",
    "run": "run",
}


class _Twin(ModuleType):
    """The type of this module: ``twin.run`` stays the function, though importing a folder of that name binds it."""

    def __setattr__(self, name: str, value: Any) -> None:
        taken = name in _HOMES or name in _moved.ATTRIBUTES
        if not (taken and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    try:
        if name in _moved.ATTRIBUTES:
            return _moved.moved_module(name)
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = importlib.import_module(f"{__name__}.{_HOMES.get(name, name)}")
    except ModuleNotFoundError as error:
        raise missing_extra(error, "twin") from error
    return getattr(home, name) if name in _HOMES else home


def __dir__() -> list[str]:
    return sorted(__all__)


_moved.install()
_gymnasium.install()
sys.modules[__name__].__class__ = _Twin
