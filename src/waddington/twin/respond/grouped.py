"""Effects matched by group: the change of a condition is measured within each donor, cell type, line or batch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from waddington.twin.respond.measured import Measured, Table

__all__ = ["matched"]


def matched(by_group: Mapping[str, Measured]) -> Measured:
    """Average effects over groups, so that no group's share of a condition's cells moves them.

    Each group's change against its own control counts alike, whatever its number of cells. The control's mean is that
    of the groups' controls; a condition's is that plus its mean change. Variances are averaged over groups.

    Parameters
    ----------
    by_group
        What each group shows, same modalities.

    Returns
    -------
    Measured
        ``n`` is the number of cells with which a mean of cells of that variance is as uncertain as the averaged one:
        groups², over the sum of 1/n.
    """
    groups = list(by_group.values())
    first = groups[0]
    labels = (first.control, *sorted({label for one in groups for label in one.labels[1:]}))
    holders = [[one for one in groups if label in one.row] for label in labels]
    n = np.array([
        len(held) ** 2 / sum(1.0 / one.n[one.row[label]] for one in held)
        for label, held in zip(labels, holders, strict=True)
    ])  # fmt: skip
    tables = {}
    for modality in first.tables:
        base = np.mean([one.tables[modality].mean[0] for one in groups], axis=0)
        changes = {id(one): one.effects(modality) for one in groups}
        mean = np.stack([
            base + np.mean([changes[id(one)][one.row[label]] for one in held], axis=0)
            for label, held in zip(labels, holders, strict=True)
        ])  # fmt: skip
        variance = np.stack([
            np.mean([one.tables[modality].variance[one.row[label]] for one in held], axis=0)
            for label, held in zip(labels, holders, strict=True)
        ])  # fmt: skip
        tables[modality] = Table(mean=mean, variance=variance)
    return Measured(kind=first.kind, labels=labels, n=n, tables=tables, names=first.names)
