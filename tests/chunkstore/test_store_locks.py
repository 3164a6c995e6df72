"""One writer, many readers, across processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.locks import ReaderLease, WriterLock, exclusive_lease
from memoria.chunkstore.spec import ArraySpec
from memoria.errors import DamageError, StateError, StorageError, StoreLockedError

SPEC = ArraySpec("log/ids", "i8", (), 4, None, -1)
HOLDER = """
import sys
from memoria.chunkstore.files import StoreFiles
store = StoreFiles.open(sys.argv[1], sys.argv[2])
print("open", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    StoreFiles.create(tmp_path / "store", [SPEC], {}).close()
    return tmp_path / "store"


def hold(path: Path, mode: str) -> subprocess.Popen[str]:
    """Another process that has the store open until it is ended."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    return child


def end(child: subprocess.Popen[str], with_signal: int = signal.SIGKILL) -> None:
    child.send_signal(with_signal)
    child.communicate()


def test_a_second_writer_is_told_who_holds_the_store(path: Path) -> None:
    child = hold(path, "r+")
    try:
        with pytest.raises(StoreLockedError) as caught:
            StoreFiles.open(path, "r+")
        assert caught.value.exit_code == 11
        note = json.loads((path / ".lock").read_text())
        assert note["pid"] == child.pid
        assert note["host"] == os.uname().nodename
        for part in (str(path), str(child.pid), note["host"], note["since"]):
            assert part in str(caught.value)
        StoreFiles.open(path, "r").close()
    finally:
        end(child)
    assert (path / ".lock").read_text() != ""  # the dead process' note is still there
    StoreFiles.open(path, "r+").close()  # and taken over
    assert (path / ".lock").read_text() == ""


def test_the_same_process_cannot_write_twice(path: Path) -> None:
    store = StoreFiles.open(path, "r+")
    for _ in range(2):
        with pytest.raises(StoreLockedError, match=str(os.getpid())):
            StoreFiles.open(path, "r+")
    store.append("log/ids", [1])
    store.commit()
    store.close()
    StoreFiles.open(path, "r+").close()


def test_a_new_store_is_locked_by_its_creator(tmp_path: Path) -> None:
    store = StoreFiles.create(tmp_path / "store", [SPEC], {})
    with pytest.raises(StoreLockedError):
        StoreFiles.open(tmp_path / "store", "r+")
    store.close()


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"pid": "x"}', "\x00\xff" * 5000, "[" * 4000])
def test_an_unreadable_note_still_says_locked(path: Path, text: str) -> None:
    store = StoreFiles.open(path, "r+")
    (path / ".lock").write_text(text)
    with pytest.raises(StoreLockedError, match="another process"):
        StoreFiles.open(path, "r+")
    (path / ".lock").write_text('{"pid": 1, "host": "a\\u001b[31m\\nb", "since": "now"}')
    with pytest.raises(StoreLockedError) as caught:
        StoreFiles.open(path, "r+")
    assert str(caught.value).isprintable()
    store.close()


def test_a_failed_open_gives_the_lock_back(path: Path) -> None:
    sound = (path / "zarr.json").read_bytes()
    (path / "zarr.json").write_bytes(b"?")
    with pytest.raises(DamageError):
        StoreFiles.open(path, "r+")
    (path / "zarr.json").write_bytes(sound)
    StoreFiles.open(path, "r+").close()


def test_readers_share_the_lease_and_keep_the_writer_from_collecting(path: Path) -> None:
    child = hold(path, "r")
    mine = ReaderLease.take(path)
    assert mine is not None
    assert exclusive_lease(path) is None
    mine.release()
    assert exclusive_lease(path) is None
    end(child)
    lease = exclusive_lease(path)
    assert lease is not None
    with lease:
        assert exclusive_lease(path) is None
    again = ReaderLease.take(path)
    assert again is not None
    again.release()


def test_a_store_without_a_lease_file_is_still_read(path: Path) -> None:
    (path / ".lease").unlink()
    StoreFiles.open(path, "r").close()
    assert not (path / ".lease").exists()
    assert ReaderLease.take(path) is None
    assert exclusive_lease(path) is not None


def test_a_lock_that_cannot_be_made_is_a_storage_error(path: Path) -> None:
    (path / ".lock").unlink()
    (path / ".lock").mkdir()
    with pytest.raises(StorageError, match="cannot lock"):
        WriterLock(path)
    (path / ".lock").rmdir()
    (path / ".lock").symlink_to(path / "elsewhere")
    with pytest.raises(DamageError, match="symbolic link"):
        WriterLock(path)
    assert not (path / "elsewhere").exists()


def test_a_forked_child_cannot_commit_nor_unlock(path: Path) -> None:
    store = StoreFiles.open(path, "r+")
    store.append("log/ids", [1, 2])
    child = os.fork()
    if child == 0:  # pragma: no cover
        code = 1
        try:
            store.commit()
        except StateError:
            store.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with pytest.raises(StoreLockedError):
        StoreFiles.open(path, "r+")
    store.commit()
    assert store.committed_rows("log/ids") == 2
    store.close()
