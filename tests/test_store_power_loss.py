"""The power goes: what was not fsynced may be gone, in any combination. Commits survive it.

The operations of some commits are recorded, then cut off at every point. Names changed since
their directory's last fsync survive or not, contents written since their file's last fsync are
whole, cut or empty. Leaving out any one group of fsyncs must break a store, or the test is blind.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from test_store_commit import RecordingDisk, advance, check, new_store

from memoria.errors import MemoriaError
from memoria.store.files import StoreFiles

Operation = tuple[str, str, bytes | str]
STEPS = (2, 3)


class ContentDisk(RecordingDisk):
    """Records contents and acknowledgements too."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.operations: list[Operation] = []

    def note(self, operation: str, path: Path) -> None:
        if operation not in ("write", "rename"):
            self._keep(operation, path, b"")

    def write_file(self, path: Path, parts: Sequence[Any]) -> int:
        self._keep("write", path, b"".join(bytes(memoryview(p).cast("B")) for p in parts))
        return super().write_file(path, parts)

    def rename(self, source: Path, target: Path) -> None:
        self._keep("rename", source, target.relative_to(self.root).as_posix())
        super().rename(source, target)

    def _keep(self, operation: str, path: Path, extra: bytes | str) -> None:
        with self._guard:
            self.operations.append((operation, path.relative_to(self.root).as_posix(), extra))


class File:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.durable = False


class Machine:
    """Directories as they are in memory, and how each has changed since it was last fsynced."""

    def __init__(self, base: Path) -> None:
        self.memory: dict[str, dict[str, File | None]] = {}
        self.durable: dict[str, dict[str, File | None]] = {}  # None is a directory
        self.pending: dict[str, list[list[tuple[str, File | None, bool]]]] = {}
        for folder in [base, *(p for p in base.rglob("*") if p.is_dir())]:
            entries: dict[str, File | None] = {}
            for path in folder.iterdir():
                entries[path.name] = None if path.is_dir() else File(path.read_bytes())
                if path.is_file():
                    entries[path.name].durable = True  # type: ignore[union-attr]
            key = folder.relative_to(base).as_posix()
            self.memory[key], self.durable[key] = dict(entries), dict(entries)
            self.pending[key] = []

    def apply(self, operation: str, path: str, extra: bytes | str) -> None:
        place = PurePosixPath(path)
        folder, name = place.parent.as_posix(), place.name
        if operation == "write":
            self._change(folder, [(name, File(bytes(extra)), True)])  # type: ignore[arg-type]
        elif operation == "fsync":
            file = self.memory[folder][name]
            assert file is not None
            file.durable = True
        elif operation == "rename":
            target = PurePosixPath(str(extra)).name
            file = self.memory[folder][name]
            self._change(folder, [(name, None, False), (target, file, True)])
        elif operation == "mkdir":
            self._change(folder, [(name, None, True)])
            self.memory[path], self.durable[path], self.pending[path] = {}, {}, []
        elif operation in ("remove", "rmdir"):
            self._change(folder, [(name, None, False)])
        elif operation == "fsync_dir":
            self.durable[path] = dict(self.memory[path])
            self.pending[path] = []

    def crash(self, target: Path, rng: random.Random, survival: float) -> None:
        """Write to ``target`` what may be found after the power is back."""
        self._materialise(".", target, rng, survival)

    def _change(self, folder: str, changes: list[tuple[str, File | None, bool]]) -> None:
        _alter(self.memory[folder], changes)
        self.pending[folder].append(changes)

    def _materialise(self, key: str, target: Path, rng: random.Random, survival: float) -> None:
        target.mkdir()
        entries = dict(self.durable[key])
        for changes in self.pending[key]:
            if rng.random() < survival:
                _alter(entries, changes)
        for name, file in entries.items():
            if file is None:
                below = name if key == "." else f"{key}/{name}"
                self._materialise(below, target / name, rng, survival)
            else:
                kept = len(file.content)
                if not file.durable and rng.random() >= survival:
                    kept = rng.choice((0, kept // 2))
                (target / name).write_bytes(file.content[:kept])


def _alter(entries: dict[str, File | None], changes: list[tuple[str, File | None, bool]]) -> None:
    for name, file, there in changes:
        if there:
            entries[name] = file
        else:
            entries.pop(name, None)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Operation]]:
    """A store at step 1, and the operations of two commits after it."""
    folder = tmp_path_factory.mktemp("power")
    path = folder / "store"
    new_store(path)
    store = StoreFiles.open(path, "r+")
    advance(store, 1)
    store.commit({"step": 1})
    store.close()
    shutil.copytree(path, folder / "base")
    disk = ContentDisk(path)
    store = StoreFiles.open(path, "r+", disk=disk)
    for step in STEPS:
        advance(store, step)
        store.commit({"step": step})
        disk.operations.append(("acknowledge", str(step), b""))
    store.close()
    return folder / "base", disk.operations


def failures(base: Path, operations: list[Operation], target: Path) -> list[str]:
    """Cut the power after every operation, in several ways; what went wrong."""
    found = []
    for cut in range(len(operations) + 1):
        for survival in (0.0, 0.5, 0.9, 1.0):
            machine = Machine(base)
            acknowledged = 1
            for operation, path, extra in operations[:cut]:
                if operation == "acknowledge":
                    acknowledged = int(path)
                else:
                    machine.apply(operation, path, extra)
            machine.crash(target, random.Random(cut), survival)
            try:
                step = check(target, with_zarr=False)
                if not acknowledged <= step <= acknowledged + 1:
                    found.append(f"{cut}: step {step}, {acknowledged} was acknowledged")
            except (MemoriaError, AssertionError) as error:
                found.append(f"{cut}: {error}")
            shutil.rmtree(target)
    return found


def test_a_commit_survives_the_loss_of_power(
    recorded: tuple[Path, list[Operation]], tmp_path: Path
) -> None:
    base, operations = recorded
    assert len(operations) > 60
    assert failures(base, operations, tmp_path / "after") == []


@pytest.mark.parametrize(
    "dropped",
    [
        pytest.param(lambda op, path: op == "fsync" and "c." in path, id="chunks"),
        pytest.param(lambda op, path: op == "fsync" and path == "zarr.json.tmp", id="root"),
        pytest.param(lambda op, path: op == "fsync_dir" and path != ".", id="directories"),
        pytest.param(lambda op, path: op == "fsync_dir" and path == ".", id="root directory"),
    ],
)
def test_every_group_of_fsyncs_is_needed(
    recorded: tuple[Path, list[Operation]], tmp_path: Path, dropped: Callable[[str, str], bool]
) -> None:
    base, operations = recorded
    left = [operation for operation in operations if not dropped(*operation[:2])]
    assert len(left) < len(operations)
    assert failures(base, left, tmp_path / "after")
