"""Commits: in the order that survives a crash, all or nothing, and durable once acknowledged."""

from __future__ import annotations

import errno
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from fault_disks import RecordingDisk

from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.spec import ArraySpec
from memoria.errors import DamageError, StateError, StorageError

VECTORS = ArraySpec("vectors", "f4", (3,), 2, 6, math.nan)
SCALARS = ArraySpec("log/ids", "i8", (), 4, None, -1)
IDLE = ArraySpec("log/idle", "i8", (), 4, None, -1)
STATE = 9  # rows of a generation


def life(generation: int) -> ArraySpec:
    return ArraySpec(f"state/{generation}/life", "f8", (), 4, None, math.nan)


def vectors(start: int, stop: int) -> np.ndarray[Any, Any]:
    return np.arange(start * 3, stop * 3, dtype="f4").reshape(-1, 3)


def new_store(path: Path) -> None:
    store = StoreFiles.create(path, [VECTORS, SCALARS, IDLE, life(0)], {"step": 0})
    store.append("state/0/life", np.zeros(STATE))
    store.commit()
    store.close()


def advance(store: StoreFiles, step: int, generation: bool = True) -> None:
    """Stage step ``step``: five rows more of two arrays, and a new generation."""
    store.append("vectors", vectors((step - 1) * 5, step * 5))
    store.append("log/ids", np.arange((step - 1) * 5, step * 5))
    if generation:
        store.replace_group(f"state/{step}", [(life(step), np.full(STATE, float(step)))])


def check(path: Path, with_zarr: bool = True) -> int:
    """The committed step, after comparing everything with what that step must hold."""
    store = StoreFiles.open(path)
    step = int(store.attributes["step"])
    generation = max(int(name.split("/")[1]) for name in store.names() if "life" in name)
    expected = {
        "vectors": vectors(0, step * 5),
        "log/ids": np.arange(step * 5),
        "log/idle": np.arange(0),
        f"state/{generation}/life": np.full(STATE, float(generation)),
    }
    group: Any = zarr.open_group(path, mode="r") if with_zarr else None
    assert store.names() == sorted(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(store.read(name), values)
        if with_zarr:
            np.testing.assert_array_equal(group[name][...], values)
    store.close()
    return step


def positions(log: list[tuple[str, str]], operation: str, *names: str) -> list[int]:
    return [i for i, (op, name) in enumerate(log) if op == operation and name in names]


def test_a_commit_keeps_the_order_of_the_protocol(tmp_path: Path) -> None:
    path = tmp_path / "store"
    new_store(path)
    disk = RecordingDisk(path)
    store = StoreFiles.open(path, "r+", disk=disk)
    advance(store, 1)
    store.commit({"step": 1})
    disk.arm(None)
    advance(store, 2)
    assert disk.log == []
    store.commit({"step": 2})
    log = [one for one in disk.log if one[0] != "link"]  # see test_store_spares
    store.close()

    chunks = ["vectors/c.0.0", "vectors/c.1.0", "log/ids/c.1", "log/ids/c.2"]
    fresh = [f"state/2/{name}" for name in ("zarr.json", "life/zarr.json", "life/c.0")]
    fresh += ["state/2/life/c.1", "state/2/life/c.2"]
    folders = ["vectors", "log/ids", "state", "state/2", "state/2/life"]
    for name in [*(chunk + ".tmp" for chunk in chunks), *fresh, "zarr.json.tmp"]:
        (written,), (synced,) = positions(log, "write", name), positions(log, "fsync", name)
        assert written < synced
    swaps = positions(log, "rename", *chunks)
    temporary = [chunk + ".tmp" for chunk in chunks]
    assert len(swaps) == len(chunks)
    assert max(positions(log, "fsync", *temporary)) < min(swaps)
    folder_syncs = positions(log, "fsync_dir", *folders)
    assert len(folder_syncs) == len(folders)
    assert max(swaps) < min(folder_syncs)
    assert max(positions(log, "fsync", *fresh)) < min(folder_syncs)
    (switch,) = positions(log, "rename", "zarr.json")
    assert max(i for i, (op, _) in enumerate(log[:switch]) if op == "fsync") < min(folder_syncs)
    assert switch == max(folder_syncs) + 1  # after every other fsync
    assert log[switch + 1] == ("fsync_dir", ".")
    assert {op for op, _ in log[switch + 2 :]} == {"remove", "rmdir"}
    assert all(name.startswith("state/1") for _, name in log[switch + 2 :])
    assert len([op for op, _ in log if op == "write"]) == len(chunks) + len(fresh) + 1


def test_nothing_new_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store"
    new_store(path)
    disk = RecordingDisk(path)
    store = StoreFiles.open(path, "r+", disk=disk)
    store.commit()  # the root's last writer may have died before its last fsync: written again
    assert [op for op, _ in disk.log] == ["write", "fsync", "rename", "fsync_dir"]
    disk.arm(None)
    store.commit()
    store.commit({"step": 0})
    store.append("log/ids", np.zeros(0, np.int64))
    store.commit()
    store.close()
    assert disk.log == []


@pytest.mark.parametrize(
    ("code", "lasting"), [(errno.ENOSPC, False), (errno.ENOSPC, True), (errno.EIO, False)]
)
def test_a_failing_disk_leaves_the_old_state_or_the_new(
    tmp_path: Path, code: int, lasting: bool
) -> None:
    base, path = tmp_path / "base", tmp_path / "store"
    new_store(base)
    store = StoreFiles.open(base, "r+")
    advance(store, 1)
    store.commit({"step": 1})
    store.close()
    outcomes = set()
    finished = False
    place = 0
    while not finished:
        shutil.copytree(base, path)
        disk = RecordingDisk(path)
        store = StoreFiles.open(path, "r+", disk=disk)
        advance(store, 2)
        disk.arm(place, code, lasting)
        failure = None
        try:
            store.commit({"step": 2})
        except StorageError as error:
            failure = str(error)
        switched = ("rename", "zarr.json") in disk.log
        finished = len(disk.log) <= place
        disk.arm(None)
        step = check(path, with_zarr=False)
        outcomes.add((failure is None, step))
        assert step == (2 if switched else 1)
        if failure is not None:
            assert os.strerror(code) in failure
            assert str(path) in failure
            assert ("free some space" in failure) == (code == errno.ENOSPC)
        assert store.attributes == {"step": step}
        assert store.rows("log/ids") == step * 5
        if failure is not None and not lasting and not switched:  # nothing is left lying about
            assert not list(path.rglob("*.tmp"))
            assert not (path / "state" / "2").exists()
        advance(store, step + 1)  # the object is still of use
        store.commit({"step": step + 1})
        assert check(path, with_zarr=place % 4 == 0) == step + 1
        store.close()
        StoreFiles.open(path, "r+").close()
        assert not list(path.rglob("*.tmp"))
        assert len(list((path / "state").iterdir())) == 2
        shutil.rmtree(path)
        place += 1
    assert place > 30
    assert outcomes == {(False, 1), (False, 2), (True, 2)}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_failing_disk_leaves_no_half_of_a_new_store(tmp_path: Path, code: int) -> None:
    path = tmp_path / "store"
    counting = RecordingDisk(tmp_path)
    StoreFiles.create(path, [VECTORS, SCALARS], {"a": 1}, disk=counting).close()
    shutil.rmtree(path)
    assert len(counting.log) > 10
    for place in range(len(counting.log)):
        disk = RecordingDisk(tmp_path)
        disk.arm(place, code)
        with pytest.raises(StorageError, match=os.strerror(code)):
            StoreFiles.create(path, [VECTORS, SCALARS], {"a": 1}, disk=disk)
        assert list(tmp_path.iterdir()) == []
    StoreFiles.create(path, [VECTORS, SCALARS], {"a": 1}).close()
    StoreFiles.open(path, "r+").close()


def test_a_store_that_cannot_be_read_back_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store"
    new_store(path)
    disk = RecordingDisk(path)
    store = StoreFiles.open(path, "r+", disk=disk)
    advance(store, 1)
    disk.arm(0)
    sound = (path / "zarr.json").read_bytes()
    (path / "zarr.json").write_bytes(b"?")
    with pytest.raises(StorageError):
        store.commit({"step": 1})
    disk.arm(None)
    with pytest.raises(StateError, match="unusable since a failed commit"):
        store.read("vectors")
    store.close()
    (path / "zarr.json").write_bytes(sound)
    StoreFiles.open(path, "r+").close()


def test_damage_met_by_a_commit_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "store"
    new_store(path)
    store = StoreFiles.open(path, "r+")
    advance(store, 1)
    store.commit({"step": 1})
    store.close()
    tail = path / "log" / "ids" / "c.1"
    tail.write_bytes(bytes(tail.stat().st_size))
    store = StoreFiles.open(path, "r+")
    advance(store, 2)
    with pytest.raises(DamageError, match=r"c\.1.*log/ids"):
        store.commit({"step": 2})
    assert store.attributes == {"step": 1}
    assert store.rows("vectors") == 5
    store.close()


def test_a_tail_left_by_a_crash_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "store"
    new_store(path)
    disk = RecordingDisk(path)
    store = StoreFiles.open(path, "r+", disk=disk)
    store.append("log/ids", np.arange(100, 115))
    disk.arm(None)
    at = 8 + 4  # after the chunks are in place
    disk.arm(at)
    with pytest.raises(StorageError):
        store.commit({"step": 3})
    assert ("rename", "log/ids/c.0") in disk.log
    disk.arm(None)
    assert check(path) == 0
    advance(store, 1)
    store.commit({"step": 1})
    store.close()
    assert check(path) == 1


def test_a_generation_lives_as_long_as_its_readers(tmp_path: Path) -> None:
    path = tmp_path / "store"
    new_store(path)
    store = StoreFiles.open(path, "r+")
    reader = StoreFiles.open(path)
    for step in (1, 2):
        advance(store, step)
        store.commit({"step": step})
    assert sorted(p.name for p in (path / "state").iterdir()) == ["0", "1", "2", "zarr.json"]
    np.testing.assert_array_equal(reader.read("state/0/life"), np.zeros(STATE))
    reader.close()
    store.commit({"step": 2, "note": 1})
    assert sorted(p.name for p in (path / "state").iterdir()) == ["2", "zarr.json"]
    reader = StoreFiles.open(path)
    advance(store, 3)
    store.commit({"step": 3})
    store.close()
    reader.close()
    assert (path / "state" / "2").is_dir()
    StoreFiles.open(path, "r+").close()  # the next writer cleans up
    assert sorted(p.name for p in (path / "state").iterdir()) == ["3", "zarr.json"]
    assert check(path) == 3


def test_what_people_put_into_the_directory_stays(tmp_path: Path) -> None:
    path = tmp_path / "store"
    new_store(path)
    (path / "notes.txt").write_text("mine")
    (path / "state" / "notes").mkdir()
    (path / "log" / "12").mkdir()
    StoreFiles.open(path, "r+").close()
    assert (path / "notes.txt").exists()
    assert (path / "state" / "notes").exists()
    assert (path / "log" / "12").exists()


WRITER = """
import os
import sys
sys.path[:0] = sys.argv[2].split(os.pathsep)
import numpy as np
import test_store_commit as t
store = t.StoreFiles.open(sys.argv[1], "r+")
step = store.attributes["step"]
print("ready", flush=True)
while True:
    step += 1
    t.advance(store, step, generation=step % 3 == 0)
    store.commit({"step": step})
    print(step, flush=True)
"""


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "store"
    new_store(path)
    rng = random.Random(0)
    acknowledged = 0
    folders = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    for _ in range(10):
        command = [sys.executable, "-c", WRITER, str(path), folders]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        deadline = time.monotonic() + rng.uniform(0.01, 0.2)
        seen = 0
        while time.monotonic() < deadline:  # every reader on the way sees a whole state
            step = check(path, with_zarr=False)
            assert step >= seen
            seen = step
        os.kill(child.pid, signal.SIGKILL)
        lines = child.stdout.read().split("\n")[:-1]
        child.wait()
        child.stdout.close()
        acknowledged = int(lines[-1]) if lines else acknowledged
        step = check(path)
        assert acknowledged <= step <= acknowledged + 1  # the last one may not have said so
        acknowledged = step
    assert acknowledged > 10
    StoreFiles.open(path, "r+").close()
    assert not list(path.rglob("*.tmp"))
    assert len(list((path / "state").iterdir())) == 2
