"""Every name under which files call a modality leads to one of three keys."""

from __future__ import annotations

import pytest

from waddington.errors import UnknownNameError
from waddington.twin.data.modalities import MODALITIES, canonical_modality, in_order, modality_of_feature_type


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        *((own, own) for own in MODALITIES),
        ("gex", "rna"),
        ("Gene Expression", "rna"),
        ("Peaks", "atac"),
        ("chromatin-accessibility", "atac"),
        ("ADT", "protein"),
        ("prot", "protein"),
        ("Antibody Capture", "protein"),
    ],
)
def test_names_of_the_wild_are_known(name: str, modality: str) -> None:
    assert canonical_modality(name) == modality


def test_an_unknown_modality_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown modality 'methylation'.*rna.*atac.*protein"):
        canonical_modality("methylation")


def test_feature_types_that_describe_the_experiment_are_no_modality() -> None:
    assert modality_of_feature_type("Gene Expression") == "rna"
    assert modality_of_feature_type("CRISPR Guide Capture") is None
    assert modality_of_feature_type("Multiplexing Capture") is None


def test_order_is_fixed() -> None:
    assert in_order({"protein", "rna", "hto"}) == ("rna", "protein")
