"""Stores read out of a zip: the same answers, and nothing odd is taken."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.sources.zip import ZipSource
from memoria.errors import DamageError, MemoriaError, StorageError, StoreNotFoundError, UsageError
from memoria.store import MemoryStore
from memoria.store.reading import open_files

SAMPLES = Path(__file__).parents[2] / "stores" / "samples"
SAMPLE = SAMPLES / "sound" / "long-term-and-forgotten"
DATE = (1980, 1, 1, 0, 0, 0)


def info(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name, DATE)
    made.create_system, made.external_attr = 3, 0o100644 << 16
    return made


def packed(target: Path, store: Path = SAMPLE, wide: bool = False) -> Path:
    """The store's files in a zip, as an export writes them; ``wide``: with zip64 sizes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(path for path in store.rglob("*") if path.is_file()):
            with archive.open(info(str(file.relative_to(store))), "w", force_zip64=wide) as entry:
                entry.write(file.read_bytes())
    return target


def everything(path: Path) -> dict[str, list[object]]:
    files = StoreFiles.open(path)
    try:
        return {name: files.read(name).tolist() for name in files.names()}
    finally:
        files.close()


@pytest.mark.parametrize("wide", [False, True])
def test_a_zip_reads_like_its_directory(tmp_path: Path, wide: bool) -> None:
    for sample in sorted(path for path in (SAMPLES / "sound").iterdir() if path.is_dir()):
        archive = packed(tmp_path / f"{sample.name}.memoria.zip", sample, wide)
        assert repr(everything(archive)) == repr(everything(sample))
        with MemoryStore.open(archive) as here, MemoryStore.open(sample) as there:
            assert here.digest() == there.digest()
            cue = np.ones((here.config.lanes, 1, here.config.hidden_dim), np.float32)
            asked, expected = here.peek(cue), there.peek(cue)
            assert asked.ids.tolist() == expected.ids.tolist()
            assert asked.texts == expected.texts


def test_verbs_that_read_take_a_zip(tmp_path: Path, cli: Cli) -> None:
    archive = packed(tmp_path / "life.memoria.zip")
    shown = cli.ok("inspect", archive, "--json").json
    expected = cli.ok("inspect", SAMPLE, "--json").json
    assert shown["path"] == str(archive)
    assert shown["bytes"] == archive.stat().st_size
    for key in ("digest", "step", "lanes", "engrams"):
        assert shown[key] == expected[key]
    before = archive.read_bytes()
    refused = cli("remind", archive)
    assert refused.code == 2
    assert "memoria import" in refused.err
    assert refused.err.count("\n") == 1
    assert archive.read_bytes() == before


def test_an_archive_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="memoria import"):
        MemoryStore.open(packed(tmp_path / "x.memoria.zip"), "r+")


def test_a_link_to_an_archive_is_followed(tmp_path: Path) -> None:
    packed(tmp_path / "x.memoria.zip")
    (tmp_path / "link.zip").symlink_to("x.memoria.zip")
    open_files(tmp_path / "link.zip").close()


def test_what_is_no_archive_of_a_memory_is_said_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr(info("readme.txt"), "hello")
    with pytest.raises(StoreNotFoundError, match="not of a memory"):
        open_files(tmp_path / "other.zip")
    (tmp_path / "text.zip").write_text("no zip at all, but long enough to hold an end record")
    with pytest.raises(DamageError, match="no end of a zip"):
        open_files(tmp_path / "text.zip")
    (tmp_path / "empty.zip").write_bytes(b"")
    with pytest.raises(DamageError, match="too short"):
        open_files(tmp_path / "empty.zip")
    with pytest.raises(StoreNotFoundError):
        open_files(tmp_path / "nothing.zip")


def written(tmp_path: Path, *entries: tuple[zipfile.ZipInfo, bytes]) -> Path:
    """The sample's archive with further entries."""
    archive = packed(tmp_path / "x.zip")
    with zipfile.ZipFile(archive, "a") as zip_:
        for one, content in entries:
            zip_.writestr(one, content)
    return archive


@pytest.mark.parametrize(
    "name",
    [
        *(
            "/etc/passwd",
            "../up",
            "log/../up",
            "a//b",
            "back\\slash",
            "C:x",
            "über",
            "a/./b",
            "./a",
        ),
        *("a\x07b", "log/ids", "vectors/c.0.0/x", "a/" * 300 + "b", "a" * 641),
    ],
)
def test_names_that_leave_the_store_are_refused(tmp_path: Path, name: str) -> None:
    one = info("placeholder")
    one.filename = name
    with pytest.raises(DamageError, match="not an archive of a memory"):
        open_files(written(tmp_path, (one, b"x")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DamageError, match=r"'zarr\.json' is there twice"):
        open_files(written(tmp_path, (info("zarr.json"), b"{}")))


def test_links_and_compressed_entries_are_refused(tmp_path: Path) -> None:
    link = info("link")
    link.external_attr = 0o120777 << 16
    with pytest.raises(DamageError, match="'link' is no plain file"):
        open_files(written(tmp_path, (link, b"/etc/passwd")))
    small = info("bomb")
    small.compress_type = zipfile.ZIP_DEFLATED
    with pytest.raises(DamageError, match="'bomb' is compressed"):
        open_files(written(tmp_path, (small, bytes(10**6))))


def test_too_many_directories_are_refused(tmp_path: Path) -> None:
    many = [(info(f"d{k}/x"), b"") for k in range(1100)]
    with pytest.raises(DamageError, match="directories"):
        open_files(written(tmp_path, *many))


class Raw:
    """The bytes of an archive, and where its records begin."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = bytearray(path.read_bytes())
        self.end = len(self.data) - 22
        self.central = struct.unpack_from("<L", self.data, self.end + 16)[0]
        self.count = struct.unpack_from("<H", self.data, self.end + 10)[0]

    def set(self, at: int, layout: str, value: int) -> None:
        struct.pack_into(layout, self.data, at, value)


CHANGES: dict[str, Callable[[Raw], None]] = {
    "encrypted": lambda raw: raw.set(raw.central + 8, "<H", 1),
    "streamed": lambda raw: raw.set(raw.central + 8, "<H", 8),
    "method": lambda raw: raw.set(raw.central + 10, "<H", 14),
    "packed size": lambda raw: raw.set(raw.central + 20, "<L", 7),
    "huge size": lambda raw: (
        raw.set(raw.central + 20, "<L", 2**32 - 2),
        raw.set(raw.central + 24, "<L", 2**32 - 2),
    )[0],
    "size without a field": lambda raw: raw.set(raw.central + 24, "<L", 2**32 - 1),
    "header elsewhere": lambda raw: raw.set(raw.central + 42, "<L", 2**31),
    "header on another": lambda raw: raw.set(raw.central + 42, "<L", 100),
    "another disk": lambda raw: raw.set(raw.central + 34, "<H", 1),
    "name over the end": lambda raw: raw.set(raw.central + 28, "<H", 65000),
    "comment": lambda raw: raw.set(raw.end + 20, "<H", 5),
    "entries": lambda raw: raw.set(raw.end + 10, "<H", raw.count + 1),
    "all entries": lambda raw: (
        raw.set(raw.end + 8, "<H", 60000),
        raw.set(raw.end + 10, "<H", 60000),
    )[0],
    "directory size": lambda raw: raw.set(raw.end + 12, "<L", 2**31),
    "directory offset": lambda raw: raw.set(raw.end + 16, "<L", 2**31),
    "zip64 without": lambda raw: raw.set(raw.end + 16, "<L", 2**32 - 1),
    "no signature": lambda raw: raw.set(raw.central, "<L", 0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_directory_that_does_not_fit_is_refused(tmp_path: Path, change: str) -> None:
    raw = Raw(packed(tmp_path / "x.zip"))
    CHANGES[change](raw)
    raw.path.write_bytes(raw.data)
    with pytest.raises(DamageError, match="not an archive of a memory") as raised:
        open_files(raw.path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("at", "layout"), [(0, "<L"), (6, "<H"), (8, "<H"), (18, "<L"), (22, "<L"), (26, "<H")]
)
def test_a_file_must_be_what_the_directory_says(tmp_path: Path, at: int, layout: str) -> None:
    raw = Raw(packed(tmp_path / "x.zip"))
    with zipfile.ZipFile(raw.path) as archive:
        header = archive.getinfo("zarr.json").header_offset
    raw.set(header + at, layout, 5)
    raw.path.write_bytes(raw.data)
    with pytest.raises(DamageError, match=r"'zarr\.json' is not what the directory says"):
        open_files(raw.path)


def test_a_hole_in_the_header_pushes_no_file_over_the_next(tmp_path: Path) -> None:
    raw = Raw(packed(tmp_path / "x.zip"))
    with zipfile.ZipFile(raw.path) as archive:
        header = archive.getinfo("log/ids/c.0").header_offset
    raw.set(header + 28, "<H", 40)  # an extra field that is not there
    raw.path.write_bytes(raw.data)
    with pytest.raises(DamageError, match=r"'log/ids/c\.0' is not what"):
        everything(raw.path)


def test_a_zip64_directory_is_read(tmp_path: Path) -> None:
    raw = Raw(packed(tmp_path / "x.zip"))
    end = bytes(raw.data[raw.end :])
    wide = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, raw.count, raw.count,
        raw.end - raw.central, raw.central,
    )  # fmt: skip
    place = struct.pack("<4sLQL", b"PK\6\7", 0, raw.end, 1)
    full = end[:8] + struct.pack("<2H2LH", 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    raw.path.write_bytes(raw.data[: raw.end] + wide + place + full)
    assert repr(everything(raw.path)) == repr(everything(SAMPLE))
    for entries in (2**60, 2**18 + 1, 0):
        bad = struct.pack(
            "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries,
            raw.end - raw.central, raw.central,
        )  # fmt: skip
        raw.path.write_bytes(raw.data[: raw.end] + bad + place + full)
        with pytest.raises(DamageError):
            open_files(raw.path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_flipped_and_cut_archives_give_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    archive = packed(folder / "x.zip", SAMPLES / "sound" / "tutorial-two-lanes")
    expected = repr(everything(archive))
    raw = bytearray(archive.read_bytes())
    headers = len(raw) - 6000
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.one_of(st.integers(0, len(raw) - 1), st.integers(headers, len(raw) - 1)))
        raw[at] = data.draw(st.integers(0, 255))
    if data.draw(st.integers(0, 3)) == 0:
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    archive.write_bytes(raw)
    try:
        found, said = repr(everything(archive)), ""
    except MemoriaError as error:
        found, said = expected, str(error)
    assert (found, "\n" in said) == (expected, False)
    shutil.rmtree(folder)


def test_an_archive_replaced_while_open_is_read_to_the_end_or_said_so(tmp_path: Path) -> None:
    archive = packed(tmp_path / "x.zip")
    source = ZipSource(archive)
    files = StoreFiles.open(source)
    before = files.read("log/ids").tolist()
    other = packed(tmp_path / "y.zip")
    os.replace(other, archive)
    assert files.read("log/ids").tolist() == before
    source.close()  # as if its descriptor was needed elsewhere
    with pytest.raises(StorageError, match=r"x\.zip"):
        files.read("log/ids")
    files.close()


def test_the_tests_pack_as_python_does(tmp_path: Path) -> None:
    archive = packed(tmp_path / "x.zip")
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as zip_:
        assert zip_.testzip() is None
        assert json.loads(zip_.read("zarr.json"))["node_type"] == "group"
