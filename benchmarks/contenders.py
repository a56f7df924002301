"""The optimizers and the models whose speed is measured. Does nothing by itself."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bytes_alone import BytesAlone
from waddington import optim

__all__ = [
    "ADAM",
    "BYTES",
    "FUSED",
    "OURS",
    "SHAPES",
    "SMALL",
    "Contender",
    "Run",
    "bytes_alone",
    "coordinates",
    "heavyball",
    "others",
    "ours",
    "torchs",
]

Shapes = list[tuple[int, ...]]
Params = list[torch.nn.Parameter]

SMALL = ("ppo", "twin-encoder")
"""Models whose steps cost calls and not bytes."""

FUSED, ADAM, BYTES = "AdamW, fused", "Adam, default", "28 bytes alone"


@dataclass(frozen=True)
class Contender:
    """One optimizer with its settings.

    Attributes
    ----------
    label, package
        Names.
    build
        Makes it for parameters.
    passes
        What a step reads and writes, pass after pass: g gradient, p parameter; m, v, s, x first and second moment,
        variance, maximum. ``"gmvp>mvp"`` reads the first four and writes the last three. Empty: nobody counted.
    nearest
        Label of what comes nearest to it in pytorch_optimizer.
    state
        Dtype of its state; None: that of the parameters.
    slow
        So much slower than the rest that it takes part in every fourth round only.
    """

    label: str
    package: str
    build: Callable[[Params], torch.optim.Optimizer]
    passes: tuple[str, ...] = ()
    nearest: str = ""
    state: torch.dtype | None = None
    slow: bool = False

    def bytes_per_parameter(self, dtype: torch.dtype) -> float | None:
        """Give the least that a step moves between memory and processor, if every pass goes to memory."""
        if not self.passes:
            return None
        state, total = self.state or dtype, 0.0
        for entry in self.passes:
            letters, _, every = entry.replace(">", "").partition("/")
            total += sum((dtype if letter in "gp" else state).itemsize for letter in letters) / int(every or 1)
        return total


@dataclass(frozen=True)
class _Ours:
    cls: str
    settings: dict[str, Any]
    before: tuple[str, ...]
    last: str
    nearest: str


# What comes nearest: PAdam is ASGDAdam's rule without the switch. AdaBound keeps rates between two bounds, and with
# ams_bound it keeps the maximum that ASGDAMSGrad keeps. AdaBelief tracks the variance of the gradient around its mean,
# as AMVT does, and AMGT's momentum goes by that variance. LaProp is Adam that divides first, and cautious=True
# gives it the mask of CAdamW, the synchronous form of AlphaAdam's.
OURS = {
    "ASGDAdam": _Ours("ASGDAdam", {}, ("gmv",), "gmvp>mvp", "PAdam"),
    "ASGDAdam, relative": _Ours("ASGDAdam", {"switch": "relative"}, ("g/10",), "gmvp>mvp", "PAdam"),
    "ASGDAMSGrad": _Ours("ASGDAMSGrad", {}, ("gmx",), "gmvxp>mvxp", "AdaBound, ams_bound"),
    "AMGT": _Ours("AMGT", {}, (), "gmvp>mvp", "AdaBelief"),
    "AMVT": _Ours("AMVT", {}, (), "gmvsp>mvsp", "AdaBelief"),
    "AMVT, moments": _Ours("AMVT", {"variance": "moments"}, (), "gmvp>mvp", "AdaBelief"),
    "AlphaAdam": _Ours("AlphaAdam", {}, ("gmv",), "gmvp>mvp", "LaProp, cautious"),
}


def ours(name: str, suffix: str = "", **settings: Any) -> Contender:
    """Give one of this package's optimizers, at its defaults but for some settings."""
    entry = OURS[name]
    state = torch.bfloat16 if settings.get("state_dtype") == "bfloat16" else torch.float32
    return Contender(
        name + suffix,
        "waddington",
        lambda params: getattr(optim, entry.cls)(params, **entry.settings, **settings),
        (*entry.before, entry.last),
        entry.nearest,
        state,
    )


def torchs() -> list[Contender]:
    """Give AdamW in torch's three ways of running it, and Adam as most people call it."""
    adam, adamw = torch.optim.Adam, torch.optim.AdamW
    return [
        Contender(FUSED, "torch", lambda params: adamw(params, fused=True), ("gmvp>mvp",)),
        Contender("AdamW, foreach", "torch", lambda params: adamw(params, foreach=True)),
        Contender("AdamW, single", "torch", lambda params: adamw(params, foreach=False)),
        Contender(ADAM, "torch", adam),
    ]


def bytes_alone() -> list[Contender]:
    """Give what moves the bytes of fused AdamW and does next to nothing with them."""
    return [Contender(BYTES, "waddington", BytesAlone, ("gmvp>mvp",))]  # type: ignore[arg-type]


class _Held(torch.nn.Module):
    """A model of given parameters, for a library that wants one."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.params = torch.nn.ParameterList(params)


def others(*, compiled: bool = False) -> list[Contender]:
    """Give what pytorch_optimizer has that comes nearest to ours.

    Raises
    ------
    ImportError
        It is not installed.
    """
    module = importlib.import_module("pytorch_optimizer")

    def plain(label: str, name: str, **settings: Any) -> Contender:
        cls = module.load_optimizer(name)
        return Contender(label, "pytorch_optimizer", lambda params: cls(params, **settings), slow=True)

    def build_compiled(params: Params) -> torch.optim.Optimizer:
        return module.create_optimizer(_Held(params), "adabelief", lr=1e-3, compile=True)

    found = [
        plain("PAdam", "padam"),
        plain("AdaBound, ams_bound", "adabound", ams_bound=True),
        plain("AdaBelief", "adabelief"),
        plain("LaProp, cautious", "laprop", cautious=True),
    ]
    return [*found, Contender("AdaBelief, compiled", "pytorch_optimizer", build_compiled)] if compiled else found


def heavyball() -> list[Contender]:
    """Give HeavyBall's AdamW.

    Raises
    ------
    ImportError
        It is not installed.
    """
    cls = importlib.import_module("heavyball").AdamW
    return [Contender("HeavyBall AdamW", "heavyball", cls, slow=True)]


class Run:
    """An optimizer on parameters of its own.

    Parameters
    ----------
    contender, shapes, dtype, device
        What runs on what.
    grads
        Gradients that others step with too, to save memory; None makes its own, so that none finds them in a cache
        because another has just read them.
    """

    def __init__(
        self,
        contender: Contender,
        shapes: Shapes,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        grads: Sequence[torch.Tensor] | None = None,
    ) -> None:
        self.params = [torch.nn.Parameter(torch.full(shape, 0.1, dtype=dtype, device=device)) for shape in shapes]
        self.grads = [torch.randn_like(param) for param in self.params] if grads is None else grads
        self.prepare()
        self.optimizer = contender.build(self.params)

    def prepare(self) -> None:
        """Give the gradients, which some optimizers drop."""
        for param, grad in zip(self.params, self.grads, strict=True):
            param.grad = grad

    def step(self) -> None:
        """Take a step."""
        self.optimizer.step()


def coordinates(shapes: Shapes) -> int:
    """Count the coordinates of a model."""
    return sum(torch.Size(shape).numel() for shape in shapes)


def _eight_million() -> Shapes:
    return [(512, 512)] * 30


def _ppo() -> Shapes:
    """Stable-Baselines3's MlpPolicy for 17 observations and 6 continuous actions: actor, critic, log of the scatter."""
    net = [(64, 17), (64,), (64, 64), (64,)]
    return [(6,), *net, *net, (6, 64), (6,), (1, 64), (1,)]


def _twin_encoder() -> Shapes:
    """The twin's encoder of simulated cells."""
    from waddington.twin.embed.encoder import TwinEncoder

    encoder = TwinEncoder({"rna": 200, "atac": 400, "protein": 24}, seed=0)
    return [tuple(param.shape) for param in encoder.module.parameters()]


def _resnet50() -> Shapes:
    def conv(inside: int, outside: int, width: int) -> Shapes:
        return [(outside, inside, width, width), (outside,), (outside,)]  # and the norm's weight and bias

    shapes, inside = conv(3, 64, 7), 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            shapes += conv(inside, width, 1) + conv(width, width, 3) + conv(width, 4 * width, 1)
            shapes += conv(inside, 4 * width, 1) if block == 0 else []
            inside = 4 * width
    return [*shapes, (1000, inside), (1000,)]


def _gpt2() -> Shapes:
    norm, width = [(768,), (768,)], 768
    block = [*norm, (width, 3 * width), (3 * width,), (width, width), (width,)]
    block += [*norm, (width, 4 * width), (4 * width,), (4 * width, width), (width,)]
    return [(50257, width), (1024, width), *(block * 12), *norm]


def _two_thousand() -> Shapes:
    return [(32, 32), (32,)] * 1000


SHAPES: dict[str, Callable[[], Shapes]] = {
    "eight-million": _eight_million,
    "ppo": _ppo,
    "twin-encoder": _twin_encoder,
    "resnet-50": _resnet50,
    "gpt2-124m": _gpt2,
    "two-thousand": _two_thousand,
}
