"""What holds of every claim of the ledger."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import pytest

from waddington import claims
from waddington.claims.ledger import all_papers
from waddington.errors import UnknownNameError

ALL = claims.all_claims()
PARTS = [(claim, part) for claim in ALL for part in claim.parts]
CHECKED = [(claim, part) for claim, part in PARTS if part.check is not None]


def named(pairs: list) -> list:
    return [pytest.param(claim, part, id=f"{claim.id}-{part.name}") for claim, part in pairs]


def test_ids_are_unique_and_of_their_papers() -> None:
    ids = [claim.id for claim in ALL]
    assert len(set(ids)) == len(ids)
    assert all(claim.paper == paper.number for paper in all_papers() for claim in paper.claims)
    assert all(re.fullmatch(r"[AGLV]\d+", one) for one in ids)


@pytest.mark.parametrize(("claim", "part"), named(CHECKED))
def test_a_check_says_the_opposite_of_opposite_numbers(claim: claims.Claim, part: claims.Part) -> None:
    assert part.check is not None
    said, other = part.check(part.numbers), part.check({**part.numbers, **part.opposite})
    assert part.opposite
    assert {said.holds, other.holds} == {True, False}


@pytest.mark.parametrize(("claim", "part"), named(PARTS))
def test_every_part_says_what_the_paper_says_and_where(claim: claims.Claim, part: claims.Part) -> None:
    assert part.statement.endswith(".")
    assert part.source
    if part.need is not None:
        assert part.need.command.startswith(("waddington ", "torchrun ", "make ", "python "))


def test_the_list_is_json_with_verdicts_and_parts() -> None:
    rows = [entry.as_json() for entry in claims.ledger_of(ALL)]
    assert json.loads(json.dumps(rows)) == rows
    assert all({"id", "statement", "verdict", "parts"} <= set(row) for row in rows)


def test_claims_are_found_by_id_and_unknown_ones_are_refused() -> None:
    assert [one.id for one in claims.get_claims(["g2", "G1", "g2"])] == ["G2", "G1"]
    with pytest.raises(UnknownNameError, match="claim"):
        claims.get_claims(["Z9"])


CONTRADICTED = (
    *("A1", "A2", "A3", "A5", "A6", "A7", "A8", "G2", "G3", "G4", "G5", "G9"),
    *("L1", "L2", "L3", "L5", "L6", "L8", "V1", "V2", "V4"),
)
"""What spec and arithmetic say is contradicted by the papers themselves."""


@pytest.mark.parametrize("name", CONTRADICTED)
def test_contradictions_appear_by_computation(name: str) -> None:
    (entry,) = claims.ledger_of(claims.get_claims([name]))
    assert entry.verdict == "contradicted"


def test_a_claim_that_is_true_as_printed_is_reproduced() -> None:
    (entry,) = claims.ledger_of(claims.get_claims(["G1"]))
    assert entry.verdict == "reproduced"


@pytest.mark.parametrize(("claim", "part"), named([pair for pair in PARTS if pair[1].measurements]))
def test_a_part_took_no_longer_than_its_tier_says(claim: claims.Claim, part: claims.Part) -> None:
    entry = claims.ledger_of([dataclasses.replace(claim, parts=(part,))])[0].parts[0]
    assert sum(record.seconds for record in entry.records) <= {"seconds": 60, "minutes": 3600}.get(part.tier, math.inf)


def test_printed_figures_say_their_unit_and_what_stands_where_no_figure_does() -> None:
    (v4,) = claims.ledger_of(claims.get_claims(["V4"]))
    said = {part.part.name: part.check.words for part in v4.parts if part.check is not None}
    assert said["state over Adam"] == "bytes 12/8 - 1 = 50 %; printed is comparable, taken as 0 %"
    assert said["hours saved"] == "1 - 1.2/1.7 = 29.41 %; printed is 29 %"
    assert said["time an epoch"].endswith("= -9.244 %; printed is 5 to 7 %, taken as 7 %")
