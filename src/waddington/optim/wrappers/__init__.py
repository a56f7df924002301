"""Components around any optimizer: a switched rate, a mask, compression, a convex set, slow and averaged weights."""

from __future__ import annotations

from waddington.optim.wrappers.averaged import Averaged
from waddington.optim.wrappers.compressed import Compressed
from waddington.optim.wrappers.lookahead import Lookahead
from waddington.optim.wrappers.masked import Masked
from waddington.optim.wrappers.projected import Projected
from waddington.optim.wrappers.switched import Switched

__all__ = ["Averaged", "Compressed", "Lookahead", "Masked", "Projected", "Switched"]
