"""Commits write over the files that earlier ones replaced, where nobody can miss those."""

from __future__ import annotations

import errno
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from fault_disks import RecordingDisk

from memoria.chunkstore.disk import Disk
from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.spec import ArraySpec
from memoria.errors import StorageError

IDS = ArraySpec("log/ids", "i8", (), 64, None, -1)
SHARDED = ArraySpec("vectors", "f4", (2,), 4, 32, math.nan)
TAIL = "log/ids/c.0"


def new_store(path: Path) -> Path:
    store = StoreFiles.create(path, [IDS], {"step": 0})
    advance(store, 1)
    store.close()
    return path


def advance(store: StoreFiles, commits: int) -> None:
    for _ in range(commits):
        step = store.attributes["step"] + 1
        store.append("log/ids", np.arange(3) + 3 * (step - 1))
        store.commit({"step": step})


def rows(path: Path) -> list[int]:
    store = StoreFiles.open(path)
    try:
        found: list[int] = store.read("log/ids").tolist()
        assert len(found) == 3 * store.attributes["step"]
        return found
    finally:
        store.close()


def temporary(path: Path) -> list[Path]:
    return list(path.rglob("*.tmp"))


def test_two_files_take_turns(tmp_path: Path) -> None:
    path = new_store(tmp_path / "store")
    disk = RecordingDisk(path)
    store = StoreFiles.open(path, "r+", disk=disk)
    advance(store, 1)
    assert {what for what, _ in disk.log} == {"write", "fsync", "rename", "fsync_dir"}
    advance(store, 1)
    inodes, operations = [], []
    for _ in range(4):
        disk.arm(None)
        advance(store, 1)
        operations.append([what for what, _ in disk.log])
        inodes.append([(path / name).stat().st_ino for name in (TAIL, "zarr.json")])
        assert rows(path) == list(range(3 * store.attributes["step"]))
    assert inodes[0] == inodes[2] != inodes[1] == inodes[3]
    assert all("write" not in one and one.count("overwrite") == 2 for one in operations)
    assert len(temporary(path)) == 2
    store.close()
    assert temporary(path) == []


def test_the_next_file_of_an_array_is_written_over_a_spare_one_too(tmp_path: Path) -> None:
    path = new_store(tmp_path / "store")
    store = StoreFiles.open(path, "r+")
    advance(store, 60)
    assert len(temporary(path)) == 2
    store.close()
    assert rows(path) == list(range(183))
    assert [(path / f"log/ids/c.{n}").stat().st_size for n in range(3)] == [64 * 8 + 4] * 3


def test_a_sharded_file_written_over_keeps_its_size(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = StoreFiles.create(path, [SHARDED], {})
    sizes = []
    for number in range(20):
        store.append("vectors", np.full((5, 2), number, np.float32))
        store.commit()
        tail = f"vectors/c.{(5 * number + 4) // 32}.0"
        sizes.append((path / tail).stat().st_size)
    store.close()
    length, index = 4 * 2 * 4 + 4, 8 * 16 + 4
    assert sizes[:2] == [2 * length + index, 3 * length + index]  # new files are no longer
    assert set(sizes[3:5]) == {8 * length + index}
    assert sizes[-2] == 8 * length + index
    expected = np.repeat(np.arange(20, dtype=np.float32), 5)[:, None].repeat(2, axis=1)
    np.testing.assert_array_equal(zarr.open_group(path, mode="r")["vectors"][...], expected)
    reader = StoreFiles.open(path)
    np.testing.assert_array_equal(reader.read("vectors"), expected)
    reader.close()


def test_a_shorter_file_ends_where_it_ends(tmp_path: Path) -> None:
    disk, file = Disk(), tmp_path / "file"
    for content in (b"a long content", b"short", b"a longer content"):
        os.close(
            disk.overwrite(file, [content[:3], content[3:]])
            if file.exists()
            else disk.write_file(file, [content])
        )
        assert file.read_bytes() == content


def test_what_a_reader_has_open_is_not_written_over(tmp_path: Path) -> None:
    path = new_store(tmp_path / "store")
    store = StoreFiles.open(path, "r+")
    advance(store, 4)
    reader = StoreFiles.open(path)
    files = [open(path / name, "rb") for name in (TAIL, "zarr.json")]  # noqa: SIM115
    before = [file.read() for file in files]
    advance(store, 4)
    for file, content in zip(files, before, strict=True):
        file.seek(0)
        assert file.read() == content
        file.close()
    assert reader.read("log/ids").tolist() == list(range(15))
    reader.close()
    advance(store, 4)
    store.close()
    assert rows(path) == list(range(39))


def test_a_copy_made_of_hard_links_stays_what_it_is(tmp_path: Path) -> None:
    path, copy = new_store(tmp_path / "store"), tmp_path / "copy"
    store = StoreFiles.open(path, "r+")
    advance(store, 4)
    shutil.copytree(path, copy, copy_function=os.link, ignore=shutil.ignore_patterns(".l*"))
    advance(store, 4)
    store.close()
    assert rows(copy) == list(range(15))
    assert rows(path) == list(range(27))


def test_a_second_name_of_a_committed_file_is_not_written_through(tmp_path: Path) -> None:
    """As a crash between the link and the rename leaves it, while a reader keeps it there."""
    path = new_store(tmp_path / "store")
    reader = StoreFiles.open(path)
    for name in (TAIL, "zarr.json"):
        os.link(path / name, path / f"{name}.tmp")
        os.link(path / name, path / f"{name}.old.tmp")
    disk = RecordingDisk(path)
    store = StoreFiles.open(path, "r+", disk=disk)
    disk.arm(2, errno.ENOSPC)  # both files have been written
    with pytest.raises(StorageError):
        advance(store, 1)
    assert rows(path) == [0, 1, 2]
    disk.arm(None)
    advance(store, 3)
    reader.close()
    store.close()
    assert rows(path) == list(range(12))


def test_without_links_every_file_is_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    path = new_store(tmp_path / "store")
    store = StoreFiles.open(path, "r+")
    advance(store, 4)
    assert temporary(path) == []
    store.close()
    assert rows(path) == list(range(15))


def test_a_spare_file_that_is_gone_is_not_missed(tmp_path: Path) -> None:
    path = new_store(tmp_path / "store")
    store = StoreFiles.open(path, "r+")
    advance(store, 3)
    for file in temporary(path):
        file.unlink()
    advance(store, 3)
    store.close()
    assert rows(path) == list(range(21))
