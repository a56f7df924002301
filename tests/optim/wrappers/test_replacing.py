"""Components around torch's fused Adam do by kernels what they do without, whatever a user does between two steps."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from optim.replacing import Twin, try_out
from waddington.optim import Averaged, Compressed, Lookahead, Masked, Projected, Switched
from waddington.optim.kernels import cache, foreach

pytestmark = pytest.mark.skipif(bool(cache.why_unavailable("cpu")), reason="no C compiler")

COMPONENTS = {
    "masked": Masked,
    "masked late": lambda adam: Masked(adam, mask="synchronous"),
    "switched before": Switched,
    "switched after": lambda adam: Switched(adam, switch="mean"),
    "aligned": lambda adam: Switched(adam, switch="alignment", alignment="clock"),
    "averaged": Averaged,
    "lookahead": lambda adam: Lookahead(adam, k=2),
    "largest": Compressed,
    "quantized": lambda adam: Compressed(adam, method="quantize"),
    "projected": lambda adam: Projected(Masked(adam), "ball", metric="denominator"),
}
IN_MEMORY = [
    "nothing", "move", "overlap", "gradient in the parameter", "gradient in another", "gradient in the state",
    "moved entry", "another step count", "forget", "load", "reorder", "move to the other group",
]  # fmt: skip
"""What torch's fused step survives, which goes by addresses and asks nothing: all tensors keep form and size."""
OF_FORM = [
    *IN_MEMORY, "tie", "tied entry", "entry in the parameter", "turn", "view strided", "halve", "double",
    "zero gradient", "expanded gradient", "strided gradient", "turned gradient", "negated gradient",
    "strided entry", "double entry", "expanded entry",
]  # fmt: skip
"""What its steps by single operations survive: of freed and cut memory they ask nothing."""


class Wrapped(Twin):
    """A training by torch's Adam and a component; groups may say that nothing is compiled."""

    fused = False

    def built(self, name: str, groups: list[dict[str, Any]], compile: bool) -> torch.optim.Optimizer:
        each = [{**group, "compile": compile} for group in groups]
        return COMPONENTS[name](torch.optim.Adam(each, lr=1e-2, fused=self.fused, foreach=False))

    def step(self) -> str:
        """Step; give what it was refused with, by torch or by the component."""
        try:
            self.optimizer.step()
        except (RuntimeError, ValueError, KeyError, IndexError) as error:
            return f"{type(error).__name__}: {error}"
        return ""


class Fused(Wrapped):
    fused = True


KINDS = pytest.mark.parametrize(("twin", "deeds"), [(Wrapped, OF_FORM), (Fused, IN_MEMORY)], ids=["single", "fused"])


@KINDS
def test_whatever_is_replaced_components_do_by_kernels_what_they_do_without(twin, deeds, monkeypatch):
    monkeypatch.setattr(foreach, "COMPILE_FROM", 0)
    calls = []
    run = foreach.ForEach._run
    monkeypatch.setattr(foreach.ForEach, "_run", lambda self, *given: calls.append(1) or run(self, *given))
    seed = int(os.environ.get("WADDINGTON_FUZZ_SEED", "0"))
    found = try_out(seed, rounds=36, twin=twin, names=COMPONENTS, deeds=deeds)
    assert found["stepped"] > 18
    assert calls


@pytest.mark.slow
@KINDS
def test_whatever_is_replaced_for_long(twin, deeds, monkeypatch):
    monkeypatch.setattr(foreach, "COMPILE_FROM", 0)
    seconds = float(os.environ.get("WADDINGTON_FUZZ_SECONDS", "10"))
    seed = int(os.environ.get("WADDINGTON_FUZZ_SEED", "1"))
    try_out(seed, seconds=seconds / 2, twin=twin, names=COMPONENTS, deeds=deeds)
