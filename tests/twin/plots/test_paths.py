from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.twin.plots._paths import lay_paths


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), spread=st.sampled_from([0.0, 0.01, 1.0]))
def test_numbers_never_cover_one_another(seed: int, n: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    courses = {f"towards {i}": rng.normal(size=(5, 2)) * spread + np.linspace(0, 1, 5)[:, None] for i in range(n)}
    paths = lay_paths(courses, extent=4.0)
    assert [path.number for path in paths] == list(range(1, n + 1))
    assert len({path.color for path in paths}) == n
    for first, second in itertools.combinations(paths, 2):
        assert np.linalg.norm(first.badge - second.badge) >= 0.052 * 4.0
    for path in paths:
        assert np.linalg.norm(path.badge - path.points[-1]) <= 0.1 * 4.0 + 1e-9


def test_numbers_leave_roots_to_be_seen() -> None:
    rng = np.random.default_rng(0)
    courses = {f"towards {i}": 0.01 * rng.normal(size=(5, 2)) for i in range(4)}
    root = np.array([[0.0, 0.03]])
    for path in lay_paths(courses, 1.0, roots=root):
        assert np.linalg.norm(path.badge - root[0]) >= 0.052


def test_a_course_without_a_name_has_no_number() -> None:
    assert [path.number for path in lay_paths({"_0": np.zeros((2, 2)), "far": np.ones((2, 2))}, 1.0)] == [None, 2]
