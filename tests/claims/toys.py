"""A claim about coins: arithmetic, an experiment that is cheap, and one that cannot be run here."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from waddington import claims, jobs
from waddington.claims.finding import found


@claims.experiment()
def tossed(seed: int, *, tosses: int = 100) -> Mapping[str, Any]:
    drawn = random.Random(seed)
    return {"heads": sum(drawn.random() < 0.5 for _ in range(tosses)), "tosses": tosses}


@claims.experiment()
def broken(seed: int) -> Mapping[str, Any]:
    raise RuntimeError("no coin")


def is_fair(records: Sequence[jobs.Record]) -> claims.Finding:
    results = [record.result or {} for record in records]
    share = sum(one["heads"] for one in results) / sum(one["tosses"] for one in results)
    return found(abs(share - 0.5) < 0.1, f"a share of {share:.3f} heads", share=share)


def sums_to_one(numbers: Mapping[str, Any]) -> claims.Finding:
    total = numbers["heads"] + numbers["tails"]
    return found(total == 1.0, f"heads and tails make {total:g}", total=total)


SUM = claims.Part(
    name="sum", statement="Both chances make one.", source="Table 1", check=sums_to_one,
    numbers={"heads": 0.5, "tails": 0.4}, opposite={"tails": 0.5},
)  # fmt: skip
FAIR = claims.Part(
    name="fair", statement="The coin is fair.", source="Eq. 1", rule="the share of heads is within 0.1 of a half",
    measurements=claims.measurements(tossed, seeds=3), judge=is_fair,
)  # fmt: skip
FAR = claims.Part(
    name="far", statement="A million tosses are fair, too.", source="Eq. 2", tier="hours",
    measurements=claims.measurements(tossed, tosses=10), judge=is_fair,
    need=claims.Need(kind="hardware", words="a machine that tosses", command="waddington claims run C1 --tier hours"),
)  # fmt: skip


def claim(*parts: claims.Part) -> claims.Claim:
    return claims.Claim(
        id="C1", paper="coins", title="coins", statement="Coins are fair.", source="all of it", parts=parts
    )
