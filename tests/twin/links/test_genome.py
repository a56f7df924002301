"""Places are read from the columns and names that are in use; distances are between nearest ends."""

from __future__ import annotations

import pandas as pd
import pytest

from waddington.twin.links import near_pairs, places


@pytest.mark.parametrize(
    "var",
    [
        pd.DataFrame({"chrom": ["chr1", "X"], "start": [5, "7"], "end": [9, 8]}, index=["a", "b"]),
        pd.DataFrame({"interval": ["chr1:5-9", "X:7-8"]}, index=["a", "b"]),
        pd.DataFrame(index=["chr1:5-9", "X_7_8"]),
        pd.DataFrame(index=["chr1-5-9", "X:7-8", "Gata1"]),
    ],
)
def test_places_are_read_from_columns_intervals_and_names(var: pd.DataFrame) -> None:
    found = places(var)
    assert found.to_numpy().tolist() == [["chr1", 5, 9], ["X", 7, 8]]


def test_distance_is_between_nearest_ends_on_one_chromosome() -> None:
    features = places(pd.DataFrame(index=["chr1:100-200", "chr1:900-950", "chr2:100-200"]))
    genes = pd.DataFrame({"chromosome": "chr1", "start": [150, 260], "end": [250, 300]}, index=["in", "beside"])
    found = near_pairs(features, genes, window=60)
    assert found.to_numpy().tolist() == [["chr1:100-200", "in", 0], ["chr1:100-200", "beside", 60]]
    assert near_pairs(features, genes, window=10_000)["distance"].tolist() == [0, 60, 650, 600]
