"""What users do to parameters, gradients and states between two steps, drawn at random; and what has to come of it.

Twins are trained by kernels and without, and everything is done to both. Each outcome has to be the same: both step,
to the same values, or both refuse, in the same words, and nothing is changed. All memory stands between canaries.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection
from typing import Any

import torch

from waddington import optim
from waddington.errors import WaddingtonError
from waddington.optim.kernels.memory import has_memory

SHAPES = [(5, 3), (40, 125), (300,), (20, 30, 9), (), (64, 80), (5, 3)]
RULES = {
    "ASGDAdam": {},
    "ASGDAMSGrad": {},
    "AMGT": {"threshold": 0.5, "gamma": 0.1, "correction": 0.05},
    "AlphaAdam": {},
    "AMVT": {"state_dtype": "bfloat16"},
}
MARGIN, CANARY = 64, 7.25


class Twin:
    """One of the two trainings.

    Parameters
    ----------
    name
        Of the optimizer.
    compile
        Whether it is run by kernels.
    """

    def __init__(self, name: str, compile: bool) -> None:
        self.canaries: list[torch.Tensor] = []
        self.generator = torch.Generator().manual_seed(0)
        self.params = [torch.nn.Parameter(self.guarded(shape)) for shape in SHAPES]
        groups = [{"params": self.params[::2]}, {"params": self.params[1::2], "lr": 3e-3}]
        self.optimizer = self.built(name, groups, compile)

    def built(self, name: str, groups: list[dict[str, Any]], compile: bool) -> torch.optim.Optimizer:
        cls: Callable[..., torch.optim.Optimizer] = getattr(optim, name)
        return cls(groups, lr=1e-2, weight_decay=0.1, compile=compile, **RULES[name])

    def random(self, shape: tuple[int, ...] | torch.Size, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.randn(shape, generator=self.generator).to(dtype)

    def guarded(self, shape: tuple[int, ...] | torch.Size, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Give random values in the midst of a longer tensor, whose other entries must stay."""
        values = self.random(shape, dtype)
        whole = torch.full((values.numel() + 2 * MARGIN,), CANARY, dtype=dtype)
        part = whole[MARGIN : MARGIN + values.numel()].view(values.shape)
        part.copy_(values)
        self.canaries = [*self.canaries[-60:], whole]
        return part

    def check_canaries(self) -> None:
        for whole in self.canaries:
            if whole.untyped_storage().nbytes() >= whole.nbytes:
                assert (whole[:MARGIN] == CANARY).all(), "written before the beginning"
                assert (whole[-MARGIN:] == CANARY).all(), "written beyond the end"

    def state(self, at: int) -> dict[str, torch.Tensor]:
        return self.optimizer.state.get(self.params[at], {})  # type: ignore[return-value]

    def has_memory(self) -> bool:
        """Tell whether there is memory behind all that can be read."""
        states = [entry for at in range(len(self.params)) for entry in self.state(at).values()]
        return all(_readable(tensor) for tensor in (*self.params, *states) if isinstance(tensor, torch.Tensor))

    def begin_anew(self) -> None:
        """Repair everything."""
        self.optimizer.state.clear()
        for param, shape in zip(self.params, SHAPES, strict=True):
            param.grad = None
            param.data = self.guarded(shape)

    def set_gradients(self, which: list[int]) -> None:
        for at, param in enumerate(self.params):
            param.grad = self.random(param.shape, param.dtype) if at in which else None

    def values(self) -> list[torch.Tensor]:
        """Copy all that can be read."""
        states = [entry for at in range(len(self.params)) for _, entry in sorted(self.state(at).items())]
        tensors = [*self.params, *states]
        return [_read(tensor) if isinstance(tensor, torch.Tensor) else torch.tensor(0.0) for tensor in tensors]

    def step(self) -> str:
        """Step; give what it was refused with, or nothing."""
        before = self.values()
        try:
            self.optimizer.step()
        except WaddingtonError as error:
            refusal = f"{type(error).__name__}: {error}"
        else:
            return ""
        after = self.values()
        assert len(before) == len(after), f"refused, and yet the state is another: {refusal}"
        same = (torch.equal(old.nan_to_num(), new.nan_to_num()) for old, new in zip(before, after, strict=True))
        assert all(same), f"refused, and yet something is changed: {refusal}"
        return refusal


def _read(tensor: torch.Tensor) -> torch.Tensor:
    if not _readable(tensor):
        return torch.tensor(float(tensor.numel()))
    copy = tensor.detach().clone()
    return torch.view_as_real(copy.resolve_conj()) if copy.is_complex() else copy.double()


Deed = Callable[[Twin, int, int, str], None]


def _set(twin: Twin, at: int, value: torch.Tensor) -> None:
    twin.params[at].data = value


def _put(twin: Twin, at: int, name: str, value: object) -> None:
    if name in twin.state(at):
        twin.state(at)[name] = value  # type: ignore[assignment]


def _real(twin: Twin, at: int) -> torch.Tensor:
    return torch.view_as_real(twin.params[at].data)[..., 0] if twin.params[at].is_complex() else twin.params[at].data


def _longer(shape: torch.Size) -> tuple[int, ...]:
    return (shape[0] + 3, *shape[1:]) if shape else (3,)


def _shorter(shape: torch.Size) -> tuple[int, ...]:
    return (max(shape[0] - 2, 0), *shape[1:]) if shape else (0,)


def _grad(twin: Twin, at: int, make: Callable[[torch.Tensor], torch.Tensor]) -> None:
    if twin.params[at].grad is not None:
        twin.params[at].grad = make(twin.params[at].grad)  # type: ignore[arg-type]


def _entry(twin: Twin, at: int, name: str) -> torch.Tensor | None:
    found = twin.state(at).get(name)
    return found if isinstance(found, torch.Tensor) else None


def _own(twin: Twin, at: int, name: str) -> torch.Tensor:
    """Give an entry, put into memory of its own."""
    twin.state(at)[name] = twin.state(at)[name].clone()
    return twin.state(at)[name]


def _lose(entries: dict[Any, Any], key: Any) -> None:
    entries.pop(key, None)


def _alone(twin: Twin, at: int) -> torch.Tensor:
    """Give a parameter, put into memory of its own."""
    twin.params[at].data = twin.params[at].data.clone()
    return twin.params[at]


def _resize(tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    learns = tensor.requires_grad
    tensor.requires_grad_(False).resize_(shape).fill_(0.5)
    tensor.requires_grad_(learns)


def _free(tensor: torch.Tensor | None, nbytes: int = 0) -> None:
    if tensor is not None and not tensor._is_zerotensor():
        tensor.untyped_storage().resize_(min(nbytes, tensor.untyped_storage().nbytes()))


def _load(twin: Twin, at: int, other: int, name: str) -> None:
    twin.optimizer.load_state_dict(twin.optimizer.state_dict())


def _move_to_the_other_group(twin: Twin, at: int, other: int, name: str) -> None:
    left, right = (group["params"] for group in twin.optimizer.param_groups[:: 1 if at % 2 else -1])
    right.append(left.pop())


def _overlap(twin: Twin, at: int, other: int, name: str) -> None:
    flat = twin.guarded((twin.params[at].numel() + twin.params[other].numel(),))
    first, second = twin.params[at].numel(), twin.params[other].numel()
    _set(twin, at, flat[:first].view(twin.params[at].shape))
    start = 0 if name == "exp_avg" else first  # one over the other, or one behind the other
    _set(twin, other, flat[start : start + second].view(twin.params[other].shape))


DEEDS: dict[str, Deed] = {
    "nothing": lambda t, i, j, n: None,
    "grow": lambda t, i, j, n: _set(t, i, t.guarded(_longer(t.params[i].shape))),
    "shrink": lambda t, i, j, n: _set(t, i, t.guarded(_shorter(t.params[i].shape))),
    "view a part": lambda t, i, j, n: _set(t, i, t.params[i].data.reshape(-1)[1:]),
    "view reshaped": lambda t, i, j, n: _set(t, i, t.params[i].data.reshape(1, -1)),
    "view strided": lambda t, i, j, n: _set(t, i, torch.stack([t.params[i].data] * 2, -1)[..., 0]),
    "turn": lambda t, i, j, n: _set(
        t, i, t.params[i].data.mT.contiguous().mT if t.params[i].dim() > 1 else t.params[i]
    ),
    "move": lambda t, i, j, n: _set(t, i, t.guarded(t.params[i].shape, t.params[i].dtype)),
    "expand": lambda t, i, j, n: _set(t, i, torch.ones(()).expand(t.params[i].shape)),
    "negate": lambda t, i, j, n: _set(t, i, torch._neg_view(t.params[i].data)),
    "tie": lambda t, i, j, n: _set(t, i, t.params[j].data),
    "overlap": _overlap,
    "double": lambda t, i, j, n: _set(t, i, _real(t, i).double()),
    "halve": lambda t, i, j, n: _set(t, i, _real(t, i).bfloat16()),
    "complex": lambda t, i, j, n: _set(t, i, t.params[i].data.to(torch.complex64)),
    "free parameter": lambda t, i, j, n: _free(t.params[i].data),
    "cut parameter": lambda t, i, j, n: _free(t.params[i].data, 8 + 4 * MARGIN),
    "resize parameter": lambda t, i, j, n: _resize(_alone(t, i), _longer(t.params[i].shape)),
    "resize shorter": lambda t, i, j, n: _resize(_alone(t, i), _shorter(t.params[i].shape)),
    "zero parameter": lambda t, i, j, n: _set(t, i, torch._efficientzerotensor(t.params[i].shape)),
    "zero gradient": lambda t, i, j, n: _grad(
        t, i, lambda g: torch._efficientzerotensor(g.shape, dtype=g.dtype, device=g.device)
    ),
    "expanded gradient": lambda t, i, j, n: _grad(t, i, lambda g: torch.ones((), dtype=g.dtype).expand(g.shape)),
    "strided gradient": lambda t, i, j, n: _grad(t, i, lambda g: torch.stack([g, -g], -1)[..., 1]),
    "turned gradient": lambda t, i, j, n: _grad(t, i, lambda g: g.mT.contiguous().mT if g.dim() > 1 else g),
    "negated gradient": lambda t, i, j, n: _grad(t, i, lambda g: torch._neg_view(g)),
    "gradient in the parameter": lambda t, i, j, n: _grad(t, i, lambda g: t.params[i].data),
    "gradient in another": lambda t, i, j, n: _grad(t, i, lambda g: t.params[j].data.view(g.shape)),
    "gradient in the state": lambda t, i, j, n: _grad(t, i, lambda g: t.state(i)[n].view(g.shape)),
    "free gradient": lambda t, i, j, n: _free(t.params[i].grad),
    "cut gradient": lambda t, i, j, n: _free(t.params[i].grad, 8),
    "sparse gradient": lambda t, i, j, n: _grad(t, i, lambda g: g.to_sparse()),
    "longer entry": lambda t, i, j, n: _put(t, i, n, t.guarded(_longer(t.params[i].shape))),
    "shorter entry": lambda t, i, j, n: _put(t, i, n, t.guarded(_shorter(t.params[i].shape))),
    "entry of another shape": lambda t, i, j, n: _put(t, i, n, t.guarded((t.params[i].numel(), 1))),
    "moved entry": lambda t, i, j, n: _put(t, i, n, t.guarded(t.params[i].shape).abs()),
    "strided entry": lambda t, i, j, n: _put(
        t, i, n, torch.stack([t.guarded(t.params[i].shape).abs()] * 2, -1)[..., 1]
    ),
    "expanded entry": lambda t, i, j, n: _put(t, i, n, torch.ones(()).expand(t.params[i].shape)),
    "double entry": lambda t, i, j, n: _put(t, i, n, t.guarded(t.params[i].shape).abs().double()),
    "integer entry": lambda t, i, j, n: _put(t, i, n, torch.ones(t.params[i].shape, dtype=torch.int32)),
    "complex entry": lambda t, i, j, n: _put(t, i, n, torch.ones(t.params[i].shape, dtype=torch.complex64)),
    "no tensor": lambda t, i, j, n: _put(t, i, n, 3.0),
    "tied entry": lambda t, i, j, n: _put(t, i, n, t.state(j)[n]),
    "entry in the parameter": lambda t, i, j, n: _put(t, i, n, t.params[j].data),
    "lost entry": lambda t, i, j, n: _lose(t.state(i), n),
    "free entry": lambda t, i, j, n: _free(_own(t, i, n)),
    "cut entry": lambda t, i, j, n: _free(_own(t, i, n), 8),
    "resize entry": lambda t, i, j, n: _resize(_own(t, i, n), _longer(t.params[i].shape)),
    "free what entries lie in": lambda t, i, j, n: _free(_entry(t, i, n)),
    "cut what entries lie in": lambda t, i, j, n: _free(_entry(t, i, n), 8),
    "resize what entries lie in": lambda t, i, j, n: _resize(t.state(i)[n], _longer(t.params[i].shape)),
    "zero entry": lambda t, i, j, n: _put(t, i, n, torch._efficientzerotensor(t.params[i].shape)),
    "free step count": lambda t, i, j, n: _free(_entry(t, i, "step")),
    "another step count": lambda t, i, j, n: _put(t, i, "step", torch.tensor(9.0)),
    "long step count": lambda t, i, j, n: _put(t, i, "step", torch.ones(2)),
    "forget": lambda t, i, j, n: _lose(t.optimizer.state, t.params[i]),
    "load": _load,
    "reorder": lambda t, i, j, n: t.optimizer.param_groups[i % 2]["params"].reverse(),
    "move to the other group": _move_to_the_other_group,
    "set": lambda t, i, j, n: t.optimizer.param_groups[i % 2].update(
        weight_decay=0.2 * (j % 2), maximize=n != "exp_avg"
    ),
}
ENTRIES = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]


def try_out(
    seed: int,
    *,
    rounds: int | None = None,
    seconds: float = 0.0,
    twin: type[Twin] = Twin,
    names: Collection[str] = tuple(RULES),
    deeds: Collection[str] = tuple(DEEDS),
) -> dict[str, int]:
    """Do things at random and hold the outcomes against each other.

    Parameters
    ----------
    seed
        Decides everything.
    rounds, seconds
        How many steps, or for how long.
    twin, names
        What is trained.
    deeds
        What is done.

    Returns
    -------
    dict
        How often each deed was stepped after, and refused.
    """
    draw = random.Random(seed)
    begin, found, done = time.monotonic(), dict.fromkeys(("stepped", "refused"), 0), 0
    while done < rounds if rounds is not None else time.monotonic() - begin < seconds:
        name = draw.choice(list(names))
        twins = [twin(name, compile) for compile in (True, False)]
        history: list[str] = []
        for _ in range(draw.randint(3, 25)):
            done += 1
            found[_one_round(draw, twins, deeds, history, f"seed {seed}, {name}")] += 1
    return found


def _one_round(draw: random.Random, twins: list[Twin], deeds: Collection[str], history: list[str], where: str) -> str:
    deed = draw.choice(list(deeds)) if draw.random() < 0.7 else "nothing"
    at, other, entry = draw.randrange(len(SHAPES)), draw.randrange(len(SHAPES)), draw.choice(ENTRIES)
    share = draw.choice((0.2, 0.6, 0.85, 1.0))  # few, so that most are away, or all
    which = [i for i in range(len(SHAPES)) if draw.random() < share]
    first = draw.random() < 0.5 or "gradient" in deed
    if deed in ("tied entry", "entry in the parameter"):  # of tensors that are stepped together
        which = sorted({*which, at, other})
    history.append(f"{deed}({at}, {other}, {entry}; gradients of {which} {'before' if first else 'after'})")
    outcomes = []
    for twin in twins:
        try:
            with torch.no_grad():
                if first:
                    twin.set_gradients(which)
                DEEDS[deed](twin, at, other, entry)
                if not first:
                    twin.set_gradients(which)
            torch_says = ""
        except (
            RuntimeError,
            KeyError,
            IndexError,
            AttributeError,
            TypeError,
            ValueError,
        ) as error:  # it may not be done
            torch_says = type(error).__name__
        outcomes.append((torch_says, twin.step()))
        twin.check_canaries()
    if "lie in" in deed:  # what lies there with it hangs on the way of stepping
        for twin in twins:
            twin.begin_anew()
        return "refused" if outcomes[0][1] else "stepped"
    told = f"{where}: {'; '.join(history)}"
    kinds = [(torch_says, ours.split(":")[0]) for torch_says, ours in outcomes]  # of several misfits one is named
    assert kinds[0] == kinds[1], f"{told}: {outcomes}"
    refused = bool(outcomes[0][1])
    if refused:
        for twin in twins:
            twin.begin_anew()
        return "refused"
    _compare(*twins, told)
    if not all(twin.has_memory() for twin in twins):  # of one that was not stepped; nothing can be done with it
        for twin in twins:
            twin.begin_anew()
    return "stepped"


def _compare(compiled: Twin, eager: Twin, told: str) -> None:
    for at, (param, twin) in enumerate(zip(compiled.params, eager.params, strict=True)):
        pairs = [("parameter", param.data, twin.data)]
        mine, other = compiled.state(at), eager.state(at)
        assert mine.keys() == other.keys(), told
        pairs += [(name, mine[name], other[name]) for name in mine]
        for name, left, right in pairs:
            assert isinstance(left, torch.Tensor) == isinstance(right, torch.Tensor), told
            if not isinstance(left, torch.Tensor) or not _readable(left):
                continue
            low = torch.bfloat16 in (left.dtype, param.dtype)
            rtol, atol = (0.05, 0.02) if low else (2e-3, 1e-4)
            assert (left.shape, left.dtype) == (right.shape, right.dtype), f"{told}: {name} of {at}"
            assert torch.allclose(left, right, rtol, atol, equal_nan=True), f"{told}: {name} of {at} differs"
            if torch._debug_has_internal_overlap(right) == 0 and not right.is_neg():
                right.copy_(left)


def _readable(tensor: torch.Tensor) -> bool:
    return has_memory(tensor) and not tensor._is_zerotensor()
