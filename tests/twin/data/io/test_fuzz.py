"""Damage of every kind, by chance: a file is refused in one line, or what is read from it is sound.

``WADDINGTON_FUZZ_CASES`` and ``WADDINGTON_FUZZ_SEED`` say how many files are damaged and how;
``WADDINGTON_FUZZ_SECONDS`` goes on for so long instead. The long run reads in a process of its own, so that a crash
of a library is a finding, too.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import resource
import select
import shutil
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import mudata as md
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
import zarr

from waddington.errors import WaddingtonError
from waddington.twin.data.io import read

SEED = int(os.environ.get("WADDINGTON_FUZZ_SEED", "0"))
Random = np.random.Generator
ODD: list[Any] = [-1, 0, 1, 7, 2**31, 10**12, 1.5, "", "x", "csr_matrix", "9.9.9", [], [3], [10**12, 10**12], True]


# -- files that are sound ------------------------------------------------------------------------------------------


def cells() -> ad.AnnData:
    counts = np.random.default_rng(0).poisson(1.5, (20, 6)).astype(np.float32)
    counts[:, 0] = 3
    labels = {"perturbation": ["control", "A"] * 10, "time": np.arange(20.0) // 5, "batch": pd.Categorical(["a"] * 20)}
    adata = ad.AnnData(sp.csr_matrix(counts), pd.DataFrame(labels, index=[f"c{i}" for i in range(20)]))
    adata.layers["scaled"] = sp.csc_matrix(counts * 0.5)
    adata.obsm["protein_counts"] = sp.csr_matrix(counts[:, :3])
    adata.raw = adata.copy()
    return adata


def write_all(folder: Path) -> list[Path]:
    """Write one file of every format."""
    adata = cells()
    adata.write_h5ad(folder / "plain.h5ad")
    adata.write_h5ad(folder / "packed.h5ad", compression="gzip")
    dense = ad.AnnData(adata.X.toarray(), adata.obs)
    dense.write_h5ad(folder / "dense.h5ad")
    both = md.MuData({"rna": adata, "atac": dense})
    both.write(folder / "both.h5mu")
    for number in (2, 3):
        with ad.settings.override(zarr_write_format=number):
            adata.write_zarr(folder / f"v{number}.zarr")
    both.write_zarr(str(folder / "both.zarr"))
    shutil.make_archive(str(folder / "zipped.zarr"), "zip", folder / "v2.zarr")
    with h5py.File(folder / "run.h5", "w") as file:
        group, table = file.create_group("matrix"), file.create_group("matrix/features")
        group["data"], group["indices"], group["indptr"] = adata.X.data.astype(int), adata.X.indices, adata.X.indptr
        group["shape"], group["barcodes"] = [6, 20], np.array(adata.obs_names, "S")
        table["id"] = table["name"] = np.array(adata.var_names, "S")
        table["feature_type"] = np.array(["Gene Expression"] * 6, "S")
    (folder / "mtx").mkdir()
    scipy.io.mmwrite(folder / "mtx" / "matrix.mtx", adata.X.T.astype(int))
    (folder / "mtx" / "barcodes.tsv").write_text("\n".join(adata.obs_names) + "\n")
    (folder / "mtx" / "features.tsv").write_text("".join(f"E{i}\tG{i}\tGene Expression\n" for i in range(6)))
    (folder / "mtx_gz").mkdir()
    for path in (folder / "mtx").iterdir():
        (folder / "mtx_gz" / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    return sorted(folder.iterdir())


# -- damage: each function changes a file in place, says what it did, and whether it must be noticed ---------------


def files_of(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(entry for entry in path.rglob("*") if entry.is_file())


def damage_bytes(random: Random, path: Path) -> tuple[str, bool]:
    victim = random.choice(np.array(files_of(path), dtype=object))
    content = bytearray(victim.read_bytes())
    at, size = int(random.integers(len(content) + 1)), int(random.integers(1, 64))
    kind = str(random.choice(["flip", "flip", "flip", "cut", "zero", "insert", "remove", "noise"]))
    if kind == "flip" and content:
        for place in random.integers(len(content), size=random.integers(1, 9)):
            content[place] ^= 1 << int(random.integers(8))
    elif kind == "cut":
        del content[at:]
    elif kind == "insert":
        content[at:at] = random.bytes(size)
    else:
        content[at : at + size] = {"zero": bytes(size), "noise": random.bytes(size)}.get(kind, b"")
    victim.write_bytes(content)
    return f"{kind} at {at} of {victim.name}", False


def damage_text(random: Random, path: Path) -> tuple[str, bool]:
    """Put another number or word into a Matrix Market folder, packed again if it was."""
    victim = random.choice(np.array(files_of(path), dtype=object))
    packed = victim.suffix == ".gz"
    lines = (gzip.decompress(victim.read_bytes()) if packed else victim.read_bytes()).split(b"\n")
    at = int(random.integers(min(len(lines), 6)))
    words = lines[at].split(b" ")
    words[int(random.integers(len(words)))] = str(random.choice(np.array([str(odd) for odd in ODD]))).encode()
    lines[at] = b" ".join(words)
    content = b"\n".join(lines)
    victim.write_bytes(gzip.compress(content) if packed else content)
    return f"line {at} of {victim.name} is {lines[at]!r}", False


def damage_hdf5(random: Random, path: Path) -> tuple[str, bool]:
    with h5py.File(path, "a") as file:
        names: list[str] = []
        file.visit(names.append)
        name = str(random.choice(names))
        item = file[name]
        keys = list(item.attrs)
        if keys and random.random() < 0.4:
            key, odd = str(random.choice(keys)), ODD[random.integers(len(ODD))]
            del item.attrs[key]
            if random.random() < 0.8:
                item.attrs[key] = odd
            return f"{name}.attrs[{key!r}] = {odd!r}", False
        if random.random() < 0.2 or isinstance(item, h5py.Group) or not item.shape:
            del file[name]
            return f"{name} removed", False
        values, attributes = item[()], dict(item.attrs)
        changed = odd_array(random, values)
        del file[name]
        file.create_dataset(name, data=changed).attrs.update(attributes)
        return f"{name} of {values.dtype}{values.shape} became {changed.dtype}{changed.shape}", False


def odd_array(random: Random, values: Any) -> Any:
    """Change type, length, dimensions or one value of an array."""
    kind = random.integers(5)
    if kind == 0:
        return values[: random.integers(len(values))]
    if kind == 1:
        return np.concatenate([values, values])
    if kind == 2:
        return values[None]
    if kind == 3 or values.dtype.kind not in "iuf":
        return (
            np.arange(values.size)
            .reshape(values.shape)
            .astype(str(random.choice([">f4", "f2", "u1", "i8", "?", "c8"])))
        )
    values = values.copy()
    odd = [np.nan, np.inf, -1, 0.5, 1e30] if values.dtype.kind == "f" else [-1, np.iinfo(values.dtype).max]
    values.flat[random.integers(values.size)] = np.array(random.choice(odd)).astype(values.dtype)
    return values


def damage_json(random: Random, path: Path) -> tuple[str, bool]:
    names = {".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json"}
    victim = random.choice(np.array([entry for entry in files_of(path) if entry.name in names], dtype=object))
    record = inner = json.loads(victim.read_text())
    key: Any = None
    while isinstance(inner, dict) and inner:
        outer, key = inner, str(random.choice(list(inner)))
        inner = inner[key]
        if random.random() < 0.3:
            break
    if key is None:
        return damage_bytes(random, path)
    outer[key] = odd = ODD[random.integers(len(ODD))]
    victim.write_text(json.dumps(record))
    return f"{key} = {odd!r} in {victim.relative_to(path)}", False


def damage_chunks(random: Random, path: Path) -> tuple[str, bool]:
    victim = random.choice(np.array(files_of(path), dtype=object))
    victim.unlink()
    return f"{victim.relative_to(path)} removed", False


def damage_structure(random: Random, path: Path) -> tuple[str, bool]:
    """Make the structure of one sparse matrix wrong, in a way that must be noticed."""
    is_hdf5 = path.is_file()
    with h5py.File(path, "a") if is_hdf5 else zarr.storage.LocalStore(path) as store:
        root: Any = store if is_hdf5 else zarr.open_group(store, mode="a", use_consolidated=False)
        places = [name for name in PLACES if name in root and "indptr" in root[name]]
        place = str(random.choice(places))
        kind, (part, change) = list(WRONG.items())[random.integers(len(WRONG))]
        array = root[place][part]
        values = array[:]
        change(values, int(random.integers(1, len(values) - 1)))
        array[:] = values
        return f"{place}/{part}: {kind}", True


PLACES = ("X", "layers/scaled", "obsm/protein_counts", "raw/X", "matrix", "mod/rna/X")
WRONG: dict[str, tuple[str, Callable[[Any, int], None]]] = {
    "index above": ("indices", lambda values, at: values.__setitem__(at, 20)),
    "index far above": ("indices", lambda values, at: values.__setitem__(at, 2**31 - 1)),
    "index below": ("indices", lambda values, at: values.__setitem__(at, -1)),
    "all alike": ("indices", lambda values, _: values.__setitem__(slice(None), 0)),
    "pointer above": ("indptr", lambda values, at: values.__setitem__(at, 2**31 - 1)),
    "pointer below": ("indptr", lambda values, at: values.__setitem__(at, -1)),
    "first pointer": ("indptr", lambda values, _: values.__setitem__(0, 1)),
    "last pointer": ("indptr", lambda values, _: values.__setitem__(-1, values[-1] - 1)),
}


def damages_of(path: Path) -> list[Callable[[Random, Path], tuple[str, bool]]]:
    if path.suffix in (".h5ad", ".h5mu", ".h5"):
        special: list[Any] = [damage_hdf5] if path.name == "dense.h5ad" else [damage_hdf5, damage_structure]
    elif path.suffix == ".zarr":
        special = [damage_json, damage_chunks, damage_structure]
    else:
        special = [damage_text] if path.is_dir() else []
    return [damage_bytes, *special]


# -- what came of it -----------------------------------------------------------------------------------------------


def outcome(path: Path) -> str:
    """Read a damaged file: ``refused ...``, ``read``, or a finding."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mdata = read(path)
    except WaddingtonError as error:
        text = str(error)
        return f"refused {text}" if text.startswith("cannot ") and "\n" not in text else f"FINDING words: {text!r}"
    except BaseException as error:  # noqa: BLE001
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"FINDING {type(error).__name__}: {str(error)[:200]!r} at {frame.filename}:{frame.lineno}"
    for name, part in mdata.mod.items():
        for matrix in (part.X, part.layers["counts"]):
            try:
                fresh = sp.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=part.shape)
                fresh.check_format(full_check=True)
            except ValueError as error:
                return f"FINDING structure of {name}: {error}"
            values = matrix.data
            if not (fresh.has_canonical_format and np.isfinite(values).all() and (values > 0).all()):
                return f"FINDING values of {name}"
            if (values != np.rint(values)).any():
                return f"FINDING fractions of {name}"
    return "read"


def cases(tmp_path: Path) -> Iterator[tuple[str, Path, bool]]:
    """Damage one file after another, all formats in turn; each is gone when the next is asked for."""
    (tmp_path / "sound").mkdir()
    (tmp_path / "case").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sound = write_all(tmp_path / "sound")
        for path in sound:
            assert outcome(path) == "read", path
        for number in itertools.count():
            random = np.random.default_rng([SEED, number])
            source = sound[number % len(sound)]
            target = tmp_path / "case" / source.name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
            kinds = damages_of(source)
            said, must_refuse = kinds[number // len(sound) % len(kinds)](random, target)
            yield f"case {number} of seed {SEED}, {source.name}: {said}", target, must_refuse
            shutil.rmtree(target) if target.is_dir() else target.unlink()


def finding(case: str, result: str, *, must_refuse: bool) -> list[str]:
    wrong = result.startswith("FINDING") or (must_refuse and not result.startswith("refused"))
    return [f"{case} -> {result}"] if wrong else []


# -- the long run --------------------------------------------------------------------------------------------------


class Reader:
    """A process that reads one file after another, with little memory, and may crash."""

    def __init__(self) -> None:
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def outcome(self, path: Path, seconds: float = 120.0) -> str:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        answered = select.select([process.stdout], [], [], seconds)[0]
        line = process.stdout.readline() if answered else ""
        if line:
            return line.rstrip("\n")
        code = self.close()
        self._process = self._start()
        return f"FINDING crash (exit code {code})" if answered else f"FINDING no answer in {seconds:.0f} s"

    def close(self) -> int:
        """End the process and its pipes; give its exit code."""
        with self._process as process:
            process.kill()
        return process.returncode


@pytest.mark.slow  # test_bad_input.py names the kinds at once
def test_hundreds_of_damaged_files(tmp_path: Path) -> None:
    number, seconds = int(os.environ.get("WADDINGTON_FUZZ_CASES", "300")), os.environ.get("WADDINGTON_FUZZ_SECONDS")
    end = time.monotonic() + float(seconds or 0)
    reader = Reader()
    found: list[str] = []
    n_read = n_cases = 0
    try:
        for case, path, must_refuse in cases(tmp_path):
            result = reader.outcome(path)
            found += finding(case, result, must_refuse=must_refuse)
            n_cases, n_read = n_cases + 1, n_read + (result == "read")
            if time.monotonic() > end if seconds else n_cases >= number:
                break
    finally:
        reader.close()
    print(f"{n_cases} damaged files: {n_cases - n_read - len(found)} refused, {n_read} read and sound")
    assert not found, "\n".join(found)
    assert seconds or 0 < n_read < n_cases


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, resource.RLIM_INFINITY))
    for request in sys.stdin:
        print(" ".join(outcome(Path(request.rstrip("\n"))).split()), flush=True)
