from __future__ import annotations

import dataclasses
import enum
import json
import math
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.jobs.toys import Square, Sum

from waddington.errors import ArgumentError
from waddington.jobs import Context, Job, canonical_json, hash_of, spec_of


class Mode(enum.StrEnum):
    KNOCKOUT = "knockout"


@dataclass(frozen=True, kw_only=True)
class Net:
    layers: tuple[int, ...] = (16, 16)
    where: Path = Path("a/b")
    mode: Mode = Mode.KNOCKOUT


@dataclass(frozen=True, kw_only=True)
class Fit(Job):
    net: Net = Net()
    lr: float = 0.1
    options: Any = None
    workers: int = field(default=1, compare=False)

    def run(self, context: Context) -> dict[str, Any]:
        return {}


def test_a_spec_says_every_value_in_one_way() -> None:
    assert spec_of(Fit(options={"b": None, "a": [True, 1, np.float32(0.5)]})) == {
        "$type": f"{__name__}.Fit",
        "$version": 1,
        "net": {
            "$type": f"{__name__}.Net",
            "layers": [16, 16],
            "where": {"$path": "a/b"},
            "mode": {"$enum": f"{__name__}.Mode.KNOCKOUT"},
        },
        "lr": 0.1,
        "options": {"b": None, "a": [True, 1, 0.5]},
    }
    assert spec_of([math.inf, -math.inf]) == [{"$float": "inf"}, {"$float": "-inf"}]
    assert spec_of(math.nan) == spec_of(np.float32("nan")) == {"$float": "nan"}
    assert spec_of(PureWindowsPath("a\\b")) == spec_of(Path("a/b"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text().filter(lambda k: k[:1] != "$"), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@given(json_values)
def test_what_json_holds_comes_back_whole(value: Any) -> None:
    text = canonical_json(spec_of(value))
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@settings(max_examples=50, deadline=None)
@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_jobs_are_told_apart_to_the_last_bit(one: float, other: float) -> None:
    same_bits = np.float64(one).tobytes() == np.float64(other).tobytes()
    assert (Square(x=one).key == Square(x=other).key) == same_bits
    assert Square(x=one).key == Square(x=np.float64(one)).key


def test_the_order_of_a_mapping_does_not_count_and_a_type_does() -> None:
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})
    assert len({hash_of(value) for value in (1, 1.0, True, "1", [1], None)}) == 6


def test_a_field_that_is_not_compared_is_no_part_of_the_key() -> None:
    assert Square(x=1.0, note="here").key == Square(x=1.0, note="there").key
    assert Fit(workers=7).key == Fit().key != Fit(lr=0.2).key
    assert dataclasses.replace(Fit(), lr=0.2).key == Fit(lr=0.2).key, "a copy does not keep the key of the original"


def test_a_newer_version_of_a_jobs_code_has_another_key_and_a_kind_survives_a_move() -> None:
    def make(version_: int, kind_: str | None, name: str) -> Job:
        @dataclass(frozen=True, kw_only=True)
        class Work(Job):
            version: ClassVar[int] = version_

            def run(self, context: Context) -> dict[str, Any]:
                return {}

        Work.__qualname__ = name
        if kind_:
            Work.kind = kind_
        return Work()

    assert make(1, None, "Work").key != make(2, None, "Work").key
    assert make(1, None, "Work").key != make(1, None, "Moved").key
    assert make(1, "work", "Work").key == make(1, "work", "Moved").key


def test_what_a_job_needs_is_part_of_it() -> None:
    one, two = Square(x=1.0), Square(x=2.0)
    assert Sum(parts=(one, two)).needs == (one, two)
    assert Sum(parts=(one, two)).key != Sum(parts=(one, Square(x=3.0))).key


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, r"Fit.options into a spec: found builtins.set"),
        ({"a": [object()]}, r"Fit.options\['a'\]\[0\] into a spec: found builtins.object"),
        ({1: 2}, r"found the key 1; accepted: texts"),
        ({"$float": 2}, r"found the key '\$float'"),
        (np.zeros(2), r"found numpy.ndarray"),
        (np.longdouble(1), r"found numpy.longdouble"),
        (1j, r"found builtins.complex"),
        (Fit, r"found abc.ABCMeta"),
        (b"a", r"found builtins.bytes"),
    ],
)
def test_what_a_spec_cannot_say_is_refused_by_name(value: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Fit(options=value).spec  # noqa: B018


def test_another_process_gives_the_same_key() -> None:
    code = "from tests.jobs.toys import Square; print(Square(x=0.1, seed=3).key)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert found.stdout.strip() == Square(x=0.1, seed=3).key


def test_the_package_needs_no_domain() -> None:
    code = "import sys, waddington.jobs; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "pandas", "anndata", "scipy", "ray"} & set(loaded)
