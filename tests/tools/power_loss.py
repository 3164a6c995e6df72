"""A machine whose power goes: what was not fsynced may be gone, in any combination.

Names changed since their directory's last fsync survive or not, each change by itself; contents
written since their file's last fsync are whole, cut, empty or zeros, or, where a file was written
over, of before, or the one up to the middle and the other from there. A file that is written over
is another one under all its names, those that its directory has forgotten since its last fsync too.
"""

from __future__ import annotations

import random
from pathlib import Path, PurePosixPath

from fault_disks import Operation

Tree = dict[str, bytes | None]  # path: content, or None for a directory
Change = list[tuple[str, "File | Folder | None"]]  # new entries of one directory, None: removed


class File:
    def __init__(self, content: bytes, durable: bool = False) -> None:
        self.content = content
        self.durable = durable
        self.before: bytes | None = None  # what it held when it was last durable

    def overwrite(self, content: bytes) -> None:
        assert self.durable
        self.before, self.content, self.durable = self.content, content, False

    def contents(self) -> tuple[bytes, ...]:
        """What may be found of it if it is not durable."""
        content, half, before = self.content, len(self.content) // 2, self.before
        if before is None:
            return b"", content[:half], bytes(len(content))
        return before, content[:half] + before[half:], before[:half] + content[half:]


class Folder:
    """A directory as it is in memory, as it is on disk, and the changes in between."""

    def __init__(self) -> None:
        self.memory: dict[str, File | Folder] = {}
        self.durable: dict[str, File | Folder] = {}
        self.pending: list[Change] = []

    def change(self, *entries: tuple[str, File | Folder | None]) -> None:
        _alter(self.memory, list(entries))
        self.pending.append(list(entries))

    def fsync(self) -> None:
        self.durable, self.pending = dict(self.memory), []


class Machine:
    """The directory ``base`` and all below it, everything durable at first."""

    def __init__(self, base: Path) -> None:
        self.root = _durable_copy(base)

    def apply(self, operation: Operation) -> None:
        what, path, extra = operation
        folder, name = self._find(path)
        if what == "write":
            folder.change((name, File(bytes(extra))))  # type: ignore[arg-type]
        elif what == "overwrite":
            self._file(path).overwrite(bytes(extra))  # type: ignore[arg-type]
        elif what == "link":
            target, new_name = self._find(str(extra))
            target.change((new_name, folder.memory[name]))
        elif what == "fsync":
            self._file(path).durable = True
        elif what == "rename":
            target, new_name = self._find(str(extra))
            moved = folder.memory[name]
            if target is folder:
                folder.change((name, None), (new_name, moved))
            else:
                folder.change((name, None))
                target.change((new_name, moved))
        elif what == "mkdir":
            folder.change((name, Folder()))
        elif what in ("remove", "rmdir"):
            folder.change((name, None))
        elif what == "fsync_dir":
            (self._folder(path)).fsync()

    def crash(self, rng: random.Random, survival: float) -> Tree:
        """What may be found when the power is back."""
        found: Tree = {}
        _survive(self.root, "", found, rng, survival)
        return found

    def _find(self, path: str) -> tuple[Folder, str]:
        place = PurePosixPath(path)
        return self._folder(place.parent.as_posix()), place.name

    def _folder(self, path: str) -> Folder:
        folder = self.root
        for part in PurePosixPath(path).parts:
            below = folder.memory[part]
            assert isinstance(below, Folder)
            folder = below
        return folder

    def _file(self, path: str) -> File:
        folder, name = self._find(path)
        file = folder.memory[name]
        assert isinstance(file, File)
        return file


def write_tree(tree: Tree, target: Path) -> None:
    """Lay ``tree`` out in the new directory ``target``."""
    target.mkdir()
    for path, content in tree.items():  # parents come first
        if content is None:
            (target / path).mkdir()
        else:
            (target / path).write_bytes(content)


def _durable_copy(base: Path) -> Folder:
    folder = Folder()
    for path in sorted(base.iterdir()):
        new = _durable_copy(path) if path.is_dir() else File(path.read_bytes(), True)
        folder.memory[path.name] = new
    folder.fsync()
    return folder


def _survive(folder: Folder, at: str, found: Tree, rng: random.Random, survival: float) -> None:
    entries = dict(folder.durable)
    for change in folder.pending:
        if rng.random() < survival:
            _alter(entries, change)
    for name, entry in entries.items():
        if isinstance(entry, Folder):
            found[at + name] = None
            _survive(entry, f"{at}{name}/", found, rng, survival)
            continue
        content = entry.content
        if not entry.durable and rng.random() >= survival:
            content = rng.choice(entry.contents())
        found[at + name] = content


def _alter(entries: dict[str, File | Folder], change: Change) -> None:
    for name, entry in change:
        if entry is None:
            entries.pop(name, None)
        else:
            entries[name] = entry
