"""Every way to take in a file, on files that strangers made."""

from __future__ import annotations

import random
import shutil
from functools import cache
from pathlib import Path

import numpy as np

from fuzzing.input_files import BOMBS, PWNED, change, good
from fuzzing.judge import Judge, tree
from fuzzing.sealed import Sealed

TAKING_VERBS: tuple[tuple[str, ...], ...] = (
    ("step", "S", "F"),
    ("add", "S", "F", "--json"),
    ("remind", "S", "--peek", "--cue", "F"),
    ("encode", "F", "--backbone", "hash", "-o", "out.npy"),
    ("adjust", "S", "--delta-from", "F"),
    ("init", "new", "--config", "F"),
)


@cache
def _store(backbone: str, phase: str) -> Sealed:
    import tempfile

    from memoria.config import MemoriaConfig
    from memoria.store import MemoryStore

    config = MemoriaConfig(hidden_dim=8, backbone=backbone)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "store"
        with MemoryStore.create(place, config) as store:
            for _ in range(2):
                store.step(np.ones((1, 2, 8), np.float32))
            if phase == "reminded":
                store.add(np.ones((1, 2, 8), np.float32))
                store.remind()
        return Sealed.of(place)


def bombs(judge: Judge, rng: random.Random, folder: Path) -> None:
    """The next of the made ones, by the number of the case, through some of the verbs."""
    names = sorted(BOMBS)
    name = names[int(judge.case.rpartition(" ")[2].rstrip(":") or 0) % len(names)]
    judge.case += f" {name}"
    spec = BOMBS[name](folder)
    for line in rng.sample(TAKING_VERBS, 2):
        _take(judge, folder, spec, line)
    _read(judge, folder, spec)


def changed(judge: Judge, rng: random.Random, folder: Path) -> None:
    """A good file with changes."""
    spec = rng.choice(good(folder))
    change(folder / spec, rng)
    judge.case += f" {spec}"
    _take(judge, folder, spec, rng.choice(TAKING_VERBS))
    _read(judge, folder, spec)


def _read(judge: Judge, folder: Path, spec: str) -> None:
    from memoria.io.arrays import open_array, read_array
    from memoria.io.inputs import read_inputs
    from memoria.io.texts import read_texts

    path = str(folder / spec)
    judge.call("read_inputs", lambda: list(read_inputs([path])))
    if spec.endswith((".txt", ".jsonl")):
        judge.call("read_texts", lambda: sum(1 for _ in read_texts(path)))
        return
    judge.call("read_array", lambda: read_array(path))
    source = judge.call("open_array", lambda: open_array(path))
    if source is not None and source.shape:
        judge.call("rows", lambda: source.rows(0, 3))


def _take(judge: Judge, folder: Path, spec: str, line: tuple[str, ...]) -> None:
    """Run one verb beside the file; where it fails nothing may have changed."""
    backbone = "hash" if spec.endswith((".txt", ".jsonl", ".png")) else "array"
    phase = "reminded" if line[0] == "adjust" else "idle"
    store = _store(backbone, phase).write(folder / "store")
    before = tree(folder)
    words = {"S": str(store), "F": str(folder / spec), "out.npy": str(folder / "out.npy")}
    words["new"] = str(folder / "new")
    code = judge.command(*[words.get(word, word) for word in line])
    after = tree(folder)
    if code != 0 and after != before:
        changes = [name for name in before | after if before.get(name) != after.get(name)]
        judge.note(" ".join(line), f"failed and changed {sorted(changes)[:5]}")
    for path in (*folder.rglob(PWNED), *Path.cwd().rglob(PWNED)):
        judge.note(" ".join(line), f"ran code: {path}")
    shutil.rmtree(store, ignore_errors=True)
    (folder / "out.npy").unlink(missing_ok=True)
    shutil.rmtree(folder / "new", ignore_errors=True)
