"""A data set is found in each of its forms, checked, fetched whole or not at all, and missed with advice."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from waddington.bench.datasets import DataFile, DataSet, Form, data_root, download, find, get_data_set
from waddington.bench.datasets.__main__ import main
from waddington.bench.datasets.published import PUBLISHED
from waddington.bench.datasets.source import read_file
from waddington.errors import DataError, UnknownNameError

CONTENT = b"first \nsecond\n"


def data_set(source: Path | None = None, content: bytes = CONTENT, **settings: object) -> DataSet:
    url = f"{source.as_uri()}" if source else ""
    file = DataFile(name="text", checksums=(hashlib.sha256(content).hexdigest(),), url=url)
    return DataSet(
        name="small",
        page="https://example.org/small",
        forms=(Form(name="plain", folders=("small", "other/place"), files=(replace(file, **settings),)),),
    )


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("place", ["small/text", "small/text.gz", "other/place/text"])
def test_a_file_is_found_where_it_may_lie_plain_or_packed(tmp_path: Path, place: str) -> None:
    path = put(tmp_path / place, gzip.compress(CONTENT) if place.endswith(".gz") else CONTENT)
    form, paths = find(data_set(), tmp_path)
    assert paths == {"text": path}
    assert read_file(form.files[0], path) == CONTENT


def test_what_is_missing_is_said_with_places_page_and_command(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"text in small/ or other/place/ .plain.. Get it from https://example.org/small$"
    ):
        find(data_set(), tmp_path)
    source = put(tmp_path / "source", CONTENT)
    with pytest.raises(DataError, match=r"or by `python -m waddington.bench.datasets small`"):
        find(data_set(source), tmp_path)


def test_the_root_is_the_argument_or_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WADDINGTON_DATA", str(tmp_path / "nowhere"))
    assert data_root(tmp_path) == tmp_path
    with pytest.raises(DataError, match=r"nowhere: it is no folder"):
        data_root()
    monkeypatch.delenv("WADDINGTON_DATA")
    with pytest.raises(DataError, match=r"'small' is not at hand: .*WADDINGTON_DATA is not set"):
        find(data_set())


def test_another_content_is_refused(tmp_path: Path) -> None:
    wrong = put(tmp_path / "small" / "text", b"first\nsecond\n")
    file = data_set().forms[0].files[0]
    with pytest.raises(DataError, match=f"its checksum is .*; accepted is {file.checksums[0]}; fetch it again"):
        read_file(file, wrong)
    torn = put(tmp_path / "text.gz", gzip.compress(CONTENT)[:-5])
    with pytest.raises(DataError, match="its gzip is damaged"):
        read_file(file, torn)


def test_any_of_several_checksums_is_accepted_md5_too(tmp_path: Path) -> None:
    path = put(tmp_path / "text", CONTENT)
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert read_file(DataFile(name="text", checksums=("0" * 64, md5)), path) == CONTENT


def test_blanks_at_line_ends_do_not_count_in_a_loose_file(tmp_path: Path) -> None:
    file = DataFile(name="text", checksums=(hashlib.sha256(b"first\nsecond\n").hexdigest(),), loose=True)
    for content in (b"first\nsecond\n", b"first \nsecond", b"first\r\nsecond \n"):
        read_file(file, put(tmp_path / "text", content))
    with pytest.raises(DataError):
        read_file(file, put(tmp_path / "text", b" first\nsecond\n"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_download_is_whole_checked_and_not_repeated(tmp_path: Path, packed: bool) -> None:
    source = put(tmp_path / "source" / ("text.gz" if packed else "text"), gzip.compress(CONTENT) if packed else CONTENT)
    wanted = data_set(source)
    (path,) = download(wanted, tmp_path)
    assert path == tmp_path / "small" / source.name
    source.unlink()
    assert download(wanted, tmp_path) == [path]
    assert read_file(wanted.forms[0].files[0], path) == CONTENT


def test_a_download_of_something_else_leaves_nothing(tmp_path: Path) -> None:
    source = put(tmp_path / "source" / "text", b"an error page")
    with pytest.raises(DataError, match="its checksum is"):
        download(data_set(source), tmp_path)
    source.unlink()
    with pytest.raises(DataError, match="cannot fetch file:"):
        download(data_set(source), tmp_path)
    assert not (tmp_path / "small").exists()


def test_what_has_no_checksum_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"publishes no files with checksums; get it from https://gluebenchmark.com"):
        download(get_data_set("glue/QQP"), tmp_path)


def test_the_command_lists_fetches_and_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    source = put(tmp_path / "source" / "text", CONTENT)
    monkeypatch.setitem(PUBLISHED, "small", data_set(source))
    monkeypatch.setenv("WADDINGTON_DATA", str(tmp_path))
    assert main(["small"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "small" / "text")
    assert main([]) == 0
    assert "at hand (plain)" in capsys.readouterr().out
    assert main(["smal"]) == 2
    assert "Did you mean 'small'?" in capsys.readouterr().err


def test_every_published_set_says_where_it_lies_and_where_to_get_it() -> None:
    for name, one in PUBLISHED.items():
        assert one.name == name
        assert one.about
        assert one.page.startswith("https://")
        for form in one.forms:
            assert form.folders
            assert all(len(checksum) in (32, 64) for file in form.files for checksum in file.checksums)
    with pytest.raises(UnknownNameError, match="Did you mean 'mnist'"):
        get_data_set("mnits")
