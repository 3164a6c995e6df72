"""What a store reads its bytes through: verified once, few bytes after, few descriptors."""

from __future__ import annotations

import gc
import math
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria.chunkstore.committed import ArrayFiles
from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.sources import local as sources
from memoria.chunkstore.sources.local import LocalSource, NotAFileError, Span
from memoria.chunkstore.spec import ArraySpec
from memoria.errors import DamageError, StorageError

WIDE = ArraySpec("vectors", "f4", (64,), 4, 16, math.nan)
LOG = ArraySpec("log/ids", "i8", (), 8, None, -1)
SPECS = [WIDE, LOG]
ROWS = 100


class Counting(LocalSource):
    """Counts the bytes that were read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.bytes = 0

    def read_many(self, spans: Sequence[Span]) -> list[bytes]:
        self.bytes += sum(length for _, _, length in spans)
        return super().read_many(spans)


def content(spec: ArraySpec, rows: int = ROWS) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).integers(0, 99, (rows, *spec.row_shape)).astype(spec.np_dtype)


def made(path: Path, rows: int = ROWS) -> Path:
    files = StoreFiles.create(path, SPECS, {})
    for spec in SPECS:
        files.append(spec.name, content(spec, rows))
    files.commit()
    files.close()
    return path


def gathered(files: ArrayFiles, spec: ArraySpec, rows: Sequence[int]) -> np.ndarray[Any, Any]:
    out = spec.empty(len(rows))
    order = np.argsort(rows, kind="stable")
    files.gather(np.asarray(rows, np.int64)[order], order, out)
    return out


def read(files: ArrayFiles, spec: ArraySpec, start: int, stop: int) -> np.ndarray[Any, Any]:
    out = spec.empty(stop - start)
    files.read(start, stop, out)
    return out


def flip(file: Path, at: int) -> None:
    raw = bytearray(file.read_bytes())
    raw[at] ^= 1
    with open(file, "r+b") as handle:  # in place: the same file
        handle.write(raw)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_rows_of_a_verified_chunk_are_read_alone(tmp_path: Path, spec: ArraySpec) -> None:
    source = Counting(made(tmp_path / "s"))
    files, rows = ArrayFiles(source, spec), [97, 3, 50, 4, 3]
    np.testing.assert_array_equal(gathered(files, spec, rows), content(spec)[rows])
    chunks = len({row // spec.chunk_rows for row in rows})
    assert source.bytes >= chunks * spec.chunk_bytes
    source.bytes = 0
    np.testing.assert_array_equal(gathered(files, spec, rows), content(spec)[rows])
    assert source.bytes == 4 * spec.row_bytes  # 3 and its neighbour in one go
    source.bytes = 0
    np.testing.assert_array_equal(read(files, spec, 3, 5), content(spec)[3:5])
    length = spec.chunk_bytes + 4
    apart = 3 // spec.chunk_rows != 4 // spec.chunk_rows
    assert source.bytes == (length - 3 * spec.row_bytes + spec.row_bytes if apart else 16)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_order_of_reading_gives_the_rows(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = made(tmp_path_factory.mktemp("any") / "s")
    source = LocalSource(path)
    for spec in SPECS:
        files, expected = ArrayFiles(source, spec), content(spec)
        for _ in range(data.draw(st.integers(1, 4))):
            if data.draw(st.booleans()):
                rows = data.draw(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=40))
                np.testing.assert_array_equal(gathered(files, spec, rows), expected[rows])
            else:
                a, b = sorted(data.draw(st.tuples(*[st.integers(0, ROWS)] * 2)))
                if a < b:
                    np.testing.assert_array_equal(read(files, spec, a, b), expected[a:b])
    source.close()


@pytest.mark.parametrize("way", [gathered, read])
def test_no_byte_is_given_that_was_not_verified(tmp_path: Path, way: Any) -> None:
    path = made(tmp_path / "s")
    flip(path / "vectors" / "c.1.0", 3 * (WIDE.chunk_bytes + 4) + 7)  # rows 28 to 31
    files = ArrayFiles(LocalSource(path), WIDE)
    whole = way(files, WIDE, [16, 27]) if way is gathered else way(files, WIDE, 16, 28)
    assert np.isfinite(whole).all()
    for _ in range(2):
        with pytest.raises(DamageError, match=r"c\.1\.0: checksum of chunk 3 .*'vectors'"):
            way(files, WIDE, [27, 28]) if way is gathered else way(files, WIDE, 26, 29)


@pytest.mark.parametrize("way", [gathered, read])
def test_a_file_cut_short_after_it_was_verified_is_damage(tmp_path: Path, way: Any) -> None:
    path = made(tmp_path / "s")
    files = ArrayFiles(LocalSource(path), WIDE)
    np.testing.assert_array_equal(read(files, WIDE, 0, ROWS), content(WIDE))
    os.truncate(path / "vectors" / "c.0.0", 100)
    with pytest.raises(DamageError, match="cut short"):
        way(files, WIDE, [5]) if way is gathered else way(files, WIDE, 5, 6)


def test_a_reader_keeps_the_file_that_it_opened(tmp_path: Path) -> None:
    path = made(tmp_path / "s")
    files = ArrayFiles(LocalSource(path), LOG)
    np.testing.assert_array_equal(read(files, LOG, 0, 10), content(LOG)[:10])
    other = tmp_path / "other"
    other.write_bytes(b"x" * (LOG.chunk_bytes + 4))
    os.replace(other, path / "log" / "ids" / "c.0")
    np.testing.assert_array_equal(read(files, LOG, 0, 8), content(LOG)[:8])


def test_a_file_in_the_place_of_another_is_verified_anew(tmp_path: Path) -> None:
    path = made(tmp_path / "s")
    source = LocalSource(path)
    files = ArrayFiles(source, WIDE)
    read(files, WIDE, 0, ROWS)
    file = path / "vectors" / "c.6.0"  # the tail
    copy = tmp_path / "copy"
    shutil.copy(file, copy)
    os.replace(copy, file)
    source.close()  # as if there were too few descriptors
    np.testing.assert_array_equal(gathered(files, WIDE, [99, 96]), content(WIDE)[[99, 96]])
    shutil.copy(file, copy)
    flip(copy, 5)
    os.replace(copy, file)
    np.testing.assert_array_equal(gathered(files, WIDE, [96]), content(WIDE)[[96]])
    source.close()
    with pytest.raises(DamageError, match=r"c\.6\.0: checksum of chunk 0"):
        gathered(files, WIDE, [96])
    file.unlink()
    source.close()
    with pytest.raises(DamageError, match=r"c\.6\.0: missing"):
        gathered(files, WIDE, [96])


def test_a_file_that_never_stays_the_same_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = LocalSource(made(tmp_path / "s"))
    files = ArrayFiles(source, LOG)
    read(files, LOG, 0, 8)
    count = iter(range(1000))
    monkeypatch.setattr(sources, "_identity", lambda status: (next(count),))

    def read_many(spans: Sequence[Span]) -> list[bytes]:
        source.close()
        return sources.read_spans(spans)

    monkeypatch.setattr(source, "read_many", read_many)
    with pytest.raises(StorageError, match="changes while it is read"):
        read(files, LOG, 0, 8)


def test_a_writer_sees_its_tail_grow(tmp_path: Path) -> None:
    files = StoreFiles.open(made(tmp_path / "s", 0), "r+")
    for end in range(7, ROWS, 7):
        for spec in SPECS:
            files.append(spec.name, content(spec)[end - 7 : end])
        files.commit()
        for spec in SPECS:
            np.testing.assert_array_equal(files.read(spec.name), content(spec)[:end])
            rows = np.array([end - 1, 0, end // 2])
            np.testing.assert_array_equal(files.gather(spec.name, rows), content(spec)[rows])
    files.close()


def test_damage_of_a_tail_read_before_is_not_written_anew(tmp_path: Path) -> None:
    path = made(tmp_path / "s", 18)
    files = StoreFiles.open(path, "r+")
    files.read("vectors")
    flip(path / "vectors" / "c.1.0", 5)
    files.append("vectors", content(WIDE)[:1])
    with pytest.raises(DamageError, match=r"c\.1\.0: checksum"):
        files.commit()
    files.close()


def test_descriptors_are_few_and_given_back(tmp_path: Path) -> None:
    def held() -> int:
        return len(os.listdir("/proc/self/fd"))

    path = made(tmp_path / "s")
    gc.collect()  # what other tests left open
    before = held()
    source = LocalSource(path)
    source._most = 3
    files = ArrayFiles(source, LOG)
    for _ in range(2):
        np.testing.assert_array_equal(read(files, LOG, 0, ROWS), content(LOG))
        assert held() <= before + 3
    source.close()
    assert held() == before
    files = ArrayFiles(LocalSource(path), LOG)
    read(files, LOG, 0, ROWS)
    del files
    opened = StoreFiles.open(path)
    opened.read("vectors")
    opened.close()
    gc.collect()
    assert held() == before


def test_open_stores_share_what_a_process_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gc.collect()  # sources that other tests left open
    paths = [made(tmp_path / name) for name in ("a", "b")]
    monkeypatch.setattr("resource.getrlimit", lambda _: (40, 40))
    first, second = (LocalSource(path) for path in paths)
    for source in (first, second, first):
        read(ArrayFiles(source, LOG), LOG, 0, ROWS)
        assert len(source._held) == max(8, 20 // len(sources._open_sources))
    assert len(first._held) + len(second._held) <= 20


def test_threads_share_few_descriptors(tmp_path: Path) -> None:
    source = LocalSource(made(tmp_path / "s", 400))
    source._most = 2
    expected = {spec.name: content(spec, 400) for spec in SPECS}
    wrong: list[str] = []

    def work(spec: ArraySpec, seed: int) -> None:
        rng, files = np.random.default_rng(seed), ArrayFiles(source, spec)
        for _ in range(60):
            rows = rng.integers(0, 400, 20).tolist()
            if not np.array_equal(gathered(files, spec, rows), expected[spec.name][rows]):
                wrong.append(spec.name)

    threads = [threading.Thread(target=work, args=(SPECS[k % 2], k)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(source._held) <= 2


def test_a_process_with_few_descriptors_reads_everything(tmp_path: Path) -> None:
    path = made(tmp_path / "s", 2000)
    code = (
        "import resource, sys, numpy as np;"
        "from memoria.chunkstore.files import StoreFiles;"
        "files = StoreFiles.open(sys.argv[1]);"
        "soft = len(__import__('os').listdir('/proc/self/fd')) + 4;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft));"
        "rows = np.random.default_rng(0).integers(0, 2000, 400);"
        "[files.gather('vectors', rows) for _ in range(3)];"
        "print(len(files.read('log/ids')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "2000\n", done.stderr


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    source = LocalSource(tmp_path)
    kinds = {name: entry.kind for name, entry in source.entries("").items()}
    assert kinds == {"folder": "directory", "link": "link", "pipe": "other"}
    for name in kinds:
        with pytest.raises(NotAFileError):
            source.open(name)
    with pytest.raises(FileNotFoundError):
        source.open("nothing")
