"""Phases written as C do what torch's operations do: every operation, dtype, length and number of threads."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import UnsupportedError
from waddington.optim.engine.noise import random_words, round_stochastically, slice_of
from waddington.optim.kernels import cpu
from waddington.optim.kernels.c_source import c_source
from waddington.optim.kernels.trace import trace

LENGTH = 7
ROW = 4
SUMS = 8
CHUNK = 4096


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Compile functions of vectors and of the numbers n0 to n3; give them as functions of lists of tensors."""
    folder, count = tmp_path_factory.mktemp("kernels"), itertools.count()

    def built(function, dtypes, bound=torch.float32):
        vectors = {name: torch.ones(LENGTH, dtype=dtype) for name, dtype in dtypes.items()}
        scalars = {f"n{place}": torch.ones((), dtype=bound) for place in range(ROW)}
        program = trace(function, vectors | scalars)
        text = c_source(program, list(dtypes), {name: place for place, name in enumerate(scalars)}, {})
        path = folder / f"{next(count)}.so"
        cpu.build(text, path)
        step = cpu.open_kernel(path)

        def call(tensors, rows, threads=1):
            """Take lists of vectors, one for each tensor, and their numbers; give the results."""
            addresses = np.array([[vector.data_ptr() for vector in each] for each in tensors])
            lengths = np.array([each[0].numel() for each in tensors])
            table = torch.as_tensor(rows, dtype=bound).contiguous()
            out = torch.zeros(len(tensors), SUMS, dtype=torch.float64)
            before = (len(tensors), lengths.ctypes.data, addresses.ctypes.data, table.data_ptr(), ROW)
            assert step(*before, 0, out.data_ptr(), SUMS, threads) == 0
            return {name: out[:, place] for place, name in enumerate(program.results)}

        return call

    return built


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-40, -1e-40, 1e38, -1e38, torch.inf, -torch.inf, torch.nan, 3.7, -2.2]
EXACT = {
    "add": lambda x, y, n: x + y,
    "add_number": lambda x, y, n: x + n,
    "add_literal": lambda x, y, n: x + 0.1,
    "sub": lambda x, y, n: x - y,
    "rsub": lambda x, y, n: 1.0 - x,
    "mul": lambda x, y, n: x * y,
    "div": lambda x, y, n: x / y,
    "square": lambda x, y, n: x.square(),
    "neg": lambda x, y, n: -x,
    "abs": lambda x, y, n: x.abs(),
    "sign": lambda x, y, n: x.sign(),
    "floor": lambda x, y, n: x.floor(),
    "round": lambda x, y, n: x.round(),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "clamp": lambda x, y, n: x.clamp(-1.5, 1.5),
    "clamp_min": lambda x, y, n: x.clamp_min(0.5),
    "clamp_max": lambda x, y, n: x.clamp(max=n),
    "where": lambda x, y, n: torch.where(x < y, x, n),
    "between": lambda x, y, n: torch.where((x <= y) & (x >= -y) | (y != y), x, 0.0),
    "either": lambda x, y, n: torch.where(torch.logical_or(x > 1.0, torch.logical_not(y == x)), 1.0, y),
    "isfinite": lambda x, y, n: torch.where(x.isfinite(), x, y),
    "isnan": lambda x, y, n: torch.where(x.isnan(), 1.0, y),
    "mask": lambda x, y, n: torch.le(x, y, out=torch.empty_like(x)) * 3.0,
    "filled": lambda x, y, n: torch.full_like(x, 0.3) + torch.zeros_like(x) + torch.ones_like(x),
}
TWO = {"maximum", "minimum"}
ROUNDED = {
    "reciprocal": lambda x, y, n: x.reciprocal(),
    "root": lambda x, y, n: x.pow(0.5),
    "sqrt": lambda x, y, n: x.sqrt(),
    "pow": lambda x, y, n: x.abs().pow(n),
    "cube_root": lambda x, y, n: x.abs().pow(1.0 / 3.0),
    "exp": lambda x, y, n: x.exp(),
    "log": lambda x, y, n: x.log(),
    "expm1": lambda x, y, n: x.expm1(),
    "log1p": lambda x, y, n: x.log1p(),
    "tanh": lambda x, y, n: x.tanh(),
    "rsqrt": lambda x, y, n: x.rsqrt(),
    "addcmul": lambda x, y, n: x.addcmul(x, y, value=0.3),
    "addcdiv": lambda x, y, n: x.addcdiv(x, y, value=0.3),
    "add_scaled": lambda x, y, n: torch.add(x, y, alpha=0.3),
    "lerp": lambda x, y, n: torch.lerp(x, y, 0.3),
    "lerp_far": lambda x, y, n: torch.lerp(x, y, 0.7),
}


def apply(operation, x, y, n):
    return operation(x, y) if operation in (torch.maximum, torch.minimum) else operation(x, y, n)


@pytest.fixture(scope="module", params=[torch.float32, torch.float64], ids=str)
def operations(request, build):
    """Give a kernel that does all operations, and its dtype."""
    dtype = request.param

    def function(x, y, n0, n1, n2, n3, **results):
        for name, operation in (EXACT | ROUNDED).items():
            results[name].copy_(apply(operation, x, y, n0))
        return {}

    return build(function, dict.fromkeys(["x", "y", *EXACT, *ROUNDED], dtype), dtype), dtype


def check_operations(operations, x, y, number):
    call, dtype = operations
    results = [torch.empty_like(x) for _ in EXACT | ROUNDED]
    call([[x, y, *results]], [[number] * ROW])
    tiny = torch.finfo(torch.float32).tiny
    terms = (1.0 + x.abs() + y.abs() + (x * y).abs()).nan_to_num(1.0, posinf=1.0)  # of which sums may cancel
    for (name, operation), got in zip((EXACT | ROUNDED).items(), results, strict=True):
        expected = apply(operation, x, y, torch.tensor(number, dtype=dtype))
        bound = 0.0 if name in EXACT else 8 * torch.finfo(dtype).eps * (terms + expected.abs())
        same = (got == expected) | (got.isnan() & expected.isnan()) | ((got - expected).abs() <= bound)
        if name in ROUNDED:  # what a library of functions makes of numbers below the normal ones is its own affair
            same |= ((x != 0.0) & (x.abs() < tiny)) | ((y != 0.0) & (y.abs() < tiny))
        assert same.all(), (name, x[~same], y[~same], got[~same], expected[~same])


def test_operations_are_torchs_at_special_values(operations):
    pairs = torch.tensor(list(itertools.product(SPECIAL, repeat=2)), dtype=operations[1])
    check_operations(operations, *pairs.T.contiguous(), 0.7)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_operations_are_torchs(operations, data):
    scalars = st.floats(-100.0, 100.0, width=32)
    pairs = data.draw(st.lists(st.tuples(scalars, scalars), min_size=1, max_size=40))
    number = data.draw(st.floats(0.125, 4.0, width=32))
    check_operations(operations, *torch.tensor(pairs, dtype=operations[1]).T.contiguous(), number)


def test_signs_of_zeros_are_torchs(operations):
    call, dtype = operations
    x, y = torch.tensor([[0.0, -0.0, -0.0], [-0.0, 0.0, 5.0]], dtype=dtype)
    results = [torch.empty_like(x) for _ in EXACT | ROUNDED]
    call([[x, y, *results]], [[0.7] * ROW])
    for (name, operation), got in zip(EXACT.items(), results, strict=False):
        if name not in TWO and not name.startswith(("clamp", "mask")):  # which of two zeros is the larger is open
            expected = apply(operation, x, y, torch.tensor(0.7, dtype=dtype))
            assert torch.equal(torch.signbit(got), torch.signbit(expected)), name


# -- half precisions and random bits --


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precisions_are_read_and_rounded_as_torch_does(dtype, build):
    def function(half, wide, back, n0, n1, n2, n3):
        wide.copy_(half)
        half.copy_(back)
        back.copy_(back.to(dtype))
        return {}

    call = build(function, {"half": dtype, "wide": torch.float32, "back": torch.float32})
    half = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int32).to(torch.int16).view(dtype).clone()
    bits = torch.randint(-(1 << 31), 1 << 31, half.shape, generator=torch.Generator().manual_seed(0))
    back = bits.to(torch.int32).view(torch.float32)
    back[: len(half) // 2] = torch.randn(len(half) // 2)  # values that a float16 holds
    before, given_back, wide = half.clone(), back.clone(), torch.empty(half.shape)
    call([[half, wide, back]], [[0.0] * ROW])
    torch.testing.assert_close(wide, before.float(), rtol=0.0, atol=0.0, equal_nan=True)
    for got in (half.float(), back):
        torch.testing.assert_close(got, given_back.to(dtype).float(), rtol=0.0, atol=0.0, equal_nan=True)


def test_stochastic_rounding_is_bit_for_bit_that_of_torch(build):
    salt = 0x123456789ABCDEF

    def rounded(x):
        words = random_words(torch.arange(x.numel()), torch.full((), salt, dtype=torch.int64))
        return [round_stochastically(x, slice_of(words, place)) for place in range(3)]

    def function(x, a, b, c, n0, n1, n2, n3):
        for target, value in zip((a, b, c), rounded(x), strict=True):
            target.copy_(value)
        return {}

    call = build(function, {"x": torch.float32} | dict.fromkeys("abc", torch.bfloat16))
    x = torch.randn(3 * CHUNK + 5, generator=torch.Generator().manual_seed(0))
    x[:4] = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0])
    targets = [torch.empty(x.shape, dtype=torch.bfloat16) for _ in range(3)]
    call([[x, *targets]], [[0.0] * ROW])
    for got, expected in zip(targets, rounded(x), strict=True):
        torch.testing.assert_close(got, expected, rtol=0.0, atol=0.0, equal_nan=True)


# -- sums, loops and threads --

LENGTHS = [1, 7, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK, 4 * CHUNK + 1, 9 * CHUNK + 11, 40_003]


def normalized(x, y, n0, n1, n2, n3):
    """Three loops: a mean, the scatter around it, and what follows from both."""
    mean = x.sum() / n0
    deviation = ((x - mean).square().sum() / n0).sqrt()
    y.copy_((x - mean) / deviation * n1)
    x.mul_(n2)
    return {"mean": mean, "deviation": deviation, "kept": y.abs().sum()}


def some_tensors(lengths):
    generator = torch.Generator().manual_seed(0)
    return [[torch.randn(length, generator=generator) + 3.0, torch.zeros(length)] for length in lengths]


@pytest.mark.parametrize("lengths", [LENGTHS, [300] * 200, [100_000], [1, 1]], ids=["all", "many", "one", "tiny"])
def test_what_follows_from_sums_is_used_at_every_length_and_number_of_threads(lengths, build):
    call = build(normalized, {"x": torch.float32, "y": torch.float32})
    rows = [[length, 1.0 + place, 0.5, 0.0] for place, length in enumerate(lengths)]
    found = []
    for threads in (1, 2, 3):
        tensors = some_tensors(lengths)
        results = call(tensors, rows, threads)
        found.append((tensors, results))
    for (x, y), row, (given_x, _), place in zip(found[0][0], rows, some_tensors(lengths), itertools.count()):
        exact = given_x.double()
        deviation = exact.std(correction=0)
        assert torch.equal(x, given_x * 0.5)
        assert found[0][1]["mean"][place].item() == pytest.approx(exact.mean().item(), rel=1e-6)
        assert found[0][1]["deviation"][place].item() == pytest.approx(deviation.item(), rel=1e-5)
        if len(exact) > 1:
            torch.testing.assert_close(y, ((exact - exact.mean()) / deviation * row[1]).float(), rtol=1e-4, atol=1e-4)
    for tensors, results in found[1:]:  # to the bit
        assert all(torch.equal(results[name].nan_to_num(), c.nan_to_num()) for name, c in found[0][1].items())
        for one, other in zip(tensors, found[0][0], strict=True):
            assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(one, other, strict=True))


def test_sums_of_millions_keep_their_digits(build):
    """One after the other, in float32, they would stand still at 2 ** 24."""
    call = build(lambda x, n0, n1, n2, n3: {"ones": (x > 0.0).to(x.dtype).sum(), "all": x.sum()}, {"x": torch.float32})
    x = torch.full((20_000_003,), 0.1)
    found = call([[x]], [[0.0] * ROW], threads=2)
    assert found["ones"].item() == pytest.approx(20_000_003, rel=1e-7)
    assert found["all"].item() == pytest.approx(20_000_003 * float(x[0].double()), rel=1e-5)


def test_values_are_compared_in_the_dtype_that_both_have_room_in(build):
    def function(x, wide, n0, n1, n2, n3):
        x.copy_(torch.lt(x, wide, out=torch.empty_like(x)) + (~(x < wide)).to(torch.float32) * 2.0)
        return {"odd": (~torch.arange(x.numel()) & 1).sum()}

    call = build(function, {"x": torch.float32, "wide": torch.float64})
    x = torch.full((5,), 0.1)
    wide = x.double() + torch.tensor([-1e-9, 0.0, 1e-12, 1e-9, torch.inf], dtype=torch.float64)
    assert call([[x, wide]], [[0.0] * ROW])["odd"].item() == 3
    assert x.tolist() == [2.0, 2.0, 1.0, 1.0, 1.0]


def test_integers_are_counted_and_divided(build):
    def function(x, n0, n1, n2, n3):
        places = torch.arange(x.numel())
        row = torch.div(places - 3, 5 * torch.ones_like(places), rounding_mode="floor")
        x.copy_(row)
        return {"even": ((places & 1) == 0).sum()}

    call = build(function, {"x": torch.float32})
    x = torch.zeros(1001)
    assert call([[x]], [[0.0] * ROW])["even"].item() == 501
    assert x.tolist() == [(place - 3) // 5 for place in range(1001)]


# -- what is not written as C --


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda x: x.erf(), "erf"),
        (lambda x: torch.div(x, 2.0, rounding_mode="trunc"), "rounding_mode='trunc'"),
        (lambda x: x.round(decimals=2), "round with decimals"),
        (lambda x: torch.arange(3, x.numel() + 3), "arange"),
    ],
    ids=["operation", "way", "option", "beginning"],
)
def test_what_is_not_known_is_named(function, named):
    def phase(x):
        x.copy_(function(x))
        return {}

    with pytest.raises(UnsupportedError, match=named):
        c_source(trace(phase, {"x": torch.ones(LENGTH)}), ["x"], {}, {})


def test_a_compiler_that_fails_is_quoted(tmp_path):
    with pytest.raises(RuntimeError, match=r"the compiler failed \(.*error"):
        cpu.build("no C", tmp_path / "kernel.so")
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_may_be_a_command_with_arguments(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "cc -DWADDINGTON")
    text = "#ifndef WADDINGTON\n#error not given\n#endif\nint waddington_step(void) { return 0; }"
    cpu.build(text, tmp_path / "kernel.so")
    assert cpu.open_kernel(tmp_path / "kernel.so")


def test_a_compiler_without_half_precision_is_no_failure_of_the_machine(tmp_path, monkeypatch):
    compiler = tmp_path / "old-cc"
    compiler.write_text("#!/bin/sh\necho \"step.c:3:1: error: unknown type name '_Float16'\" >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    with pytest.raises(UnsupportedError, match="old-cc does not know _Float16"):
        cpu.build("", tmp_path / "kernel.so")


def test_what_is_no_kernel_is_not_opened(tmp_path):
    (tmp_path / "kernel.so").write_bytes(b"no kernel at all, but longer than a digest is")
    with pytest.raises(RuntimeError, match="no kernel"):
        cpu.open_kernel(tmp_path / "kernel.so")
