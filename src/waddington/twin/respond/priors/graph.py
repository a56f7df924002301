"""Links between genes, as regulators and their targets, from a table of the user's.

CollecTRI (``source, target, weight``) and TRRUST (no header; regulator, target, ``Activation`` or ``Repression``,
sources) are read as they are published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from waddington._text import counted
from waddington.errors import DataError

__all__ = ["GenePrior"]

Array = npt.NDArray[np.float64]

_SOURCES, _TARGETS = ("source", "tf", "regulator", "from"), ("target", "gene", "target_gene", "to")
_WEIGHTS = ("weight", "sign", "mode", "mor", "effect")
_WORDS = {"activation": 1.0, "repression": -1.0, "unknown": np.nan, "": np.nan}


@dataclass(frozen=True, kw_only=True, eq=False)
class GenePrior:
    """Links between genes; made by :meth:`of`."""

    edges: pd.DataFrame
    """Columns ``source`` and ``target``, names in upper case, and ``weight``; one row a pair."""
    name: str
    """Where it comes from."""
    notes: tuple[str, ...] = field(default=())
    """What was left out or taken for granted, counted."""

    @classmethod
    def of(cls, table: pd.DataFrame | str | Path, *, name: str = "") -> GenePrior:
        """Read a table.

        Parameters
        ----------
        table
            With columns ``source`` and ``target`` and, where signs are known, ``weight`` (or ``sign``, ``mode``): a
            number, or ``Activation``, ``Repression``, ``Unknown``. Or the path of a CSV or TSV file, also compressed;
            one without a header has regulators, targets and signs as its first columns. Names are compared without
            regard to case.
        name
            How reports call it; the file's name by default.

        Raises
        ------
        DataError
            When the file cannot be read, columns are missing, a weight is neither a number nor a known word, or no link
            is left; names what was found.
        """
        shown = name or ("a table" if isinstance(table, pd.DataFrame) else Path(table).name)
        read = table if isinstance(table, pd.DataFrame) else _read(Path(table))
        source, target = _column(read, _SOURCES, shown), _column(read, _TARGETS, shown)
        weight = next((one for one in read.columns if str(one).casefold() in _WEIGHTS), None)
        edges = pd.DataFrame({
            "source": read[source].astype("string").str.strip().str.upper(),
            "target": read[target].astype("string").str.strip().str.upper(),
            "weight": 1.0 if weight is None else _weights(read[weight], shown),
        })  # fmt: skip
        whole = edges["source"].notna() & edges["target"].notna() & (edges["source"] != edges["target"])
        unsigned = int(edges.loc[whole, "weight"].isna().sum())
        # A pair that is listed with and without a sign has the sign; signs that contradict each other leave no link.
        merged = edges[whole].groupby(["source", "target"], as_index=False)["weight"].mean()
        merged["weight"] = merged["weight"].fillna(1.0)
        contradicted = int((merged["weight"] == 0).sum())
        merged = merged[merged["weight"] != 0].reset_index(drop=True)
        if merged.empty:
            raise DataError(f"cannot use {shown} as a prior on genes: no link is left of {counted(len(read), 'row')}")
        notes = [
            *(
                [f"{counted(int((~whole).sum()), 'row')} without two different genes left out"]
                if not whole.all()
                else []
            ),
            *([f"{counted(unsigned, 'row')} without a sign, which counts as activation"] if unsigned else []),
            *([f"{counted(contradicted, 'pair')} of contradictory signs left out"] if contradicted else []),
        ]
        return cls(edges=merged, name=shown, notes=tuple(notes))

    def holds(self, genes: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Say which genes have a link, (genes,)."""
        known = set(self.edges["source"]) | set(self.edges["target"])
        return np.array([gene.upper() in known for gene in genes], dtype=bool)

    def similarity(self, genes: Sequence[str]) -> Array:
        """Give how alike genes are: signed cosines between their neighbourhoods, each gene its own neighbour.

        Returns
        -------
        ndarray
            (genes, genes): positive where losing one should look like losing the other, negative where like gaining
            it; 1 on the diagonal, and 0 beside it for genes without a link.
        """
        names = pd.Index(sorted({*self.edges["source"], *self.edges["target"], *(gene.upper() for gene in genes)}))
        one, other = (
            names.get_indexer(pd.Index(self.edges["source"])),
            names.get_indexer(pd.Index(self.edges["target"])),
        )
        weight = np.sign(self.edges["weight"].to_numpy())
        links = sparse.csr_array((weight, (one, other)), shape=(len(names),) * 2)
        both = (links + links.T).sign() + sparse.eye_array(len(names), format="csr")
        rows = both.tocsr()[names.get_indexer(pd.Index([gene.upper() for gene in genes]))]
        length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1))).ravel()
        return np.asarray((rows @ rows.T).toarray() / np.outer(length, length))

    def targets(self, genes: Sequence[str], features: Sequence[str]) -> Array:
        """Give the sign with which each gene acts on each feature, (genes, features); 0 where there is no link."""
        row = {gene.upper(): i for i, gene in enumerate(genes)}
        place = {feature.upper(): i for i, feature in enumerate(features)}
        found = np.zeros((len(genes), len(features)))
        here = self.edges[self.edges["source"].isin(list(row)) & self.edges["target"].isin(list(place))]
        found[here["source"].map(row), here["target"].map(place)] = np.sign(here["weight"])
        return found[[row[gene.upper()] for gene in genes]] if len(row) < len(genes) else found


def _read(path: Path) -> pd.DataFrame:
    try:
        first = pd.read_csv(path, sep=None, engine="python", header=None, nrows=1, dtype=str)
        headed = any(str(cell).casefold() in (*_SOURCES, *_TARGETS) for cell in first.iloc[0])
        separator = "\t" if path.name.removesuffix(".gz").endswith((".tsv", ".txt")) else ","
        found = pd.read_csv(path, sep=separator, header=0 if headed else None, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot read {path.name} as a prior on genes: {error}; accepted is a CSV or TSV file"
        ) from error
    if not headed:
        found = found.rename(columns=dict(enumerate(("source", "target", "sign"))))
    return found.replace("", pd.NA)


def _column(table: pd.DataFrame, names: Sequence[str], shown: str) -> object:
    for name in names:
        for column in table.columns:
            if str(column).casefold() == name:
                return column
    raise DataError(
        f"cannot use {shown} as a prior on genes: found no column {names[0]!r} among"
        f" {', '.join(map(repr, map(str, table.columns)))}; accepted is one of {', '.join(map(repr, names))}"
    )


def _weights(column: pd.Series, shown: str) -> npt.NDArray[np.float64]:
    words = column.astype("string").fillna("").str.strip().str.casefold()
    numbers = pd.to_numeric(words, errors="coerce")
    bad = numbers.isna() & ~words.isin(list(_WORDS))
    if bad.any():
        raise DataError(
            f"cannot use {shown} as a prior on genes: {counted(int(bad.sum()), 'weight')} such as"
            f" {str(column[bad].iloc[0])!r} found; accepted are numbers, Activation, Repression and Unknown"
        )
    return numbers.fillna(words.map(_WORDS)).to_numpy(dtype=np.float64, na_value=np.nan)
