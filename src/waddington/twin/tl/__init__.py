"""Tools on an AnnData or MuData: embed, order, link, predict, act and judge.

Functions write the keys of the table in ``docs/keys.md`` and return None, or the changed copy with ``copy=True``; what
is no property of the cells (predicted profiles, environments, agents, metrics) is given back. They work after
:mod:`waddington.twin.pp`, and on what scanpy left: ``X_pca`` and its graph of neighbours.
"""

from __future__ import annotations

from waddington.twin.tl._acting import environment, train_agent
from waddington.twin.tl._embedding import embed
from waddington.twin.tl._judging import evaluate
from waddington.twin.tl._linking import links
from waddington.twin.tl._ordering import pseudotime
from waddington.twin.tl._predicting import predict

__all__ = ["embed", "environment", "evaluate", "links", "predict", "pseudotime", "train_agent"]
