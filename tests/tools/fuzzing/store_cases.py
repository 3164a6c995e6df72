"""Every way to read a store, and to go on with it, on stores that were tampered with."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.judge import Judge, tree
from fuzzing.sealed import Sealed
from fuzzing.store_changes import changed

SAMPLES = Path(__file__).resolve().parents[3] / "stores" / "samples"

# Every verb that only reads a store: S stands for its path, C for a cue that fits it.
READING_VERBS: tuple[tuple[str, ...], ...] = (
    ("inspect", "S"),
    ("inspect", "S", "--json", "--engrams", "--edges", "--history", "--forgotten"),
    ("inspect", "S", "--engrams", "--edges", "--history", "--forgotten"),
    ("inspect", "S", "0"),
    ("inspect", "S", "20", "--json"),
    ("list", "S", "--type", "all"),
    ("list", "S", "--type", "all", "--json"),
    ("diff", "S", "S@1", "--json"),
    ("snapshot", "list", "S"),
    ("verify", "S"),
    ("verify", "S", "--json"),
    ("inspect", "S@1"),
    ("plot", "S", "contiguity", "--forgotten", "--json"),
    ("plot", "S", "lifespans", "--json"),
    ("plot", "S", "raster"),
    ("remind", "S", "--peek"),
    ("remind", "S", "--peek", "--cue", "C", "--json"),
)
# Those that write to it. They run on a copy each.
WRITING_VERBS: tuple[tuple[str, ...], ...] = (
    ("add", "S", "C"),
    ("remind", "S"),
    ("adjust", "S"),
    ("step", "S", "C", "--json"),
    ("step", "S", "C", "--resume"),
    ("snapshot", "create", "S", "now"),
    ("compact", "S", "--yes"),
    ("verify", "S", "--repair", "-o", "N"),
)


@cache
def originals() -> tuple[tuple[str, Sealed], ...]:
    """The golden stores, and small ones in each phase of a step."""
    found = [
        (str(path.relative_to(SAMPLES)), Sealed.of(path))
        for path in sorted((SAMPLES / "sound").iterdir())
        if (path / "zarr.json").is_file()
    ]
    assert found
    return (*found, *_small())


def _small() -> Iterator[tuple[str, Sealed]]:
    import tempfile

    from memoria.config import MemoriaConfig
    from memoria.store import MemoryStore

    config = MemoriaConfig(
        hidden_dim=8, lanes=2, backbone="array", num_reminded_stm=2, stm_capacity=4
    )
    data = np.random.default_rng(3).random((12, 2, 2, 8), dtype=np.float32)
    for phase in ("idle", "working", "reminded"):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "store"
            with MemoryStore.create(place, config) as store:
                for number, rows in enumerate(data):
                    texts = [[f"lane {b}, text {number}.{w}" for w in "ab"] for b in "01"]
                    places = [[(f"file{b}.txt", 9 * number + w) for w in (0, 1)] for b in "01"]
                    store.step(rows, "uniform:2", texts, places)
                if phase != "idle":
                    store.add(data[0])
                if phase == "reminded":
                    store.remind()
            yield f"small-{phase}", Sealed.of(place)


def case(judge: Judge, rng: random.Random, folder: Path) -> None:
    """One store, changed, through every entry point."""
    name, original = rng.choice(originals())
    store = folder / "store"
    told = changed(original, rng, store)
    judge.case += f" {name}: {told}"
    config = original.attributes["config"]
    cue = folder / "cue.npy"
    np.save(cue, rows(config["lanes"], 2, config["hidden_dim"]))
    before = tree(folder)
    for number in (0, 1, 2):
        _read(judge, store, original, rng, cue, number)
    if tree(folder) != before:
        judge.note("reading", f"changed files: {_changes(before, tree(folder))}")
    _write(judge, folder, rng, cue)


def rows(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).random(shape, dtype=np.float32)


def _read(
    judge: Judge, store: Path, original: Sealed, rng: random.Random, cue: Path, part: int
) -> None:
    from memoria.query.inspection import Inspection
    from memoria.store import MemoryStore

    if part == 0:
        view = judge.call("Inspection.open", lambda: Inspection.open(store))
        if view is not None:
            with view:
                judge.call("summary", view.summary)
                judge.call("histograms", view.histograms)
                judge.call("engram_list", view.engram_list)
                judge.call("edges", view.edges)
                judge.call("history", lambda: view.history(lane=0))
                judge.call("forgotten_list", view.forgotten_list)
                judge.call("engram", lambda: view.engram(rng.randrange(60)))
                judge.call("texts", lambda: view.texts([0, 5, 11]))
        moment = rng.choice((0, 1, 2, 7, "a", "1", *original.attributes.get("snapshots", ())))
        past = judge.call("open the past", lambda: Inspection.open(store, moment))
        if past is not None:
            with past:
                judge.call("summary of the past", past.summary)
                judge.call("forgotten in the past", past.forgotten_list)
    elif part == 1:
        opened = judge.call("MemoryStore.open", lambda: MemoryStore.open(store))
        if opened is not None:
            try:
                judge.call("digest", opened.digest)
                judge.call("peek", opened.peek)
                judge.call("peek with a cue", lambda: opened.peek(np.load(cue)))
                judge.call("last_offset", lambda: opened.last_offset("file0.txt"))
            finally:
                opened.close()
    else:
        judge.command(*_filled(rng.choice(READING_VERBS), store, cue))


def _write(judge: Judge, folder: Path, rng: random.Random, cue: Path) -> None:
    store = folder / "store"
    before = tree(folder)
    line = rng.choice(WRITING_VERBS)
    code = judge.command(*_filled(line, store, cue))
    if code != 0:
        changes = _changes(before, tree(folder))
        kept = [name for name in changes if not _garbage(name) and not name.startswith("new")]
        if kept or ("new" in changes and "--repair" not in line):
            judge.note(" ".join(line), f"failed and changed {kept[:5]}")
        return
    judge.command("inspect", str(store), "--json")  # what it wrote can be read
    for name in ("store", "new"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _filled(line: tuple[str, ...], store: Path, cue: Path) -> list[str]:
    new = {"S": str(store), "S@1": f"{store}@1", "C": str(cue), "N": str(store.parent / "new")}
    return [new.get(word, word) for word in line]


def _changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [n for n in sorted(before | after) if before.get(n) != after.get(n)]


def _garbage(name: str) -> bool:
    """What a writer that opens a store may remove: SPEC, "Garbage"."""
    return name.endswith(".tmp") or name.startswith("store/state/")
