"""What a store goes through in the tests of faults: one line in a table for each operation.

Each takes place in a folder with the memories of `PLACES`, and calls ``acknowledge`` after every
commit that has returned. `State.of` says what is there: all of what is committed, or nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from memoria.chunkstore.files import StoreFiles
from memoria.config import MemoriaConfig
from memoria.store import MemoryStore
from memoria.store.archive import import_archive, write_archive
from memoria.store.compacting import compact, go_back, undo
from memoria.store.copying import copy_memory
from memoria.store.reading import open_files
from memoria.store.sources import Unit
from memoria.store.verify import verify

Acknowledge = Callable[[], None]

PLACES = ("store", "new")
CONFIG = MemoriaConfig(
    hidden_dim=4,
    lanes=2,
    num_reminded_stm=2,
    stm_capacity=4,
    ltm_search_depth=2,
    initial_lifespan=3.0,
    num_final_ltms=2,
    backbone="array",
)
RULE = "uniform:1.25"
BEFORE = 6  # steps before the operation; some engrams are forgotten by then


# Columns that hold times of the clock.
_TIMES = {"log/steps": 0, "events/index": 3, "commands/index": 2, "sources/readings": 3}


@dataclass(frozen=True)
class State:
    """What the folder's memories hold, times left out; None where there is none."""

    contents: tuple[object, ...]
    steps: int  # finished, of the first that is there

    @classmethod
    def of(cls, folder: Path, outputs: bool = False) -> State:
        """Every committed row and attribute is read; raises what opening and reading raise.

        ``outputs``: the files and folders named ``out*`` are a part of it.
        """
        found = [_content(folder / name) for name in PLACES]
        steps = next((steps for content, steps in found if content is not None), 0)
        made = [_output(path) for path in sorted(folder.glob("out*"))] if outputs else []
        return cls((*(content for content, _ in found), *made), steps)


def _output(path: Path) -> tuple[str, str]:
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    digest = hashlib.sha256()
    for one in files:
        digest.update(f"{one.relative_to(path.parent)} {one.stat().st_size}".encode())
        digest.update(one.read_bytes())
    return path.name, digest.hexdigest()


def _content(path: Path) -> tuple[str | None, int]:
    if not os.path.lexists(path):
        return None, 0
    files = StoreFiles.open(path)
    try:
        attributes = files.attributes
        for snapshot in attributes.get("snapshots", {}).values():
            del snapshot["created"]
        attributes["state"]["events"] = None
        digest = hashlib.sha256(json.dumps(attributes, sort_keys=True).encode())
        for name in files.names():
            rows = files.read(name)
            for table, column in _TIMES.items():
                if name.endswith(table):
                    rows[:, column] = 0
            digest.update(f"{name} {rows.shape}".encode() + rows.tobytes())
        return digest.hexdigest(), int(attributes["step"])
    finally:
        files.close()


def data(step: int) -> torch.Tensor:
    """The new engrams of a step [2, 2, 4]."""
    numbers = (np.arange(16) * 7 + step * 13) * (step + 3) % 31
    return torch.from_numpy((numbers / 16 - 1).astype(np.float32).reshape(2, 2, 4))


def data_of(store: MemoryStore, number: int) -> torch.Tensor:
    """`data` for the lanes and the dimension of the store."""
    return data(number)[: store.config.lanes].repeat(1, 1, store.config.hidden_dim // 4)


def step(store: MemoryStore) -> None:
    """The next step, a text in every other one."""
    number = store.timestep
    lanes = store.config.lanes
    texts = [[f"of {number}", None], [None, "ü" * number]][:lanes] if number % 2 else None
    places = [[("diary", number), None]] * lanes if number % 2 else None
    store.step(data_of(store, number), RULE, texts, places)


def goes_on(folder: Path) -> None:
    """Every memory there is sound, and takes its next step, which is there when opened again."""
    if not (folder / PLACES[0]).exists():
        MemoryStore.create(folder / PLACES[0], CONFIG).close()
    for path in (folder / name for name in PLACES):
        if not path.exists():
            continue
        assert not (found := verify(path).findings), found[0]
        with MemoryStore.open(path, "r+") as store:
            before = store.timestep
            if store.phase == "idle":
                step(store)
            else:
                store.remind()
                store.adjust(RULE)
            store.commit()
            digest = store.digest()
        with MemoryStore.open(path) as store:
            assert (store.timestep, store.digest()) == (before + 1, digest)
            store.peek(data_of(store, 7))
        assert not list(path.rglob("*.tmp"))


ARCHIVE = "store.memoria.zip"


@dataclass(frozen=True)
class Operation:
    """``run`` on a folder that ``prepare`` has made."""

    name: str
    run: Callable[[Path, Acknowledge], None]
    prepare: Callable[[Path], None]


def _nothing(folder: Path) -> None:
    """No memory yet."""


def _some_steps(folder: Path) -> None:
    with MemoryStore.create(folder / "store", CONFIG) as store:
        for _ in range(BEFORE):
            step(store)


def _named(folder: Path) -> None:
    _some_steps(folder)
    with MemoryStore.open(folder / "store", "r+") as store:
        store.snapshot("named")
        for _ in range(4):
            step(store)


def _archived(folder: Path) -> None:
    _named(folder)
    files = open_files(folder / "store")
    try:
        write_archive(files, folder / ARCHIVE)
    finally:
        files.close()


def _init(folder: Path, acknowledge: Acknowledge) -> None:
    MemoryStore.create(folder / "store", CONFIG).close()
    acknowledge()


def _verb_by_verb(folder: Path, acknowledge: Acknowledge) -> None:
    """As the commands `add`, `remind` and `adjust`, with what each writes at its end."""
    for verb in ("add", "remind", "adjust"):
        with MemoryStore.open(folder / "store", "r+") as store:
            if verb == "add":
                store.add(data(store.timestep), [["new", None]] * 2)
            elif verb == "remind":
                store.remind()
            else:
                store.adjust(RULE)
        acknowledge()


def _steps(folder: Path, acknowledge: Acknowledge) -> None:
    store = MemoryStore.open(folder / "store", "r+")
    try:
        for _ in range(2):
            step(store)
            step(store)
            store.commit()
            acknowledge()
    finally:
        store.close()


def _many_commits(folder: Path, acknowledge: Acknowledge) -> None:
    """From the third one on they write over the files that the ones before have replaced."""
    store = MemoryStore.open(folder / "store", "r+")
    try:
        for _ in range(5):
            step(store)
            store.commit()
            acknowledge()
    finally:
        store.close()


def _checkpoint(folder: Path, acknowledge: Acknowledge) -> None:
    """The end of a session writes the state out; the one before it is collected."""
    for _ in range(2):
        with MemoryStore.open(folder / "store", "r+") as store:
            step(store)
        acknowledge()


def _name_it(folder: Path, acknowledge: Acknowledge) -> None:
    store = MemoryStore.open(folder / "store", "r+")
    try:
        store.snapshot("a", "a note")
        store.commit()
        acknowledge()
        store.snapshot("b")
        store.delete_snapshot("a")
        store.commit()
        acknowledge()
    finally:
        store.close()


def _by_hand(folder: Path, acknowledge: Acknowledge) -> None:
    store = MemoryStore.open(folder / "store", "r+")
    newest = 4 * BEFORE - 1
    changes = (
        lambda: store.forget([newest]),
        lambda: store.pin([newest - 1, newest - 2]),
        lambda: step(store),
        lambda: store.unpin([newest - 1]),
    )
    try:
        for change in changes:
            change()
            store.commit()
            acknowledge()
    finally:
        store.close()


def _compact(folder: Path, acknowledge: Acknowledge) -> None:
    assert compact(folder / "store").engrams_dropped
    acknowledge()


def _compact_twice(folder: Path, acknowledge: Acknowledge) -> None:
    """The second one collects the first one's era."""
    _compact(folder, acknowledge)
    store = MemoryStore.open(folder / "store", "r+")
    try:
        for _ in range(5):
            step(store)
        store.commit()
    finally:
        store.close()
    acknowledge()
    _compact(folder, acknowledge)


def _go_back(folder: Path, acknowledge: Acknowledge) -> None:
    go_back(folder / "store", "named")
    acknowledge()


def _correct(folder: Path, acknowledge: Acknowledge) -> None:
    """A revision, a confirmed cue, a reading and settings, in one commit."""
    newest = 4 * BEFORE - 1
    store = MemoryStore.open(folder / "store", "r+")
    try:
        store.begin_command("edit")
        store.edit(newest, "another text", data(1)[0, 0], {"by": "hand"})
        store.confirm("which?", data(2)[0, 0], [newest - 1, newest - 2], 2.5)
        store.name_source("diary", "/home/diary")
        store.record_reading("diary", b"c" * 32, [Unit(newest, 5, b"u" * 16)])
        store.change_settings({"notes": "mine"})
        store.commit()
        acknowledge()
    finally:
        store.close()


def _commanded(folder: Path) -> None:
    _some_steps(folder)
    for _ in range(2):
        with MemoryStore.open(folder / "store", "r+") as store:
            store.begin_command("step")
            step(store)


def _undo(folder: Path, acknowledge: Acknowledge) -> None:
    for _ in range(2):
        undo(folder / "store")
        acknowledge()


def _copy(folder: Path, acknowledge: Acknowledge) -> None:
    files = open_files(folder / "store")
    try:
        copy_memory(files, folder / "new")
    finally:
        files.close()
    acknowledge()


def _import(folder: Path, acknowledge: Acknowledge) -> None:
    import_archive(folder / ARCHIVE, folder / "new")
    acknowledge()


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("init", _init, _nothing),
        Operation("add, remind, adjust", _verb_by_verb, _some_steps),
        Operation("step", _steps, _some_steps),
        Operation("many commits", _many_commits, _some_steps),
        Operation("checkpoint", _checkpoint, _some_steps),
        Operation("snapshot", _name_it, _some_steps),
        Operation("forget, pin, unpin", _by_hand, _some_steps),
        Operation("edit, confirm, settings", _correct, _some_steps),
        Operation("undo", _undo, _commanded),
        Operation("compact", _compact, _named),
        Operation("compact twice", _compact_twice, _some_steps),
        Operation("restore in place", _go_back, _named),
        Operation("copy to a new store", _copy, _named),
        Operation("import", _import, _archived),
    )
}
